// A resource type: three blocking calls with a deadline, run on a worker. Retries, thresholds, order and final actions
// are engine policy, never driver code. Adding a type = one folder here and one line in registry.cc.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>

#include "common/config/parameter.h"
#include "common/host/host.h"
#include "common/result.h"

namespace kagami::resources {

struct Context {
    std::string group;
    std::string resource;
    config::Values values;
    std::map<std::string, std::string> environment;  // CLP_* (expresscluster.md 2.4), set by the daemon
    bool proven_stopped = false;   // proof P1: the former owner has acknowledged the stop (skips the address probe)
    std::string script_directory;  // where scripts stored with the configuration lie on this node
    Instant deadline;
};

enum class Probe { kActive, kInactive, kPartial };

// What the guard must cover while the resource is, or may be, active.
struct Footprint {
    bool cgroup = false;
    std::vector<host::Address> addresses;
    std::vector<std::string> mounts;
    std::vector<std::string> units;    // cgroups of others that its processes live in: "system.slice/nginx.service"
    std::vector<std::string> mirrors;  // mirror disks: the guard fails their stalled I/O before it kills
};

class Resource {
 public:
    virtual ~Resource() = default;
    virtual Status activate(const Context& context) = 0;
    virtual Status deactivate(const Context& context) = 0;  // success when already inactive
    virtual Result<Probe> probe(const Context& context) = 0;
    virtual Result<Footprint> footprint(const Context& context) = 0;
};

struct Type {
    config::TypeDescription description;
    std::unique_ptr<Resource> (*make)(host::Host& host);
};

std::span<const Type> registry();
const Type* find(std::string_view word);

}  // namespace kagami::resources
