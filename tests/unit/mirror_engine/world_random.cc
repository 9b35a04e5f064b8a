// What happens next: everything there is until it is quiet, or one thing drawn at random.
#include <algorithm>
#include <array>
#include <functional>

#include "tests/unit/mirror_engine/world.h"

namespace kagami::mirror::test {

bool World::wake(size_t index) {
    Node& node = nodes[index];
    if (!node.engine || !node.wake_at || *node.wake_at > now) return false;
    step(index, Woken{});
    return true;
}

bool World::quiet_step(bool with_register) {
    bool did = links && connect();
    for (size_t i = 0; i < 2; ++i) {
        while (finish_metadata(i)) did = true;
        while (finish_io(i)) did = true;
        while (deliver(i, Channel::kControl)) did = true;
        while (deliver(i, Channel::kBulk)) did = true;
    }
    for (size_t i = 0; i < 2; ++i) {
        did = deliver_link(i) || did;
        while (read_report(i)) did = true;
        if (with_register) did = grant(i) || did;
        did = publish(i) || did;
        const uint64_t before = nodes[i].order;
        act(i);
        did = did || before != nodes[i].order;
        did = wake(i) || did;
    }
    return did;
}

void World::settle(bool with_register) {
    size_t steps = 0;
    while (quiet_step(with_register)) {
        if (++steps > 100000) broken("it never comes to rest");
    }
}

void World::advance(Duration by) {
    const Instant end = now + by;
    settle();
    while (now < end) {
        now = std::min(end, now + 20ms);
        settle();
    }
}

bool World::reach(const std::function<bool()>& condition, Duration limit) {
    const Instant end = now + limit;
    settle();
    while (!condition()) {
        if (now >= end) return false;
        now += 20ms;
        settle();
    }
    return true;
}

// ---- at random ----

bool World::deliver_something() {
    const size_t i = pick(2);
    Node& node = nodes[i];
    switch (pick(12)) {
        case 0:
        case 1:
        case 2: return !node.io.empty() && finish_io(i, pick(node.io.size()));
        case 3:
        case 4: return finish_metadata(i);
        case 5:
        case 6: return deliver(i, Channel::kBulk);
        case 7: return deliver(i, Channel::kControl);
        case 8: return deliver_link(i) || connect();
        case 9: return read_report(i);
        case 10: return node.up && grant(i);
        default: {
            const bool heard = publish(i, chance(80));
            act(i);
            return heard;
        }
    }
}

// One open zero for a block at a time: the fakes tell whose zeroes they write by that.
bool World::zeroing(size_t index, uint64_t block, uint64_t blocks) const {
    const Extent extent{block * kBlockBytes, blocks * kBlockBytes};
    return std::any_of(nodes[index].work.begin(), nodes[index].work.end(), [&](const auto& each) {
        return each.second.operation == Operation::kZero && each.second.extent.overlaps(extent);
    });
}

void World::client_step(size_t index) {
    Node& node = nodes[index];
    if (!node.engine || node.agent != Node::Agent::kActive || node.stop_asked || node.work.size() >= 24) return;
    const uint64_t block = universe[pick(universe.size())];
    const uint64_t room = kBlocks - block;
    switch (pick(10)) {
        case 0: flush(index); return;
        case 1: read(index, block, std::min<uint64_t>(room, 1 + pick(2))); return;
        case 2: {
            const uint64_t blocks = std::min<uint64_t>(room, pick(4) == 0 ? 1 + pick(3000) : 1 + pick(3));
            if (!zeroing(index, block, blocks)) zero(index, block, blocks);
            return;
        }
        default: {
            const uint64_t blocks = std::min<uint64_t>(room, 1 + pick(2));
            if (!zeroing(index, block, blocks))
                write(index, block, blocks);  // parts of a long zero take their turn one by one
            return;
        }
    }
}

void World::fault() {
    const size_t i = pick(2);
    Node& node = nodes[i];
    switch (pick(14)) {
        case 0:
        case 1:
        case 2: return cut();
        case 3:
            if (node.engine) crash_driver(i, chance(70));
            return;
        case 4:
            if (node.up) crash_node(i);
            return;
        case 5:
            if (reg.owner != i || reg.stopped || reg.lost) give_group(i);
            return;
        case 6:
            if (reg.owner) ask_stop();
            return;
        case 7: return set_lease(i, !node.lease);
        case 8:  // the power of both fails
            if (chance(50)) return;
            if (nodes[0].up) crash_node(0);
            if (nodes[1].up) crash_node(1);
            return;
        case 9:  // a person wants a full copy
            if (reg.owner && !reg.stopped && !reg.lost &&
                reg.record.standing(nodes[*reg.owner].id) == Standing::kCurrent) {
                choose(
                    [&](Record& record) { record.replicas[nodes[1 - *reg.owner].id].standing = Standing::kSuspect; });
            }
            return;
        case 12:  // its front end is torn down
            if (node.agent != Node::Agent::kActive || !node.engine) return;
            node.agent = Node::Agent::kFailing;
            order(i, OrderKind::kFailAll);
            return;
        case 10:
            for (int blocks = 0; blocks < 3; ++blocks) node.disk.bad.insert(universe[pick(universe.size())]);
            return;
        case 11: {
            const Hold hold = std::array{Hold::kNone, Hold::kNone, Hold::kCancelled, Hold::kBroken}[pick(4)];
            if (reg.record.hold != hold) choose([&](Record& record) { record.hold = hold; });
            return;
        }
        default: now += kDetect / 2; return;
    }
}

void World::random_step(bool faults) {
    for (size_t i = 0; i < 2; ++i) {
        Node& node = nodes[i];
        if (node.engine || !chance(faults ? 8 : 20)) continue;
        node.up = true;
        start(i, node.agent == Node::Agent::kActive);
    }
    if (faults && pick(steps_per_fault) == 0) fault();
    if ((reg.stopped || reg.lost) && chance(5)) give_group(pick(2));
    if (faults && chance(12)) client_step(pick(2));
    for (size_t tries = 0; tries < 4 && !deliver_something(); ++tries) {
    }
    if (chance(2)) now += 20ms;
    for (size_t i = 0; i < 2; ++i) wake(i);
    check();
}

}  // namespace kagami::mirror::test
