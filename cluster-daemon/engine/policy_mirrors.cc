// Mirrors: whose copy is current, and what the drivers wish. protocol.md 9. What persons order:
// policy_mirror_requests.cc.
//
// A wish is granted by changing the record, and by nothing else; it is a compare-and-swap, so a wish that came late
// changes nothing. Only kSolo and kAdd need `base` and token: the others are about the reporter's own disk, and its
// nonces say which disk that is.
#include <algorithm>

#include "cluster-daemon/engine/policy_plan.h"
#include "cluster-daemon/engine/replicas.h"
#include "common/hash.h"

namespace kagami::engine {
namespace {

using mirror::DiskState;
using mirror::Generation;
using mirror::Record;
using mirror::RecordReplica;
using mirror::Report;
using mirror::Standing;
using mirror::WishKind;

Uuid uuid_of(const Document& document, const std::string& name) {
    ByteWriter text;
    text.raw(document.cluster);
    text.string(name);
    text.u64(document.config.version);
    const Hash hash = sha256(text.view());
    Uuid uuid{};
    std::copy_n(hash.begin(), uuid.size(), uuid.begin());
    return uuid;
}

bool is_known(const RecordReplica& replica, Nonce nonce) {
    return nonce.value != 0 && (nonce == replica.nonce || nonce == replica.next_nonce);
}

bool initial_copy(const config::Group& group, const std::string& name) {
    for (const config::Resource& resource : group.resources) {
        if (resource.name != name || resource.values.empty()) continue;
        const config::Values& values = resource.values.begin()->second;
        return !values.has("initial_copy") || values.boolean("initial_copy");
    }
    return true;
}

}  // namespace

std::string Plan::subject_of_mirror(const std::string& name) {
    return "mirror " + name;
}

void Plan::plan_mirrors() {
    if (next_.config.version != chosen_.config.version) return;  // input_.config is no longer the one
    std::set<std::string> configured;
    for (const config::Group& group : input_.config->groups) {
        for (const std::string& name : mirrors_of(group)) {
            configured.insert(name);
            plan_mirror(group, name);
        }
    }
    std::erase_if(next_.mirrors, [&](const auto& item) { return !configured.contains(item.first); });
}

void Plan::plan_mirror(const config::Group& group, const std::string& name) {
    const auto [at, added] = next_.mirrors.try_emplace(name);
    Record& record = at->second;
    if (added) record.uuid = uuid_of(next_, name);
    for (const NodeId node : group.nodes) record.replicas.try_emplace(node);
    std::erase_if(record.replicas, [&](const auto& item) {
        return std::find(group.nodes.begin(), group.nodes.end(), item.first) == group.nodes.end();
    });
    for (const NodeId node : group.nodes)
        if (const Report* report = replica_report(input_, next_, node, name); report != nullptr)
            take_wish({group, name, record, node, *report});
    if (record.generation.none()) construct(group, name, record);
}

void Plan::take_wish(const Wishing& wishing) {
    switch (wishing.report.wish.kind) {
        case WishKind::kNone: return;
        case WishKind::kAttach: return attach(wishing);
        case WishKind::kSettle: return settle_nonce(wishing);
        case WishKind::kSolo: return grant_solo(wishing);
        case WishKind::kAdd: return grant_add(wishing);
        case WishKind::kGiveUp: return give_up(wishing);
    }
}

// ---- which disk it is ----

void Plan::attach(const Wishing& w) {
    RecordReplica& replica = w.record.replicas[w.node];
    const Nonce held = w.report.nonce;
    const Nonce next = w.report.next_nonce;
    if (next.value == 0 || next == replica.next_nonce || w.report.disk == DiskState::kNone) return;
    if (is_known(replica, held) || is_known(replica, next)) {
        replica.nonce = is_known(replica, held) ? held : next;
        replica.next_nonce = next;
        return;
    }
    if (replica.standing == Standing::kUnbuilt) {  // nothing was ever on it
        replica.nonce = held;
        replica.next_nonce = next;
        return;
    }
    const std::string disk =
        "the disk of " + name_of(w.node) + " is not the one that was last attached, or an older image of it";
    if (replica.standing == Standing::kCurrent && w.record.current_count() == 1)
        return say_once("disk" + w.name + name_of(w.node), Reason::kMirrorSuspect, subject_of_mirror(w.name),
                        "Mirror " + w.name + ": " + disk + ", and no other copy is current: attach the disk that was " +
                            "there before, or name the copy to go on with: `kagami mirror force " + w.name + "`.");
    if (replica.standing != Standing::kSuspect)
        say(Reason::kMirrorSuspect, subject_of_mirror(w.name),
            "Mirror " + w.name + ": " + disk + ": it is copied in full.");
    replica = {Nonce{}, next, Standing::kSuspect};
}

void Plan::settle_nonce(const Wishing& w) {
    RecordReplica& replica = w.record.replicas[w.node];
    if (w.report.nonce.value == 0 || w.report.nonce != replica.next_nonce) return;
    replica.nonce = w.report.nonce;
    replica.next_nonce = {};
}

// ---- which copies are current ----

// A primary speaks for its mirror: of the present generation, under the group's present token, on the disk that the
// register knows and calls current.
bool Plan::speaks_for(const Wishing& w) const {
    const auto group = next_.groups.find(w.group.name);
    const mirror::Wish& wish = w.report.wish;
    return group != next_.groups.end() && group->second.owner == Incarnation{w.node, next_.node(w.node).boot} &&
           !(wish.token == Token{}) && wish.token == group->second.token && !w.record.generation.none() &&
           wish.base == w.record.generation && w.record.standing(w.node) == Standing::kCurrent &&
           admitted(w.record, w.node, w.report);
}

void Plan::grant_solo(const Wishing& w) {
    const Generation& next = w.report.wish.next;
    if (!speaks_for(w) || next.counter <= w.record.generation.counter) return;
    // The last words of an owner that is gone, or that has stopped the group, must not cost the only copy that lives.
    if (!is_heard(w.node) || proof_of(w.group, next_.groups.at(w.group.name)) != Proof::kNone) return;
    const std::string others = leave_behind(w.record, w.node, Standing::kStale, next);
    say(Reason::kMirrorSolo, subject_of_mirror(w.name),
        "Mirror " + w.name + " goes on alone on " + name_of(w.node) +
            (others.empty() ? "." : ": the copy of " + others + " is stale now."));
}

// The peer's own word is needed as well: it may have come back with another disk since the copy ended.
void Plan::grant_add(const Wishing& w) {
    const NodeId peer = w.report.wish.peer;
    const auto replica = w.record.replicas.find(peer);
    if (!speaks_for(w) || peer == w.node || replica == w.record.replicas.end() ||
        replica->second.standing == Standing::kCurrent)
        return;
    const Report* theirs = replica_report(input_, next_, peer, w.name);
    if (theirs == nullptr || theirs->disk != DiskState::kConsistent || theirs->generation != w.record.generation ||
        !admitted(w.record, peer, *theirs) || theirs->wish.kind == WishKind::kAttach ||
        theirs->wish.kind == WishKind::kGiveUp)
        return;
    replica->second.standing = Standing::kCurrent;
    say(Reason::kMirrorAdded, subject_of_mirror(w.name),
        "Mirror " + w.name + ": the copy of " + name_of(peer) + " is current again.");
}

void Plan::give_up(const Wishing& w) {
    RecordReplica& replica = w.record.replicas[w.node];
    if (w.record.generation.none() || replica.standing == Standing::kSuspect) return;
    const bool current = replica.standing == Standing::kCurrent;
    const std::string failed = "Mirror " + w.name + ": the disk of " + name_of(w.node) + " failed";
    if (w.record.current_count() <= (current ? 1U : 0U))
        return say_once("failed" + w.name, Reason::kMirrorFailed, subject_of_mirror(w.name),
                        failed + ", and no other copy is current.");
    replica.standing = Standing::kSuspect;
    say(Reason::kMirrorFailed, subject_of_mirror(w.name),
        failed + (current ? ": its copy is not current any more." : "."));
}

// The one place where a copy becomes the only current one: with a new generation, always. Names those left behind.
std::string Plan::leave_behind(Record& record, NodeId node, Standing others, const Generation& generation) const {
    std::string names;
    for (auto& [other, replica] : record.replicas) {
        if (other == node) continue;
        if (replica.standing == Standing::kCurrent) names += (names.empty() ? "" : " and ") + name_of(other);
        if (replica.standing == Standing::kCurrent || others == Standing::kSuspect) replica.standing = others;
    }
    record.replicas[node].standing = Standing::kCurrent;
    record.generation = generation;
    return names;
}

Generation Plan::new_generation(const Record& record) {
    Generation made{record.generation.counter + 1, {}};
    for (size_t i = 0; i < made.random.size(); i += 8) {
        const uint64_t word = random_.next();
        for (size_t byte = 0; byte < 8; ++byte) made.random[i + byte] = static_cast<uint8_t>(word >> (8 * byte));
    }
    return made;
}

void Plan::construct(const config::Group& group, const std::string& name, Record& record) {
    if (!judge_construction(input_, next_, group, name).ready) return;
    if (initial_copy(group, name)) {
        leave_behind(record, group.nodes.front(), Standing::kSuspect, new_generation(record));
        return say(Reason::kMirrorConstructed, subject_of_mirror(name),
                   "Mirror " + name + " is constructed: the copy of " + name_of(group.nodes.front()) +
                       " is current, the other is made from it.");
    }
    record.generation = new_generation(record);
    for (auto& [node, replica] : record.replicas) replica.standing = Standing::kCurrent;
    say(Reason::kMirrorConstructed, subject_of_mirror(name),
        "Mirror " + name + " is constructed: the configuration declares its copies identical (initial_copy = false).");
}

// The group's last owner ended without a word: what it wrote last is nowhere but on its own disk, so that is stale.
void Plan::take_over_mirrors(const config::Group& group, NodeId node) {
    for (const std::string& name : mirrors_of(group)) {
        Record& record = next_.mirrors.at(name);
        KAGAMI_ASSERT(record.standing(node) == Standing::kCurrent, "a group goes where its mirrors are current");
        const std::string others = leave_behind(record, node, Standing::kStale, new_generation(record));
        say(Reason::kMirrorTakenOver, subject_of_mirror(name),
            "Mirror " + name + " goes on with the copy of " + name_of(node) +
                (others.empty() ? "." : ": the copy of " + others + " is stale now."));
    }
}

// Why the owner cannot go on: one of its copies has stopped being current. Empty: it can.
std::string Plan::mirror_failure(const config::Group& group, const GroupEntry& entry) const {
    for (const std::string& name : mirrors_of(group)) {
        const auto at = next_.mirrors.find(name);
        if (at == next_.mirrors.end() || at->second.generation.none()) continue;
        const NodeId owner = owner_of(entry).node;
        if (at->second.standing(owner) == Standing::kCurrent) continue;
        const Report* report = replica_report(input_, next_, owner, name);
        const bool failed = report != nullptr && report->disk == DiskState::kFailed;
        return failed ? "its disk of " + name + " failed" : "its copy of " + name + " is not current any more";
    }
    return {};
}

void Plan::check_mirrors() const {
    for (const auto& [name, record] : next_.mirrors) {
        KAGAMI_ASSERT(record.generation.none() == (record.current_count() == 0),
                      "a constructed mirror has a current copy, and no other has");
        const auto before = chosen_.mirrors.find(name);
        if (before == chosen_.mirrors.end() || before->second.uuid != record.uuid) continue;
        const bool same = before->second.generation == record.generation;
        KAGAMI_ASSERT(same || record.generation.counter > before->second.generation.counter, "generations go up");
        for (const auto& [node, replica] : record.replicas) {
            const bool was = before->second.standing(node) == Standing::kCurrent;
            KAGAMI_ASSERT(!same || !was || replica.standing != Standing::kStale, "stale only by a newer generation");
        }
    }
}

}  // namespace kagami::engine
