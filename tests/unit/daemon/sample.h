// A two-node cluster with group `web`, as the daemon's parts see it.
#pragma once

#include <memory>

#include "cluster-daemon/runtime/daemon/active_config.h"
#include "common/assert.h"
#include "common/config/bundle.h"
#include "common/config/config.h"

namespace kagami::testing {

inline config::Bundle sample_bundle() {
    config::Bundle bundle;
    bundle.text = R"(
[cluster]
name = "sample"
profile = "lan"
[[network]]
name = "net1"
[[network]]
name = "net2"
[[node]]
name = "node1"
address = { net1 = "10.0.1.1", net2 = "10.0.2.1" }
[[node]]
name = "node2"
address = { net1 = "10.0.1.2", net2 = "10.0.2.2" }
[arbitration]
option = "witness"
witness = [{ kind = "server", address = { net1 = "10.0.1.9" } }]
[[group]]
name = "web"
nodes = ["node1", "node2"]
[[group.resource]]
type = "fip"
name = "fip1"
address = "10.0.1.100/24"
[[group.resource]]
type = "exec"
name = "nginx"
start_mode = "async"
[[monitor]]
type = "pidw"
name = "nginx-alive"
target = "nginx"
)";
    bundle.scripts["web/nginx/start.sh"] = "#!/bin/sh\nexec sleep 1000\n";
    bundle.scripts["web/nginx/stop.sh"] = "#!/bin/sh\nexit 0\n";
    return bundle;
}

inline Bytes sample_packed() {
    auto packed = config::pack(sample_bundle());
    KAGAMI_ASSERT(packed.has_value(), "the sample can be packed");
    return *packed;
}

inline std::shared_ptr<const config::Config> sample_config() {
    auto config = runtime::parse_packed(sample_packed());
    KAGAMI_ASSERT(config != nullptr, "the sample is valid");
    return config;
}

}  // namespace kagami::testing
