#include "tests/sim/mirror_pair.h"

#include <set>
#include <utility>

#include "tests/sim/world.h"

namespace kagami::sim {

namespace {

constexpr uint64_t kBlocksPerExtent = mirror::kHotExtentBytes / mirror::kBlockBytes;
constexpr size_t kSpots = 32;

}  // namespace

// A few hot extents, the last one cut short; the log holds fewer than there are, so that some must cool down.
MirrorSpec draw_mirror(const std::string& name, const std::string& group, Random& random) {
    MirrorSpec spec;
    spec.name = name;
    spec.group = group;
    const uint64_t extents = 3 + random.below(4);
    spec.blocks = extents * kBlocksPerExtent - random.below(kBlocksPerExtent - 1);
    spec.metadata_bytes = mirror::metadata_bytes_for(spec.blocks * mirror::kBlockBytes);
    spec.hot_extents = 2 + static_cast<uint32_t>(random.below(3));  // a write may need two
    std::set<uint64_t> spots = {0, spec.blocks - 1};
    while (spots.size() < kSpots) {
        const uint64_t around = random.below(spec.blocks);
        for (uint64_t i = 0; i < 3 && around + i < spec.blocks; ++i) spots.insert(around + i);
    }
    spec.spots.assign(spots.begin(), spots.end());
    spec.own_cable = random.chance(0.5);
    return spec;
}

MirrorPair::MirrorPair(World& world, MirrorSpec spec, Node& first, Node& second)
    : world_(world),
      spec_(std::move(spec)),
      wire_(world.queue(), world.random(),
            {[this](Side at, mirror::ConnectionId c) { drivers_[at]->link_up(c); },
             [this](Side at, mirror::ConnectionId c, const std::string& why) { drivers_[at]->link_down(c, why); },
             [this](Side at, mirror::ConnectionId c, const mirror::Frame& frame, const Payload& payload) {
                 drivers_[at]->frame(c, frame, payload);
             },
             [this](Side from) { return open(from); }}),
      checker_(world, *this) {
    drivers_[0] = std::make_unique<Driver>(world, *this, first, 0);
    drivers_[1] = std::make_unique<Driver>(world, *this, second, 1);
    for (const Side side : {Side{0}, Side{1}}) {
        clients_[side] = std::make_unique<MirrorClient>(world, *this, side);
        drivers_[side]->node().add_driver(drivers_[side].get());
    }
    MirrorWire::Pace pace;
    pace.delay = world.calm() ? Duration(200us) : world.random().between(50us, 2ms);
    pace.jitter = world.calm() ? Duration(0) : world.random().between(50us, 2ms);
    pace.breaks_after = world.timing().detect;
    wire_.set_pace(pace);
    wire_.deliver_old_frames(mutation() == Mutation::kOldFrames);
}

Mutation MirrorPair::mutation() const {
    return world_.options().mutation;
}

Driver* MirrorPair::driver_of(NodeId node) {
    for (const auto& driver : drivers_) {
        if (driver->node().id() == node) return driver.get();
    }
    return nullptr;
}

// ---- the md resource: promote, mount (reads everything); stop writing, demote ----

void MirrorPair::activate(NodeId node, const Answer& answer) {
    Driver* driver = driver_of(node);
    if (driver == nullptr) return answer(false, "this node has no replica");
    driver->promote([this, driver, answer](bool ok, const std::string& message) {
        if (!ok) return answer(false, message);
        clients_[driver->side()]->open(
            [answer](bool mounted) { answer(mounted, mounted ? "" : "the file system cannot be mounted"); });
    });
}

void MirrorPair::deactivate(NodeId node, const Answer& answer) {
    Driver* driver = driver_of(node);
    if (driver == nullptr) return answer(false, "this node has no replica");
    clients_[driver->side()]->close([driver, answer] { driver->demote(answer); });
}

void MirrorPair::killed(NodeId node) {
    Driver* driver = driver_of(node);
    if (driver == nullptr) return;
    clients_[driver->side()]->abort();
    driver->abort_front();
}

engine::ProbeResult MirrorPair::probe(NodeId node) {
    Driver* driver = driver_of(node);
    if (driver == nullptr) return engine::ProbeResult::kInactive;
    if (driver->open() && clients_[driver->side()]->active()) return engine::ProbeResult::kActive;
    const bool primary = driver->attached() && driver->engine().report().role == mirror::Role::kPrimary;
    return driver->open() || primary ? engine::ProbeResult::kPartial : engine::ProbeResult::kInactive;
}

// ---- the cable ----

void MirrorPair::cut(Side from, bool on) {
    cut_[from] = on;
    wire_.review();
}

bool MirrorPair::open(Side from) const {
    if (cut_[from]) return false;
    return spec_.own_cable ||
           world_.network().open(drivers_[from]->node().slot(), drivers_[other(from)]->node().slot());
}

// A mutation answers writes that never went out.
void MirrorPair::send(Side from, const mirror::Frame& frame, const Payload& payload) {
    if (mutation() == Mutation::kForgedAck && frame.type == mirror::FrameType::kWrite && world_.random().chance(0.05)) {
        mirror::Frame ack;
        ack.type = mirror::FrameType::kAck;
        ack.seq = frame.seq;
        ack.token = frame.token;
        ack.generation = frame.generation;
        wire_.forge(from, ack);
        return;
    }
    wire_.send(from, frame, payload);
}

void MirrorPair::tick() {
    if (open(0) != was_open_[0] || open(1) != was_open_[1]) {
        was_open_[0] = open(0);
        was_open_[1] = open(1);
        wire_.review();
    }
    checker_.tick();
    if (world_.now() < next_image_) return;
    next_image_ = world_.now() + 90s;
    for (const auto& driver : drivers_) driver->take_image();
}

void MirrorPair::violation(const std::string& invariant, const std::string& text) {
    world_.checker().violation(invariant, "mirror " + spec_.name + ": " + text + "; " + state());
}

std::string MirrorPair::state() const {
    std::string text = drivers_[0]->state() + "; " + drivers_[1]->state();
    const mirror::Record* chosen = checker_.record();
    if (chosen == nullptr) return text + "; no record";
    text += "; record " + to_string(chosen->generation);
    for (const auto& [node, replica] : chosen->replicas)
        text += ", " + world_.name(node) + " " + mirror::word(replica.standing);
    if (chosen->hold != mirror::Hold::kNone) text += chosen->hold == mirror::Hold::kBroken ? ", broken" : ", cancelled";
    return text;
}

}  // namespace kagami::sim
