// Joins this node's mirror driver to the engine and to the resources: configuration and authorities go down, reports come
// up as events, promotions and demotions are asked for by the md resource (host::Mirrors). Thread-safe.
// While the driver does not run, every mirror of this node is reported as detached, with that as its reason. A driver that
// gives no sign of life is killed, and at last the I/O of its devices failed (driver_watch.h): from then on promotions
// fail at once, and a demotion succeeds as soon as no driver process is left that could acknowledge anything.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cluster-daemon/engine/decision.h"
#include "cluster-daemon/engine/io.h"
#include "common/config/config.h"
#include "common/host/host.h"
#include "mirror-driver/link/messages.h"

namespace kagami::runtime {

// What the driver of this node must know of the configuration: an entry for each md resource of its groups. Connects are
// the networks with use = ["mirror"], in the order of the file; when none has it, all networks.
mirror_link::Configure mirror_configuration(const config::Config& config, NodeId self);

class MirrorLink : public host::Mirrors {
 public:
    using Post = std::function<void(engine::Event)>;
    using Tell = std::function<void(const engine::Decision&)>;  // on a thread of ours
    MirrorLink(const std::string& socket, const mirror_link::Welcome& welcome, Post post, Tell tell);
    ~MirrorLink() override;

    void set_config(const config::Config& config);
    void tell(const mirror::Authority& authority);
    // For status displays; kUnreachable at once when the driver does not run.
    Result<mirror_link::MirrorStatus> status(const std::string& mirror, Duration patience);

    Result<host::MirrorDevice> promote(const std::string& mirror, Instant deadline) override;
    Status demote(const std::string& mirror, Instant deadline) override;
    Result<mirror::Report> report(const std::string& mirror) override;
    Result<std::optional<host::MirrorDevice>> device(const std::string& mirror) override;
    // The callback must not destroy its own handle.
    std::shared_ptr<void> on_change(const std::string& mirror, std::function<void()> callback) override;

 private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace kagami::runtime
