// What persons order of mirrors. Every order that overrides the register's own rules leaves a decision with the person
// and with what it found (I11).
#include <algorithm>

#include "cluster-daemon/engine/policy_plan.h"
#include "cluster-daemon/engine/replicas.h"
#include "common/config/nearest.h"

namespace kagami::engine {
namespace {

using mirror::DiskState;
using mirror::Hold;
using mirror::Record;
using mirror::Report;
using mirror::Standing;
using mirror::WishKind;

std::string command(const char* verb, const std::string& name) {
    return "`kagami mirror " + std::string(verb) + " " + name + "`";
}

}  // namespace

Result<const config::Group*> Plan::find_mirror(const std::string& name) const {
    std::vector<std::string_view> known;
    for (const config::Group& group : input_.config->groups) {
        for (const config::Resource& resource : group.resources) {
            if (resource.type != kMirrorType) continue;
            if (resource.name == name && next_.mirrors.contains(name)) return &group;
            known.emplace_back(resource.name);
        }
    }
    return fail(ErrorCode::kNotFound, "there is no mirror \"" + name + "\"",
                known.empty() ? "none is configured" : config::nearest(name, known, "mirrors"));
}

Status Plan::mirror_request(const OperatorRequest& request, OwedReply& owed) {
    const Result<const config::Group*> group = find_mirror(request.subject);
    if (!group) return tl::unexpected(group.error());
    Record& record = next_.mirrors.at(request.subject);
    owed.deadline = input_.now + limit_of(**group);
    if (request.verb == OperatorVerb::kMirrorForce) return mirror_force(**group, record, request, owed);
    if (record.generation.none())
        return fail(ErrorCode::kRefused,
                    "mirror " + request.subject + " has not been constructed: " +
                        judge_construction(input_, next_, **group, request.subject).obstacle,
                    "bring all its disks, or name the copy to begin with: " + command("force", request.subject));
    if (request.verb == OperatorVerb::kMirrorResync) return mirror_resync(**group, record, request, owed);
    return mirror_hold(record, request, owed);
}

std::string Plan::standings(const Record& record) const {
    std::string text;
    for (const auto& [node, replica] : record.replicas)
        text += (text.empty() ? "" : ", ") + name_of(node) + " " + mirror::word(replica.standing);
    return text;
}

// ---- force ----

bool Plan::may_run(const config::Group& group, const GroupEntry& entry) {
    const bool just_assigned = entry.token == Token{};  // by this very plan
    return entry.owner && (just_assigned || proof_of(group, entry) == Proof::kNone);
}

// The disk whose data shall count must be there, and nothing may be writing another one.
Status Plan::may_force(const config::Group& group, const OperatorRequest& request) {
    const std::string name = "mirror " + request.subject;
    if (std::find(group.nodes.begin(), group.nodes.end(), request.node) == group.nodes.end())
        return fail(ErrorCode::kUsage,
                    request.node == kNobody ? "the node whose copy of " + name + " shall count is not named"
                                            : name_of(request.node) + " has no copy of " + name,
                    "name one of the servers of group " + group.name);
    const GroupEntry& entry = next_.groups[group.name];
    if (may_run(group, entry) && owner_of(entry).node != request.node)
        return fail(ErrorCode::kRefused,
                    "group " + group.name + " runs, or may run, on " + name_of(owner_of(entry).node) +
                        " with its own copy of " + name,
                    "stop it first with `kagami group stop " + group.name + "`");
    const Report* report = replica_report(input_, next_, request.node, request.subject);
    const std::string disk = name_of(request.node) + "'s disk of " + name;
    if (report == nullptr)
        return fail(ErrorCode::kRefused, disk + " is not known: its mirror driver has not reported it",
                    "start the cluster's services on " + name_of(request.node));
    if (report->disk == DiskState::kNone)
        return fail(ErrorCode::kRefused,
                    disk + " is not attached" + (report->message.empty() ? "" : ": " + report->message),
                    "repair what keeps it from being attached");
    if (report->disk == DiskState::kFailed)
        return fail(
            ErrorCode::kRefused, disk + " failed",
            "repair or replace it and run `kagami mirror init " + request.subject + "` there, or name another copy");
    return {};
}

// All but the current copy are copied in full. The new generation voids what the primary may have asked for before: an
// add that is on its way would make a copy current without that.
void Plan::make_suspect(Record& record) {
    for (const auto& [node, replica] : record.replicas) {
        if (replica.standing != Standing::kCurrent) continue;
        leave_behind(record, node, Standing::kSuspect, new_generation(record));
        return;
    }
}

Status Plan::mirror_force(const config::Group& group, Record& record, const OperatorRequest& request, OwedReply& owed) {
    if (Status may = may_force(group, request); !may) return may;
    const std::string name = request.subject;
    const std::string node = name_of(request.node);
    const Report& report = *replica_report(input_, next_, request.node, name);
    const std::string before =
        standings(record) + (report.disk == DiskState::kInconsistent ? ", its data incomplete" : "");
    owed.node = request.node;
    GroupEntry& entry = next_.groups[group.name];
    const bool runs = may_run(group, entry) && !record.generation.none();
    if (runs && record.standing(request.node) != Standing::kCurrent)
        return fail(ErrorCode::kRefused,
                    "group " + group.name + " runs on " + node + " although its copy of " + name + " is not current",
                    "stop it first with `kagami group stop " + group.name + "`");
    if (runs) {  // the others are copied from it in full
        if (Status may = may_mark_suspect(group, record, name); !may) return may;
    } else {
        if (const Proof proof = entry.owner ? proof_of(group, entry) : Proof::kNone; proof != Proof::kNone)
            clear_owner(entry, proof);
        record.replicas[request.node].nonce = report.nonce;
        record.replicas[request.node].next_nonce = report.next_nonce;
    }
    leave_behind(record, request.node, Standing::kSuspect, new_generation(record));
    reply(owed, OperatorOutcome::kAccepted, "The copy of " + node + " is declared the latest of mirror " + name + ".");
    say(Reason::kMirrorForced, subject_of_mirror(name),
        "Mirror " + name + ": the copy of " + node + " was declared the latest by " + request.person +
            " (before: " + before + "); the others are copied from it in full.");
    return {};
}

// Not while a copy is becoming current: the person decides on what is then.
Status Plan::may_mark_suspect(const config::Group& group, const Record& record, const std::string& name) const {
    for (const NodeId node : group.nodes) {
        const Report* report = replica_report(input_, next_, node, name);
        if (report == nullptr || report->role != mirror::Role::kPrimary) continue;
        if (record.standing(node) != Standing::kCurrent)
            return fail(ErrorCode::kRefused, "the copy of " + name_of(node) + " is in use and is not current",
                        "look at `kagami why " + group.name + "`");
        if (report->mode == mirror::Mode::kJoining || report->wish.kind == WishKind::kAdd)
            return fail(ErrorCode::kRefused, "a copy of mirror " + name + " is becoming current at this moment",
                        "try again in a few seconds");
    }
    return {};
}

// ---- resync, cancel, break, rejoin ----

Status Plan::mirror_resync(const config::Group& group, Record& record, const OperatorRequest& request,
                           OwedReply& owed) {
    const std::string name = request.subject;
    if (record.hold == Hold::kBroken && !request.force)
        return fail(ErrorCode::kRefused, "mirror " + name + " is broken: nothing is replicated",
                    "join it again with " + command("rejoin", name));
    if (record.current_count() == record.replicas.size() && record.hold == Hold::kNone)
        return fail(ErrorCode::kRefused, "every copy of mirror " + name + " is current: there is nothing to copy",
                    "for a full copy all the same: " + command("force", name) + " with the node to copy from");
    const std::string before = standings(record);
    if (request.force) {
        if (Status may = may_mark_suspect(group, record, name); !may) return may;
        make_suspect(record);
    }
    record.hold = Hold::kNone;
    reply(owed, OperatorOutcome::kAccepted, "Mirror " + name + " is resynchronised.");
    say(Reason::kMirrorHold, subject_of_mirror(name),
        std::string(request.force ? "A full resync" : "A resync") + " of mirror " + name + " was asked for by " +
            request.person + " (before: " + before + ").");
    return {};
}

Status Plan::mirror_hold(Record& record, const OperatorRequest& request, OwedReply& owed) {
    const std::string name = request.subject;
    const auto refuse = [&](const std::string& why, const std::string& remedy) {
        return fail(ErrorCode::kRefused, "mirror " + name + " " + why, remedy);
    };
    const bool rejoins = request.verb == OperatorVerb::kMirrorRejoin;
    const bool breaks = request.verb == OperatorVerb::kMirrorBreak;
    if (rejoins && record.hold == Hold::kCancelled)
        return refuse("is not broken: its resync was cancelled", "go on with " + command("resync", name));
    if (rejoins && record.hold == Hold::kNone) return refuse("is not broken", "there is nothing to join again");
    if (!rejoins && record.hold == Hold::kBroken)
        return refuse(breaks ? "is broken already" : "is broken: nothing is replicated",
                      "join it again with " + command("rejoin", name));
    if (!rejoins && !breaks && record.hold == Hold::kCancelled)
        return refuse("has its resync cancelled already", "go on with " + command("resync", name));
    if (!rejoins && !breaks && record.current_count() == record.replicas.size())
        return refuse("has no resync to cancel: every copy is current",
                      "to stop the replication: " + command("break", name));
    record.hold = rejoins ? Hold::kNone : breaks ? Hold::kBroken : Hold::kCancelled;
    const std::string done = rejoins  ? "replicates again"
                             : breaks ? "stops replicating"
                                      : "is not resynchronised until told";
    reply(owed, OperatorOutcome::kAccepted, "Mirror " + name + " " + done + ".");
    say(Reason::kMirrorHold, subject_of_mirror(name),
        "Mirror " + name + " " + done + ": asked for by " + request.person + ".");
    return {};
}

// ---- the end of an order ----

// A break has ended when nothing rests on the other copy any more; the others when they stand in the chosen document.
bool Plan::settle_mirror(const OwedReply& owed) {
    const auto at = chosen_.mirrors.find(owed.subject);
    const std::string name = "Mirror " + owed.subject;
    if (at == chosen_.mirrors.end()) {
        reply(owed, OperatorOutcome::kFailed, name + " is no longer configured.");
        return true;
    }
    if (owed.verb != OperatorVerb::kMirrorBreak) {
        const std::string done =
            owed.verb == OperatorVerb::kMirrorForce    ? ": the copy of " + name_of(owed.node) + " is the latest."
            : owed.verb == OperatorVerb::kMirrorResync ? ": the resync begins when its nodes are connected."
            : owed.verb == OperatorVerb::kMirrorCancel ? ": nothing is copied until `kagami mirror resync`."
                                                       : " replicates again.";
        reply(owed, OperatorOutcome::kDone, name + done);
        return true;
    }
    const Record& record = at->second;
    if (record.hold != Hold::kBroken) {
        reply(owed, OperatorOutcome::kFailed, name + " was joined again before it was broken.");
        return true;
    }
    const config::Group* group = find_mirror(owed.subject).value_or(nullptr);
    const auto entry = group == nullptr ? chosen_.groups.end() : chosen_.groups.find(group->name);
    const bool in_use = entry != chosen_.groups.end() && entry->second.owner.has_value();
    if (record.current_count() == 1 || !in_use) {
        reply(owed, OperatorOutcome::kDone,
              name + " is broken: " + (in_use ? "it goes on alone." : "it replicates no more when it is used again."));
        return true;
    }
    if (input_.now < owed.deadline) {
        consider(owed.deadline);
        return false;
    }
    reply(owed, OperatorOutcome::kFailed,
          name + " is to be broken, but its driver has not parted from the other copy yet.",
          "look at `kagami mirror status " + owed.subject + "`; the cluster goes on with it", ErrorCode::kTimedOut);
    return true;
}

}  // namespace kagami::engine
