// The cluster that is simulated: its configuration as cluster.toml text, read by the product's own reader with a small
// table of types.
#pragma once

#include <memory>
#include <string>

#include "common/codec.h"
#include "common/config/config.h"

namespace kagami::sim {

// The types a simulated cluster.toml may use: exec and fip resources, pidw and genw monitors, without parameters that
// must be given.
const config::TypeCatalogue& simulated_types();

struct Packed {
    Bytes bundle;
    std::shared_ptr<const config::Config> config;
    std::string problem;  // why the text is no configuration
};
Packed pack_configuration(const std::string& toml);

// As the engine's Settings::parse_config wants it; remembers what it has read, for the same bytes come again and again.
std::shared_ptr<const config::Config> parse_packed(const Bytes& packed);

enum class Exclusive { kNo, kNormal, kAbsolute };

// What a random run needs of a cluster.
struct Shape {
    int nodes = 2;
    bool witness = true;
    std::string profile = "lan";
    std::string startup_wait = "20s";
    bool strict_group = false;  // one more group, exclusion = "strict"
    bool manual_group = false;  // one more group, failover = "manual"
    bool auto_return = true;
    bool monitors = true;
    bool mirror = false;  // one more group, with a mirror disk, on two of the nodes
    bool initial_copy = true;
    int mirror_first = 0;  // the first of them
    Exclusive exclusive = Exclusive::kNo;  // of web and db
    bool dynamic = false;                  // web, with forced failover
    bool waits = false;                    // db starts after web
    bool latch = false;
    int app_version = 0;  // a value of web's resource: another one restarts the group
    int comment = 0;       // changes the text, and so the hash
};
std::string write_toml(const Shape& shape);

}  // namespace kagami::sim
