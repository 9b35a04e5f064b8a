// One mirror of the simulated cluster: two drivers, the wire between them, the application on either side, the
// observer. A person's hands here: the cable of the mirror network, images of disks, blank disks.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cluster-daemon/engine/io.h"
#include "tests/sim/driver.h"
#include "tests/sim/mirror_checker.h"
#include "tests/sim/mirror_client.h"
#include "tests/sim/mirror_wire.h"

namespace kagami::sim {

enum class Mutation;

struct MirrorSpec {
    std::string name;  // of the md resource
    std::string group;
    Uuid cluster{};
    uint64_t blocks = 0;
    uint64_t metadata_bytes = 0;
    uint32_t hot_extents = 2;
    std::vector<uint64_t> spots;  // where the application writes
    bool own_cable = true;        // else it goes down with the other networks
};
MirrorSpec draw_mirror(const std::string& name, const std::string& group, Random& random);

class MirrorPair {
 public:
    MirrorPair(World& world, MirrorSpec spec, Node& first, Node& second);

    const MirrorSpec& spec() const { return spec_; }
    Mutation mutation() const;
    Driver& driver(Side side) { return *drivers_[side]; }
    const Driver& driver(Side side) const { return *drivers_[side]; }
    Driver* driver_of(NodeId node);
    MirrorClient& client(Side side) { return *clients_[side]; }
    MirrorWire& wire() { return wire_; }
    MirrorChecker& checker() { return checker_; }
    const MirrorChecker& checker() const { return checker_; }

    using Answer = std::function<void(bool ok, const std::string& message)>;
    void activate(NodeId node, const Answer& answer);
    void deactivate(NodeId node, const Answer& answer);
    void killed(NodeId node);  // by the guard
    engine::ProbeResult probe(NodeId node);

    void cut(Side from, bool on);
    bool open(Side from) const;
    void send(Side from, const mirror::Frame& frame, const Payload& payload);
    void tick();
    void violation(const std::string& invariant, const std::string& text);
    std::string state() const;

 private:
    World& world_;
    MirrorSpec spec_;
    MirrorWire wire_;
    std::unique_ptr<Driver> drivers_[2];
    std::unique_ptr<MirrorClient> clients_[2];
    MirrorChecker checker_;
    bool cut_[2] = {};
    bool was_open_[2] = {true, true};
    Moment next_image_{};
};

}  // namespace kagami::sim
