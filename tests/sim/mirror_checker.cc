#include "tests/sim/mirror_checker.h"

#include <algorithm>
#include <utility>

#include "tests/sim/mirror_pair.h"
#include "tests/sim/world.h"

namespace kagami::sim {

using mirror::kBlockBytes;
using mirror::Operation;
using mirror::Record;
using mirror::Standing;

namespace {

constexpr Side kSides[] = {0, 1};
constexpr uint64_t kCoverEvery = 8;  // ticks
constexpr Duration kForceCounts = 1min;
constexpr Content kNonsense = ~Content{0};

template <typename Visit>
void each_block(const mirror::Extent& extent, const Visit& visit) {
    for (uint64_t block = extent.offset / kBlockBytes; block * kBlockBytes < extent.end(); ++block) visit(block);
}

}  // namespace

void MirrorChecker::violation(const std::string& invariant, const std::string& text) {
    pair_.violation(invariant, text);
}

const Record* MirrorChecker::record() const {
    const auto& mirrors = world_.checker().chosen().mirrors;
    const auto at = mirrors.find(pair_.spec().name);
    return at == mirrors.end() ? nullptr : &at->second;
}

bool MirrorChecker::current(Side side) const {
    const Record* chosen = record();
    return chosen != nullptr && chosen->standing(pair_.driver(side).node().id()) == Standing::kCurrent;
}

// ---- contents ----

std::optional<uint64_t> MirrorChecker::number_of(uint64_t block, const Cell& cell, Content content) const {
    if (content == 0) return cell.newest_zero;
    if (content > writes_.size()) return std::nullopt;
    const mirror::Extent& extent = writes_[content - 1];
    const uint64_t at = block * kBlockBytes;
    if (at < extent.offset || at >= extent.end()) return std::nullopt;
    return content;
}

uint64_t MirrorChecker::checked(Side side, uint64_t block, const Cell& cell, Content content) {
    const auto number = number_of(block, cell, content);
    if (!number)
        violation("I4", world_.name(pair_.driver(side).node().id()) + " holds in " + block_text(block, cell) +
                            " what was never written there: " + std::to_string(content));
    return number.value_or(0);
}

uint64_t MirrorChecker::seen(Side side, uint64_t block, const Cell& cell) {
    return checked(side, block, cell, pair_.driver(side).data().seen(block));
}

uint64_t MirrorChecker::durable(Side side, uint64_t block, const Cell& cell) {
    return checked(side, block, cell, pair_.driver(side).data().durable(block));
}

std::string MirrorChecker::block_text(uint64_t block, const Cell& cell) const {
    const auto side_text = [&](Side side) {
        const Driver& driver = pair_.driver(side);
        return world_.name(driver.node().id()) + " has " + std::to_string(driver.data().seen(block)) + " (durable " +
               std::to_string(driver.data().durable(block)) + ", owes " + std::to_string(cell.required[side]) + ")";
    };
    return "block " + std::to_string(block) + " (given " + std::to_string(cell.newest) + ", zeroed " +
           std::to_string(cell.newest_zero) + ", acknowledged " + std::to_string(cell.acknowledged) + ", flushed " +
           std::to_string(cell.flushed) + ", " + side_text(0) + ", " + side_text(1) + ")";
}

// ---- what the client does ----

void MirrorChecker::on_issued(Side /*side*/, ClientWork& work) {
    const Operation operation = work.request.operation;
    if (operation == Operation::kFlush) {
        for (const auto& [block, cell] : cells_) work.acknowledged.emplace(block, cell.acknowledged);
        return;
    }
    const bool writes = operation == Operation::kWrite || operation == Operation::kZero;
    if (writes) {
        writes_.push_back(work.request.extent);
        work.number = writes_.size();
    }
    each_block(work.request.extent, [&](uint64_t block) {
        Cell& cell = cells_[block];
        if (writes) {
            cell.newest = work.number;
            if (cell.under_way++ == 0) cell.first_of_these = work.number;
        }
        if (operation == Operation::kZero) cell.newest_zero = work.number;
        if (!writes) work.acknowledged.emplace(block, cell.acknowledged);
    });
    if (operation == Operation::kWrite)
        work.payload = std::make_shared<Contents>(work.request.extent.length / kBlockBytes, work.number);
}

void MirrorChecker::on_completed(Side side, const ClientWork& work, int error, const Payload& payload) {
    if (work.number != 0) {
        each_block(work.request.extent, [&](uint64_t block) {
            if (cells_[block].under_way > 0) --cells_[block].under_way;
        });
    }
    if (error != 0) return;
    switch (work.request.operation) {
        case Operation::kRead: return read_done(work, payload);
        case Operation::kWrite:
        case Operation::kZero: check_right(side); return write_done(side, work);
        case Operation::kFlush: check_right(side); return flush_done(side, work);
    }
}

void MirrorChecker::on_abandoned() {
    for (auto& [block, cell] : cells_) cell.under_way = 0;
}

// I7, I14, I15: who acknowledges has the lease, and is alone with it.
void MirrorChecker::check_right(Side side) {
    const Driver& driver = pair_.driver(side);
    const Node& node = driver.node();
    const std::string who = world_.name(node.id()) + " acknowledges a write of " + pair_.spec().name;
    if (node.local_now() >= node.guard().page().deadline) violation("I15", who + " later than its lease");
    for (size_t i = 0; i < world_.configured(); ++i) {
        const Node& another = world_.at(i);
        if (&another == &node || !another.powered() || another.woke_lately(world_.timing().guard + 1ms)) continue;
        if (another.machine().effects(pair_.spec().group))
            violation("I14", who + " while its group has effects on " + world_.name(another.id()));
    }
    const Token token = driver.authority().token;
    Token& last = acknowledged_under_[driver.engine().context().current];
    if (token < last)
        violation("I7", who + " under token " + to_string(token) + " although " + to_string(last) +
                            " has acknowledged in this generation");
    last = std::max(last, token);
}

// I4, I5: everybody whom the register counts as current has it, unless it lost power since the write was given.
void MirrorChecker::write_done(Side side, const ClientWork& work) {
    ++acknowledged_;
    each_block(work.request.extent, [&](uint64_t block) {
        Cell& cell = cells_[block];
        const uint64_t least = std::min(work.number, cell.first_of_these);
        cell.acknowledged = std::max(cell.acknowledged, least);
        for (const Side at : kSides) {
            if (at != side && !current(at)) continue;
            const bool has = seen(at, block, cell) >= least;
            if (has) cell.required[at] = std::max(cell.required[at], least);
            if (has || pair_.driver(at).lost_power_at() >= work.issued) continue;
            violation(at == side ? "I4" : "I5", "write " + std::to_string(work.number) + " is acknowledged by " +
                                                    world_.name(pair_.driver(side).node().id()) +
                                                    ", the register counts " +
                                                    world_.name(pair_.driver(at).node().id()) +
                                                    " as current, and it does not have it: " + block_text(block, cell));
        }
    });
}

void MirrorChecker::flush_done(Side side, const ClientWork& work) {
    for (const auto& [block, number] : work.acknowledged) {
        Cell& cell = cells_[block];
        for (const Side at : kSides) {
            if (at != side && !current(at)) continue;
            if (pair_.driver(at).lost_power_at() >= work.issued || durable(at, block, cell) >= number) continue;
            violation(at == side ? "I4" : "I5",
                      "a flush is acknowledged by " + world_.name(pair_.driver(side).node().id()) +
                          ", the register counts " + world_.name(pair_.driver(at).node().id()) +
                          " as current, and there write " + std::to_string(number) +
                          " is not durable: " + block_text(block, cell));
        }
        cell.flushed = std::max(cell.flushed, number);
    }
}

void MirrorChecker::read_done(const ClientWork& work, const Payload& payload) {
    size_t i = 0;
    for (const auto& [block, least] : work.acknowledged) {
        const Cell& cell = cells_[block];
        const Content content = payload && i < payload->size() ? (*payload)[i] : kNonsense;
        ++i;
        if (number_of(block, cell, content).value_or(0) < least)
            violation("I4", "a read gives " + std::to_string(content) + " although write " + std::to_string(least) +
                                " had been acknowledged: " + block_text(block, cell));
    }
}

// ---- promotion and loss ----

void MirrorChecker::check_content(Side side, const char* invariant, const std::string& what) {
    for (const auto& [block, cell] : cells_) {
        if (seen(side, block, cell) < cell.required[side])
            violation(invariant,
                      world_.name(pair_.driver(side).node().id()) + " " + what + ": " + block_text(block, cell));
    }
}

// I4, I6. What the promoted replica holds is the truth from now on.
void MirrorChecker::on_promoted(const Driver& driver) {
    const Side side = driver.side();
    const engine::Document& chosen = world_.checker().chosen();
    const auto group = chosen.groups.find(pair_.spec().group);
    const bool owner = group != chosen.groups.end() && group->second.owner == driver.node().incarnation() &&
                       group->second.token == driver.authority().token;
    if (owner && !current(side))
        violation("I6", world_.name(driver.node().id()) + " is promoted, the register does not count it as current");
    if (!owner) return;  // it runs no risk: it may acknowledge nothing
    check_content(side, "I4", "is promoted without an acknowledged write");
    for (auto& [block, cell] : cells_) {
        const uint64_t now = seen(side, block, cell);
        cell.acknowledged = cell.required[side] = now;
        cell.required[other(side)] = std::min(cell.required[other(side)], now);
        cell.flushed = std::min(cell.flushed, now);
    }
}

void MirrorChecker::on_lost(Side side) {
    for (auto& [block, cell] : cells_) cell.required[side] = std::min(cell.required[side], cell.flushed);
}

void MirrorChecker::on_exchanged(Side side) {
    on_lost(side);
    exchanged_[side] = true;
}

void MirrorChecker::on_force_asked() {
    force_asked_ = world_.now();
}

// What the primary takes for joined must be so: all of it there, and durable as far as the last flush.
void MirrorChecker::on_report(const Driver& driver, const mirror::Report& report) {
    const mirror::Mode before = std::exchange(mode_[driver.side()], report.mode);
    if (report.mode != mirror::Mode::kJoining || before == mirror::Mode::kJoining) return;
    const Side target = other(driver.side());
    if (world_.now() - pair_.driver(target).lost_power_at() < 10s) return;
    for (const auto& [block, cell] : cells_) {
        if (seen(target, block, cell) < cell.acknowledged || durable(target, block, cell) < cell.flushed)
            violation("I8", world_.name(driver.node().id()) + " takes the resync for done, and " +
                                world_.name(pair_.driver(target).node().id()) +
                                " has not everything: " + block_text(block, cell));
    }
}

// ---- the record ----

void MirrorChecker::on_chosen(const engine::Document& before, const engine::Document& next) {
    const auto now = next.mirrors.find(pair_.spec().name);
    if (now == next.mirrors.end()) return;
    const auto then = before.mirrors.find(pair_.spec().name);
    const Record old = then == before.mirrors.end() ? Record{} : then->second;
    if (old == now->second) return;
    check_record(old, now->second);
    for (const Side side : kSides) {
        const NodeId node = pair_.driver(side).node().id();
        const Standing standing = now->second.standing(node);
        const bool joins = standing == Standing::kCurrent && old.standing(node) != Standing::kCurrent;
        // The copy that was added is the one that reported itself complete; disks that were exchanged while the add was
        // on its way are others, and the node is down.
        const bool added = joins && pair_.driver(side).node().powered();
        if (added || standing == Standing::kSuspect || standing == Standing::kUnbuilt) exchanged_[side] = false;
        if (joins) {
            for (auto& [block, cell] : cells_)
                cell.required[side] = std::min(cell.acknowledged, std::max(seen(side, block, cell), cell.flushed));
        }
    }
}

// The only copy that the register calls current is not the one that was so.
bool MirrorChecker::lost_copy(const Record& record) const {
    bool lost = false;
    for (const Side side : kSides) {
        if (record.standing(pair_.driver(side).node().id()) != Standing::kCurrent) continue;
        if (!exchanged_[side]) return false;
        lost = true;
    }
    return lost;
}

// I9, and the rule that a copy becomes the only current one only if it was current, or by a person's force.
void MirrorChecker::check_record(const Record& before, const Record& next) {
    if (before.generation != next.generation && !before.generation.none() && next.current_count() != 1)
        violation("I9", "a new generation with " + std::to_string(next.current_count()) + " current copies");
    if (before.generation.none()) return;
    bool kept = false;
    bool forced = false;
    for (const auto& [node, replica] : next.replicas) {
        if (replica.standing != Standing::kCurrent) continue;
        (before.standing(node) == Standing::kCurrent ? kept : forced) = true;
    }
    const bool asked = force_asked_ && world_.now() - *force_asked_ <= kForceCounts;
    if (!kept && forced && !asked)
        violation("I9", "a copy that was not current is the only current one, nobody has forced it");
    if (before.generation == next.generation || !asked || (kept && !lost_copy(next))) return;
    exchanged_[0] = exchanged_[1] = false;
    for (auto& [block, cell] : cells_) {
        cell.acknowledged = cell.flushed = 0;
        for (const Side side : kSides) cell.required[side] = 0;
    }
}

// ---- time ----

void MirrorChecker::tick() {
    if (++ticks_ % kCoverEvery != 0) return;
    for (const Side side : kSides) {
        if (current(side) && !exchanged_[side]) check_content(side, "I4", "is current without an acknowledged write");
    }
    check_cover();
}

// I8.
void MirrorChecker::check_cover() {
    const Record* chosen = record();
    if (chosen == nullptr) return;
    for (const Side side : kSides) {
        const Standing standing = chosen->standing(pair_.driver(side).node().id());
        if (exchanged_[side] || (standing != Standing::kCurrent && standing != Standing::kStale)) return;
    }
    for (const auto& [block, cell] : cells_) {
        if (pair_.driver(0).data().seen(block) == pair_.driver(1).data().seen(block)) continue;
        const mirror::Extent extent{block * kBlockBytes, kBlockBytes};
        if (!pair_.driver(0).covered(extent) && !pair_.driver(1).covered(extent))
            violation("I8", "the replicas differ and nothing covers it: " + block_text(block, cell));
    }
}

std::string MirrorChecker::unfinished() {
    const Record* chosen = record();
    if (chosen == nullptr) return "has no record";
    if (chosen->current_count() != 2) return "has " + std::to_string(chosen->current_count()) + " current copies";
    for (const Side side : kSides) {
        const Driver& driver = pair_.driver(side);
        if (!driver.attached()) return "is not attached on " + world_.name(driver.node().id());
        const mirror::Report report = driver.engine().report();
        if (!report.connected) return "is not connected";
        if (report.resync != mirror::Resync::kNone) return "is still copying";
        if (pair_.client(side).oldest() < world_.now() - 20s)
            return "has not answered a request on " + world_.name(driver.node().id());
        if (driver.engine().idle() && pair_.client(side).waiting() == 0 && driver.buffers() != 0)
            return "has buffers left over on " + world_.name(driver.node().id());
        if (driver.engine().bitmap().count() != 0)
            return "has " + std::to_string(driver.engine().bitmap().count()) + " dirty blocks left on " +
                   world_.name(driver.node().id());
    }
    for (uint64_t block = 0; block < pair_.spec().blocks; ++block) {
        const bool equal = pair_.driver(0).data().seen(block) == pair_.driver(1).data().seen(block);
        const mirror::Extent extent{block * kBlockBytes, kBlockBytes};
        if (!equal && !pair_.driver(0).covered(extent) && !pair_.driver(1).covered(extent))
            return "differs in " + block_text(block, cells_[block]);
    }
    return "";
}

}  // namespace kagami::sim
