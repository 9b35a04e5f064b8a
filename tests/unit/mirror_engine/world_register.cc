// The register's side of the world: how the leader answers wishes (MIRROR decisions), who gets the group, what daemons
// hear of it and when; and what must hold at every moment.
#include <algorithm>

#include "tests/unit/mirror_engine/world.h"

namespace kagami::mirror::test {

void World::publish_document() {
    reg.documents.push_back({reg.record, reg.version, reg.owner, reg.token});
}

void World::choose(const std::function<void(Record&)>& change) {
    change(reg.record);
    ++reg.version.seq;
    publish_document();
}

bool World::read_report(size_t index) {
    Node& node = nodes[index];
    if (node.reports.empty()) return false;
    node.seen = node.reports.front();
    node.reports.pop_front();
    return true;
}

bool World::grant_attach(Node& node, const Report& said) {
    const RecordReplica before = reg.record.replicas[node.id];
    RecordReplica after = before;
    if (said.wish.kind == WishKind::kSettle) {
        if (before.next_nonce == said.nonce && said.nonce != Nonce{}) after.nonce = said.nonce;
        if (after.nonce == said.nonce) after.next_nonce = {};
    } else {
        if (said.next_nonce == Nonce{} || before.next_nonce == said.next_nonce) return false;
        const auto held = [&](Nonce nonce) {
            return nonce != Nonce{} && (nonce == before.nonce || nonce == before.next_nonce);
        };
        const bool first =
            before.standing == Standing::kUnbuilt && before.nonce == Nonce{} && before.next_nonce == Nonce{};
        const bool known = held(said.nonce) || held(said.next_nonce) || first;
        after.nonce = known ? (held(said.nonce) || first ? said.nonce : said.next_nonce) : Nonce{};
        after.next_nonce = said.next_nonce;
        if (!known) after.standing = Standing::kSuspect;
    }
    if (after == before) return false;
    choose([&](Record& record) { record.replicas[node.id] = after; });
    return true;
}

bool World::grant_by_token(Node& node, const Report& said) {
    const Wish& wish = said.wish;
    Node& other = nodes[1 - node.index];
    const bool owns =
        reg.owner == node.index && reg.token == wish.token && wish.token != Token{} && !reg.stopped && !reg.lost;
    const bool fits = reg.record.generation == wish.base && reg.record.standing(node.id) == Standing::kCurrent;
    if (wish.kind == WishKind::kGiveUp) {
        if (reg.record.standing(node.id) != Standing::kCurrent || reg.record.standing(other.id) != Standing::kCurrent)
            return false;
        choose([&](Record& record) { record.replicas[node.id].standing = Standing::kSuspect; });
        return true;
    }
    if (!owns || !fits) return false;
    if (wish.kind == WishKind::kSolo) {
        say("the register grants node" + std::to_string(node.index + 1) + " to go alone: " + to_string(wish.next));
        choose([&](Record& record) {
            record.generation = wish.next;
            Standing& peer = record.replicas[other.id].standing;
            if (peer == Standing::kCurrent) peer = Standing::kStale;
        });
        return true;
    }
    if (reg.record.standing(other.id) == Standing::kCurrent) return false;
    say("the register adds node" + std::to_string(other.index + 1));
    choose([&](Record& record) { record.replicas[other.id].standing = Standing::kCurrent; });
    return true;
}

bool World::grant(size_t index) {
    Node& node = nodes[index];
    switch (node.seen.wish.kind) {
        case WishKind::kNone: return false;
        case WishKind::kAttach:
        case WishKind::kSettle: return grant_attach(node, node.seen);
        case WishKind::kSolo:
        case WishKind::kAdd:
        case WishKind::kGiveUp: return grant_by_token(node, node.seen);
    }
    return false;
}

// Documents reach a daemon in their order; only the newest may be called fresh.
bool World::publish(size_t index, bool fresh) {
    Node& node = nodes[index];
    if (!node.up) return false;
    const bool news = node.documents_seen < reg.documents.size();
    const auto& document = reg.documents[news ? node.documents_seen : reg.documents.size() - 1];
    if (news) ++node.documents_seen;
    const bool newest = node.documents_seen == reg.documents.size();
    if (!news && node.known.fresh == fresh && node.known.version == document.version) return false;
    node.known.mirror = "md1";
    node.known.record = document.record;
    node.known.version = document.version;
    node.known.member = true;
    node.known.fresh = newest && fresh;
    node.known.token = document.owner == index && !(reg.lost && document.token == reg.token) ? document.token : Token{};
    node.known.detect = kDetect;
    step(index, AuthorityIs{node.known});
    return true;
}

bool World::give_group(size_t index) {
    if (reg.record.standing(nodes[index].id) != Standing::kCurrent) return false;
    const bool proven_stop = reg.stopped;
    ++reg.version.seq;
    if (chance(20))
        reg.version.epoch = Epoch::make(reg.version.epoch.counter() + 1, NodeId{static_cast<uint16_t>(index + 1)});
    say("the group goes to node" + std::to_string(index + 1) + (proven_stop ? ", stopped" : ", taken over"));
    reg.owner = index;
    reg.token = reg.version;
    reg.stopped = reg.lost = false;
    if (!proven_stop) {
        Standing& other = reg.record.replicas[nodes[1 - index].id].standing;
        if (other == Standing::kCurrent) other = Standing::kStale;
        reg.record.generation = {reg.record.generation.counter + 1,
                                 Uuid{static_cast<uint8_t>(random()), static_cast<uint8_t>(random())}};
    }
    publish_document();
    return true;
}

// ---- what must hold ----

// By what is durable on either side: a crash may leave no more than that.
bool World::covered_durably(uint64_t block) const {
    const Extent extent{block * kBlockBytes, kBlockBytes};
    const auto hot = static_cast<uint32_t>(extent.offset / kHotExtentBytes);
    return std::any_of(std::begin(nodes), std::end(nodes), [&](const Node& node) {
        const FakeMetadata& durable = node.metadata;
        if (durable.context.flags.full_sync || durable.context.flags.inconsistent) return true;
        if (durable.bitmap.any(extent)) return true;
        if (!durable.context.flags.primary_indicated) return false;
        return std::find(durable.slots.begin(), durable.slots.end(), hot) != durable.slots.end();
    });
}

void World::check_covered() {
    for (const Node& node : nodes) {
        const Standing standing = reg.record.standing(node.id);
        if (standing != Standing::kCurrent && standing != Standing::kStale) return;
    }
    const FakeDisk& a = nodes[0].disk;
    const FakeDisk& b = nodes[1].disk;
    for (const uint64_t block : universe) {
        const bool equal =
            a.now[block] == b.now[block] && a.stable[block] == b.stable[block] && a.now[block] == a.stable[block];
        if (equal || covered_durably(block)) continue;
        broken("I8: block " + std::to_string(block) + " may differ (" + std::to_string(a.now[block]) + "/" +
               std::to_string(a.stable[block]) + " and " + std::to_string(b.now[block]) + "/" +
               std::to_string(b.stable[block]) + ") and nothing says so");
    }
    if (!nodes[0].engine || !nodes[1].engine) return;
    for (const uint64_t block : universe) {
        const Extent extent{block * kBlockBytes, kBlockBytes};
        if (a.now[block] != b.now[block] && !nodes[0].engine->covered(extent) && !nodes[1].engine->covered(extent)) {
            broken("I8: block " + std::to_string(block) + " differs and neither engine says so");
        }
    }
}

void World::check() {
    check_covered();
    for (Node& node : nodes) {
        if (node.engine) (void)node.engine->progress();
    }
}

bool World::equal() const {
    return std::all_of(universe.begin(), universe.end(),
                       [&](uint64_t block) { return nodes[0].disk.now[block] == nodes[1].disk.now[block]; });
}

bool World::healthy() const {
    bool primary = false;
    for (const Node& node : nodes) {
        if (!node.engine || reg.record.standing(node.id) != Standing::kCurrent) return false;
        const Report report = node.engine->report();
        if (!report.connected || report.resync != Resync::kNone || node.engine->bitmap().count() != 0) return false;
        primary = primary || report.mode == Mode::kConnected;
    }
    return primary;
}

}  // namespace kagami::mirror::test
