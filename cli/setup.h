// The first steps of a machine: become the first node of a new cluster, or join one by a token. Each leaves the machine
// ready for its daemon, or as it was: what lies there already is never replaced.
#pragma once

#include <string>

#include "cli/command.h"
#include "common/codec.h"
#include "common/config/config.h"
#include "common/ids.h"
#include "common/result.h"

namespace kagami::cli {

// kRefused when keys or a register are there already.
Status check_fresh(const Places& places);
// Random, version 4 (RFC 4122).
Uuid new_uuid();

struct NewCluster {
    Uuid cluster{};
    const config::Config& config;
    const Bytes& packed;  // the bundle, as it will stand in the document
    const config::Node& self;
};
Status initialise(const Places& places, const NewCluster& cluster);

struct Joined {
    std::string name;
    Uuid cluster{};
};
Result<Joined> join(const Places& places, const std::string& token_text);

// The name by which this machine calls itself, without a domain.
std::string host_name();

}  // namespace kagami::cli
