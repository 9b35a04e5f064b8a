#include "tests/golden/replicas.h"

#include <algorithm>

namespace kagami::golden {
namespace {

using mirror::DiskState;
using mirror::Mode;
using mirror::Record;
using mirror::Role;
using mirror::Standing;
using mirror::WishKind;

constexpr Duration kTick = 10ms;
constexpr uint64_t kSize = uint64_t{1} << 30U;
constexpr Nonce kForeign{0xffff};

std::string value_of(const std::vector<std::string>& words, const std::string& key) {
    for (const std::string& word : words)
        if (word.starts_with(key + "=")) return word.substr(key.size() + 1);
    return "";
}

}  // namespace

Replicas::Replicas(sim::World& world, Write write) : world_(world), write_(std::move(write)) {
    const auto& groups = world.config().groups;
    const bool any = std::any_of(groups.begin(), groups.end(), [](const config::Group& group) {
        return std::any_of(group.resources.begin(), group.resources.end(),
                           [](const config::Resource& resource) { return resource.type == "md"; });
    });
    if (any) tick();
}

std::string Replicas::group_of(const std::string& mirror) const {
    for (const config::Group& group : world_.config().groups)
        for (const config::Resource& resource : group.resources)
            if (resource.type == "md" && resource.name == mirror) return group.name;
    return "";
}

Result<Replicas::Replica*> Replicas::find(NodeId node, const Words& words) {
    if (words.size() < 4) return fail(words[0] + " NODE MIRROR ...");
    if (group_of(words[2]).empty()) return fail("no mirror is called " + words[2]);
    Replica& replica = replicas_[{node, words[2]}];
    replica.report.mirror = words[2];
    return &replica;
}

// The disk holds `held` and is about to hold the next nonce.
void Replicas::attach(mirror::Report& report, Nonce held) {
    report.role = Role::kSecondary;
    report.nonce = held;
    report.next_nonce = Nonce{++nonces_};
    report.wish = {};
    report.wish.kind = WishKind::kAttach;
}

Status Replicas::report(NodeId node, const Words& words) {
    const auto found = find(node, words);
    if (!found) return tl::unexpected(found.error());
    Replica& replica = **found;
    mirror::Report& report = replica.report;
    const std::string disk = value_of(words, "disk");
    report.size_bytes = value_of(words, "size").empty() ? kSize : std::stoull(value_of(words, "size"));
    report.message = value_of(words, "message");
    report.disk = DiskState::kConsistent;
    if (disk == "new") {
        report.disk = DiskState::kNew;
        report.generation = {};
        attach(report, Nonce{});
    } else if (disk == "same" || disk == "other") {
        attach(report, disk == "same" ? replica.held : kForeign);
    } else if (disk == "incomplete") {
        report.disk = DiskState::kInconsistent;
    } else if (disk == "failed" || disk == "none") {
        report.disk = disk == "none" ? DiskState::kNone : DiskState::kFailed;
    } else if (disk == "complete") {  // of a resync that has ended
        report.generation = world_.checker().chosen().mirrors.at(words[2]).generation;
    } else {
        return fail("write: disk=new|same|other|complete|incomplete|failed|none");
    }
    replica.boot = world_.find(node)->boot();
    replica.changed = true;
    return {};
}

Status Replicas::wish(NodeId node, const Words& words) {
    const auto found = find(node, words);
    if (!found) return tl::unexpected(found.error());
    mirror::Report& report = (*found)->report;
    report.wish = {};
    report.wish.token = report.token;
    report.wish.base = report.generation;
    if (words[3] == "solo") {
        report.wish.kind = WishKind::kSolo;
        report.mode = Mode::kStalled;
        report.wish.next = {report.generation.counter + 1, Uuid{static_cast<uint8_t>(++nonces_)}};
    } else if (words[3] == "add") {
        report.wish.kind = WishKind::kAdd;
        report.mode = Mode::kJoining;
        for (const auto& [other, replica] : world_.checker().chosen().mirrors.at(words[2]).replicas)
            if (other != node) report.wish.peer = other;
    } else if (words[3] == "give-up") {
        report.wish.kind = WishKind::kGiveUp;
    } else {
        return fail("write: wish NODE MIRROR solo|add|give-up");
    }
    (*found)->changed = true;
    return {};
}

void Replicas::tick() {
    world_.queue().after(kTick, [this] {
        for (auto& [key, replica] : replicas_) follow(*world_.find(key.first), replica);
        show_records();
        tick();
    });
}

void Replicas::follow(sim::Node& node, Replica& replica) {
    if (!node.running() || node.frozen()) return;
    if (node.boot() != replica.boot) return;  // its driver has not reported in this boot
    const mirror::Report before = replica.report;
    const auto& mirrors = node.engine().chosen().mirrors;
    if (const auto at = mirrors.find(replica.report.mirror); at != mirrors.end())
        follow_record(at->second, node.id(), replica);
    follow_group(node, replica);
    if (replica.changed || replica.report != before) tell(node, replica);
}

void Replicas::follow_record(const Record& record, NodeId node, Replica& replica) const {
    mirror::Report& report = replica.report;
    const auto own = record.replicas.find(node);
    if (own == record.replicas.end()) return;
    if (report.next_nonce != Nonce{} && own->second.next_nonce == report.next_nonce) {
        report.nonce = replica.held = std::exchange(report.next_nonce, {});
        report.wish.kind = WishKind::kSettle;
    }
    const bool settled = report.wish.kind == WishKind::kSettle && own->second.nonce == report.nonce;
    const bool solo = report.wish.kind == WishKind::kSolo && record.generation == report.wish.next;
    const bool added = report.wish.kind == WishKind::kAdd && record.standing(report.wish.peer) == Standing::kCurrent;
    const bool given_up = report.wish.kind == WishKind::kGiveUp && own->second.standing == Standing::kSuspect;
    if (solo) report.mode = Mode::kSolo;
    if (added) report.mode = Mode::kConnected;
    if (settled || solo || added || given_up) report.wish = {};
    if (own->second.standing == Standing::kSuspect && report.disk == DiskState::kConsistent && settled)
        report.disk = DiskState::kInconsistent;
    const bool first = report.disk == DiskState::kNew && own->second.standing == Standing::kCurrent;
    if (solo || first) report.generation = record.generation;
    if (first) report.disk = DiskState::kConsistent;
}

void Replicas::follow_group(const sim::Node& node, Replica& replica) const {
    mirror::Report& report = replica.report;
    const std::string group = group_of(report.mirror);
    const auto active = node.machine().active_resources(group);
    const bool promoted = std::find(active.begin(), active.end(), report.mirror) != active.end();
    if (promoted == (report.role == Role::kPrimary)) return;
    report.role = promoted ? Role::kPrimary : Role::kSecondary;
    report.mode = promoted ? Mode::kConnected : Mode::kIdle;
    report.token = promoted ? node.engine().chosen().groups.at(group).token : Token{};
    if (promoted) report.generation = node.engine().chosen().mirrors.at(report.mirror).generation;
}

void Replicas::tell(sim::Node& node, Replica& replica) {
    replica.changed = false;
    node.feed(engine::MirrorReported{replica.report});
}

void Replicas::show_records() {
    for (const auto& [name, record] : world_.checker().chosen().mirrors) {
        std::string text = "document: mirror " + name;
        text += record.generation.none() ? ", not constructed"
                                         : ", generation " + std::to_string(record.generation.counter);
        for (const auto& [node, replica] : record.replicas)
            text += std::string(", ") + world_.name(node) + " " + mirror::word(replica.standing);
        if (record.hold != mirror::Hold::kNone)
            text += record.hold == mirror::Hold::kBroken ? ", broken" : ", cancelled";
        if (shown_[name] != text) write_(text);
        shown_[name] = text;
    }
}

}  // namespace kagami::golden
