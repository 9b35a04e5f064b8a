#include "tests/sim/mirror_faults.h"

#include "common/config/parameter.h"

namespace kagami::sim {

using engine::OperatorRequest;
using engine::OperatorVerb;
using mirror::Operation;
using mirror::Standing;

namespace {

constexpr Side kSides[] = {0, 1};

}  // namespace

void MirrorFaults::inject() {
    MirrorPair& pair = any_pair();
    const uint64_t dice = random().below(20);
    if (dice < 5) return cut(pair);
    if (dice < 7) return interrupt(pair, 1);
    if (dice < 8) return interrupt(pair, 12);
    if (dice < 12) return kill(pair);
    if (dice < 14) return disk_errors(pair);
    if (dice < 17) return exchange(pair);
    person(pair);
}

void MirrorFaults::one() {
    MirrorPair& pair = any_pair();
    const uint64_t dice = random().below(3);
    if (dice == 0) return cut(pair);
    if (dice == 1) return interrupt(pair, 1);
    kill(pair);
}

void MirrorFaults::cut(MirrorPair& pair) {
    const Duration detect = world_.timing().detect;
    const Duration away = random().chance(0.6) ? random().between(detect / 5, 3 * detect) : random().between(1s, 60s);
    const Side from = any_side();
    const bool one_way = random().chance(0.25);
    world_.note_fault("the mirror network of " + pair.spec().name + " is cut " +
                      (one_way ? "from " + world_.name(pair.driver(from).node().id()) + " " : "") + "for " +
                      config::format_duration(away));
    pair.cut(from, true);
    if (!one_way) pair.cut(other(from), true);
    world_.queue().after(away, [&pair] {
        for (const Side side : kSides) pair.cut(side, false);
    });
}

void MirrorFaults::interrupt(MirrorPair& pair, int times) {
    if (times == 0 || over_) return;
    world_.note_fault("the connection of " + pair.spec().name + " is reset");
    pair.wire().reset();
    const Duration next = random().chance(0.5) ? random().between(1ms, 200ms) : random().between(100ms, 3s);
    world_.queue().after(next, [this, &pair, times] { interrupt(pair, times - 1); });
}

void MirrorFaults::kill(MirrorPair& pair) {
    Driver& driver = pair.driver(any_side());
    const Duration away = random().chance(0.7) ? random().between(5ms, 500ms) : random().between(500ms, 10s);
    world_.note_fault("the mirror driver of " + world_.name(driver.node().id()) + " dies, back in " +
                      config::format_duration(away));
    driver.kill(away);
}

void MirrorFaults::disk_errors(MirrorPair& pair) {
    Driver& driver = pair.driver(any_side());
    const int times = 1 + static_cast<int>(random().below(3));
    const std::string where = " of " + pair.spec().name + " on " + world_.name(driver.node().id());
    if (random().chance(0.2)) {
        world_.note_fault("the metadata disk" + where + " fails");
        return driver.metadata_fails(1);
    }
    const std::vector<Operation> operations = {Operation::kRead, Operation::kRead, Operation::kWrite, Operation::kFlush,
                                               Operation::kZero};
    const Operation operation = random().pick(operations);
    world_.note_fault("the data disk" + where + " fails " + std::to_string(times) + " times, operation " +
                      std::to_string(static_cast<int>(operation)));
    driver.data_fails(operation, times);
}

// ---- disks that are not what they were ----

bool MirrorFaults::dispensable(MirrorPair& pair, Side side) {
    const mirror::Record* record = pair.checker().record();
    if (record == nullptr || record->generation.none()) return false;
    const NodeId peer = pair.driver(other(side)).node().id();
    return record->standing(peer) == Standing::kCurrent && !pair.checker().exchanged(other(side));
}

// Only what the nonces can tell from the disk that was attached last.
bool MirrorFaults::put_back(Driver& driver, MirrorPair& pair, Moment taken) {
    const mirror::Record* record = pair.checker().record();
    if (record == nullptr) return false;
    const auto known = record->replicas.find(driver.node().id());
    if (known == record->replicas.end()) return false;
    const auto in_record = [&](Nonce nonce) {
        return nonce != Nonce{} && (nonce == known->second.nonce || nonce == known->second.next_nonce);
    };
    const Driver::Image* found = nullptr;
    for (const Driver::Image& image : driver.images()) {
        if (image.taken <= taken && !in_record(image.context.nonce) && !in_record(image.context.next_nonce))
            found = &image;
    }
    if (found == nullptr) return false;
    world_.note_fault("an older image of its replica of " + pair.spec().name + " is put back on " +
                      world_.name(driver.node().id()));
    if (pair.mutation() == Mutation::kForgedDisk) driver.forge_nonces();
    driver.put_back(*found);
    return true;
}

void MirrorFaults::exchange(MirrorPair& pair) {
    const Side side = any_side();
    if (!dispensable(pair, side) && !random().chance(0.1)) return cut(pair);
    Driver& driver = pair.driver(side);
    Node& node = driver.node();
    if (!node.powered()) return kill(pair);
    node.power_off();
    if (random().chance(0.4) || !put_back(driver, pair, world_.now() - random().between(5s, 600s))) {
        world_.note_fault("the disks of " + pair.spec().name + " on " + world_.name(node.id()) +
                          " are exchanged for blank ones");
        driver.initialise();
    }
    world_.queue().after(random().between(1s, 20s), [&node] { node.power_on(); });
}

void MirrorFaults::put_back_with(Node& node, Moment taken) {
    for (const auto& pair : world_.mirrors()) {
        Driver* driver = pair->driver_of(node.id());
        if (driver != nullptr && dispensable(*pair, driver->side())) put_back(*driver, *pair, taken);
    }
}

// ---- people ----

bool MirrorFaults::ask(MirrorPair& pair, OperatorVerb verb, NodeId node, bool force) {
    for (size_t i = 0; i < world_.configured(); ++i) {
        Node& where = world_.at(i);
        if (!where.running() || where.frozen()) continue;
        OperatorRequest request;
        request.verb = verb;
        request.subject = pair.spec().name;
        request.node = node;
        request.force = force;
        if (verb == OperatorVerb::kMirrorForce) pair.checker().on_force_asked();
        world_.note_fault("a person gives mirror command " + std::to_string(static_cast<int>(verb)) + " for " +
                          request.subject + (node == kNobody ? "" : " and " + world_.name(node)) +
                          (force ? ", forced" : ""));
        world_.ask(where, request);
        return true;
    }
    return false;
}

void MirrorFaults::person(MirrorPair& pair) {
    const NodeId node = pair.driver(any_side()).node().id();
    switch (random().below(7)) {
        case 0: ask(pair, OperatorVerb::kMirrorBreak, kNobody, false); return;
        case 1: ask(pair, OperatorVerb::kMirrorCancel, kNobody, false); return;
        case 2: ask(pair, OperatorVerb::kMirrorForce, random().chance(0.9) ? node : NodeId{17}, false); return;
        case 3: ask(pair, OperatorVerb::kMirrorResync, kNobody, random().chance(0.5)); return;
        default: ask(pair, OperatorVerb::kMirrorRejoin, kNobody, false);
    }
    const Duration later = random().between(1s, 40s);
    world_.queue().after(later, [this, &pair] {
        if (!over_) ask(pair, OperatorVerb::kMirrorResync, kNobody, false);
    });
}

// ---- the end ----

void MirrorFaults::heal() {
    over_ = true;
    for (const auto& pair : world_.mirrors()) {
        for (const Side side : kSides) {
            pair->cut(side, false);
            pair->driver(side).heal_disks();
            if (!pair->driver(side).running()) pair->driver(side).restart();
        }
    }
}

// A data disk that failed is replaced, metadata that cannot be read are made anew; for the rest a new start is enough.
void MirrorFaults::repair_disks(MirrorPair& pair) {
    for (const Side side : kSides) {
        Driver& driver = pair.driver(side);
        const mirror::Report report = driver.attached() ? driver.engine().report() : mirror::Report{};
        const bool failed = driver.attached() && driver.engine().context().flags.failed;
        const bool well = report.disk != mirror::DiskState::kFailed && report.mode != mirror::Mode::kHalted;
        if (driver.attached() && well) continue;
        world_.note_fault("a person looks after the disks of " + pair.spec().name + " on " +
                          world_.name(driver.node().id()));
        if (driver.running()) driver.kill(1s);
        if (failed || driver.broken()) driver.initialise();
    }
}

void MirrorFaults::force_one(MirrorPair& pair) {
    const mirror::Record* record = pair.checker().record();
    if (record == nullptr || !pair.checker().lost_copy(*record)) return;
    const Driver* best = nullptr;
    for (const Side side : kSides) {
        const Driver& driver = pair.driver(side);
        if (!driver.attached() || driver.engine().report().disk != mirror::DiskState::kConsistent) continue;
        if (best == nullptr || driver.engine().context().current.counter > best->engine().context().current.counter)
            best = &driver;
    }
    if (best == nullptr) best = &pair.driver(random().below(2));
    ask(pair, OperatorVerb::kMirrorForce, best->node().id(), false);
}

void MirrorFaults::help() {
    for (const auto& pair : world_.mirrors()) {
        repair_disks(*pair);
        const mirror::Record* record = pair->checker().record();
        if (record == nullptr) continue;
        if (record->hold == mirror::Hold::kBroken) ask(*pair, OperatorVerb::kMirrorRejoin, kNobody, false);
        if (record->hold == mirror::Hold::kCancelled) ask(*pair, OperatorVerb::kMirrorResync, kNobody, false);
        world_.queue().after(5s, [this, p = pair.get()] { force_one(*p); });
        world_.queue().after(30s, [this, p = pair.get()] { repair_disks(*p); });  // what gave up only when it could
    }
}

void MirrorFaults::help_the_rest() {
    for (const auto& pair : world_.mirrors()) {
        repair_disks(*pair);  // one that held out, with a failed flush, until its peer was current again
        if (!pair->checker().unfinished().empty()) ask(*pair, OperatorVerb::kMirrorResync, kNobody, true);
    }
}

}  // namespace kagami::sim
