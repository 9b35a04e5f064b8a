#include "cluster-daemon/runtime/daemon/mirror_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "common/text.h"
#include "proto/control.pb.h"

namespace kagami::runtime {
namespace {

namespace proto = control::v1;
using mirror::DiskState;
using mirror::Mode;
using mirror::Report;
using mirror::Standing;

struct Judged {
    const char* colour;
    const char* state;
};
constexpr Judged kNotBuilt{"", "No Construction"};
constexpr Judged kAway{"GRAY", "Unknown"};
constexpr Judged kCopying{"YELLOW", "Recovering"};
constexpr Judged kBad{"RED", "Abnormal"};
constexpr Judged kUnsure{"ORANGE", "Uncertain"};
constexpr Judged kGood{"GREEN", "Normal"};

// One mirror: the input read once, for the questions that every part asks.
struct Subject {
    const StatusInput& in;
    const config::Group& group;
    const config::Resource& resource;
    const ReportOf& report_of;
    mirror::Record record;  // empty when the document has none yet

    const config::Config& config() const { return *in.snapshot.config; }
    bool is_self(NodeId node) const { return node == in.snapshot.self.node; }
    const Report* report(NodeId node) const {
        const engine::NodeReport* all = report_of(node);
        if (all == nullptr) return nullptr;
        const auto at = std::find_if(all->mirrors.begin(), all->mirrors.end(),
                                     [&](const Report& r) { return r.mirror == resource.name; });
        return at == all->mirrors.end() ? nullptr : &*at;
    }
    const mirror_link::MirrorStatus* detail(NodeId node) const {
        const auto at = in.mirrors.find(resource.name);
        return is_self(node) && at != in.mirrors.end() ? &at->second : nullptr;
    }
    std::string value(NodeId node, const char* name) const {
        const auto at = resource.values.find(node);
        return at != resource.values.end() && at->second.has(name) ? at->second.text(name) : std::string();
    }
};

bool known_disk(const mirror::Record& record, NodeId node, const Report& report) {
    const auto at = record.replicas.find(node);
    if (at == record.replicas.end() || report.nonce.value == 0) return false;
    return report.nonce == at->second.nonce || report.nonce == at->second.next_nonce;
}

Judged judge(const Subject& subject, NodeId node, const Report* report) {
    const Standing standing = subject.record.standing(node);
    if (subject.record.generation.none() || standing == Standing::kUnbuilt) return kNotBuilt;
    if (report == nullptr || report->disk == DiskState::kNone) return kAway;
    if (report->disk == DiskState::kFailed) return kBad;
    if (report->resync == mirror::Resync::kTarget) return kCopying;
    if (standing != Standing::kCurrent) return kBad;
    if (!subject.in.snapshot.quorum || !known_disk(subject.record, node, *report)) return kUnsure;
    return kGood;
}

void fill_report(const Report& report, proto::MirrorCopy& out) {
    out.set_role(mirror::word(report.role));
    out.set_disk(mirror::word(report.disk));
    if (report.mode != Mode::kIdle) out.set_mode(mirror::word(report.mode));
    if (!report.generation.none()) out.set_generation(mirror::to_string(report.generation));
    out.set_connected(report.connected);
    out.set_dirty_bytes(report.dirty_bytes);
    out.set_message(valid_utf8(report.message));
}

void fill_detail(const mirror_link::MirrorStatus& detail, proto::MirrorCopy& out) {
    out.set_front_end(valid_utf8(detail.front_end));
    out.set_device(valid_utf8(detail.device));
    out.set_peer_message(valid_utf8(detail.peer_message));
    for (const std::string& warning : detail.warnings) out.add_warnings(valid_utf8(warning));
    proto::MirrorCounters& counters = *out.mutable_counters();
    counters.set_writes(detail.writes);
    counters.set_reads(detail.reads);
    counters.set_flushes(detail.flushes);
    counters.set_written_bytes(detail.written_bytes);
    counters.set_read_bytes(detail.read_bytes);
    counters.set_sent_bytes(detail.sent_bytes);
    counters.set_received_bytes(detail.received_bytes);
    counters.set_copied_bytes(detail.copied_bytes);
    counters.set_longest_stall_ms(milliseconds(detail.longest_stall));
}

void fill_copy(const Subject& subject, NodeId node, proto::MirrorCopy& out) {
    const Report* report = subject.report(node);
    const Judged judged = judge(subject, node, report);
    out.set_node(subject.config().node_name(node));
    out.set_node_id(node.value);
    out.set_colour(judged.colour);
    out.set_state(judged.state);
    out.set_standing(mirror::word(subject.record.standing(node)));
    out.set_data(subject.value(node, "data"));
    out.set_metadata(subject.value(node, "metadata"));
    if (report != nullptr) fill_report(*report, out);
    else out.set_message(subject.report_of(node) == nullptr ? "the node is not heard" : "its mirror driver has not reported this disk yet");
    if (const auto* detail = subject.detail(node)) fill_detail(*detail, out);
}

// Percent and direction are in the reports of both sides; the rest only this node's driver knows, when it takes part.
void fill_resync(const Subject& subject, proto::Mirror& out) {
    std::string from;
    std::string to;
    const Report* telling = nullptr;
    for (const NodeId node : subject.group.nodes) {
        const Report* report = subject.report(node);
        if (report == nullptr || report->resync == mirror::Resync::kNone) continue;
        const bool source = report->resync == mirror::Resync::kSource;
        (source ? from : to) = subject.config().node_name(node);
        if (telling == nullptr || source) telling = report;
    }
    if (telling == nullptr) return;
    const std::string& known = from.empty() ? to : from;
    for (const auto& copy : out.copies()) {
        if (copy.node() == known) continue;
        if (from.empty()) from = copy.node();
        else if (to.empty()) to = copy.node();
    }
    proto::MirrorResync& resync = *out.mutable_resync();
    resync.set_from(from);
    resync.set_to(to);
    resync.set_percent(telling->percent);
    resync.set_elapsed_ms(-1);
    resync.set_remaining_ms(-1);
    const auto* detail = subject.detail(subject.in.snapshot.self.node);
    if (detail == nullptr || detail->report.resync == mirror::Resync::kNone) return;
    resync.set_kind(detail->full ? "full" : "differences");
    resync.set_done_bytes(detail->done_bytes);
    resync.set_total_bytes(detail->total_bytes);
    if (detail->total_bytes > 0) {  // finer than the reports, which change rarely
        resync.set_percent(static_cast<uint32_t>(std::min<uint64_t>(100, detail->done_bytes * 100 / detail->total_bytes)));
    }
    resync.set_bytes_per_second(detail->bytes_per_second);
    resync.set_elapsed_ms(milliseconds(detail->elapsed));
    resync.set_remaining_ms(detail->remaining < Duration::zero() ? -1 : milliseconds(detail->remaining));
    resync.set_stall(valid_utf8(detail->stall));
}

// The networks for mirrors, in the order of the file; without any, all of them. Which one is in use only an end of the
// connection knows.
void fill_connects(const Subject& subject, proto::Mirror& out) {
    const auto& networks = subject.config().networks;
    const bool chosen = std::any_of(networks.begin(), networks.end(), [](const auto& n) { return n.mirror; });
    const auto* detail = subject.detail(subject.in.snapshot.self.node);
    if (detail != nullptr) out.set_network(valid_utf8(detail->network));
    for (const config::Network& network : networks) {
        if (chosen && !network.mirror) continue;
        proto::MirrorConnect& connect = *out.add_connects();
        connect.set_network(network.name);
        for (const NodeId id : subject.group.nodes) {
            const config::Node* node = subject.config().node(id);
            const bool there = node != nullptr && node->address.count(network.name) > 0;
            connect.add_addresses(there ? node->address.at(network.name) : std::string());
        }
        connect.set_state(detail == nullptr ? "Unknown" : network.name == detail->network ? "in use" : "standby");
    }
}

const proto::MirrorCopy* first_in_state(const proto::Mirror& mirror, std::string_view state) {
    const auto at = std::find_if(mirror.copies().begin(), mirror.copies().end(), [&](const auto& c) { return c.state() == state; });
    return at == mirror.copies().end() ? nullptr : &*at;
}

const char* overall_state(const Subject& subject, const proto::Mirror& mirror) {
    if (subject.record.generation.none()) return "No Construction";
    if (mirror.has_resync() && first_in_state(mirror, "Recovering") != nullptr) return "Recovering";
    const auto good = [](const auto& copy) { return copy.state() == "Normal" && copy.mode() != "stalled" && copy.mode() != "halted"; };
    return std::all_of(mirror.copies().begin(), mirror.copies().end(), good) ? "Normal" : "Abnormal";
}

void say(proto::Mirror& mirror, std::string message, std::string remedy) {
    if (!mirror.message().empty()) return;
    mirror.set_message(std::move(message));
    mirror.set_remedy(std::move(remedy));
}

void explain_construction(const Subject& subject, proto::Mirror& mirror) {
    std::string missing;
    std::string sizes;
    std::set<uint64_t> distinct;
    for (const NodeId node : subject.group.nodes) {
        const Report* report = subject.report(node);
        const std::string name = subject.config().node_name(node);
        if (report != nullptr && report->disk == DiskState::kNew) {
            distinct.insert(report->size_bytes);
            sizes += (sizes.empty() ? "" : ", ") + name + " " + std::to_string(report->size_bytes) + " bytes";
        } else {
            missing += (missing.empty() ? "" : " and ") + name + "'s disk";
        }
    }
    const std::string what = "has not been constructed";
    if (!missing.empty())
        return say(mirror, what + ": waits for " + missing,
                   "look at the copies in `kagami mirror status " + mirror.name() + "`");
    if (distinct.size() > 1)
        return say(mirror, what + ": its data devices differ in size: " + sizes,
                   "give them the same size, then on the node whose device was changed: kagami mirror init " +
                       mirror.name());
    say(mirror, what + " yet", "");
}

void explain_copies(proto::Mirror& mirror) {
    const std::string name = mirror.name();
    bool any_good = false;
    for (const auto& copy : mirror.copies()) {
        any_good |= copy.colour() == "GREEN" || copy.colour() == "ORANGE";
        if (copy.mode() == "halted")
            say(mirror, copy.node() + " may acknowledge nothing any more: the cluster decided otherwise meanwhile", "look at `kagami why " + mirror.group() + "`");
        if (copy.mode() == "stalled")
            say(mirror, copy.node() + " has lost the other copy: writes wait until the cluster lets it go on alone", "look at `kagami paths`");
    }
    for (const auto& copy : mirror.copies()) {
        const std::string why = copy.message().empty() ? "" : ": " + copy.message();
        if (copy.disk() == "failed") say(mirror, "the disk of " + copy.node() + " failed" + why, "repair or replace it; then on " + copy.node() + ": kagami mirror init " + name);
        if (copy.state() == "Recovering") say(mirror, "the copy of " + copy.node() + " is brought up to date", "");
        if (copy.colour() == "RED" && any_good) say(mirror, "the copy of " + copy.node() + " is " + copy.standing() + why, "it is resynchronised when the mirror is in use and both nodes are connected");
        if (copy.state() == "Unknown" && any_good) say(mirror, "nothing is known of the copy of " + copy.node() + why, "start the node or its mirror driver");
        if (copy.state() == "Uncertain") say(mirror, "whether the copy of " + copy.node() + " is the latest is not known yet", "");
        if (copy.state() == "No Construction" && any_good) say(mirror, "the copy of " + copy.node() + " has not been made yet", "");
    }
    if (!any_good) say(mirror, "no current copy can be reached", "bring back the node that has it; or name another copy as the latest, which loses what it has not: kagami mirror force " + name + " --node NODE");
}

void explain(const Subject& subject, proto::Mirror& mirror) {
    if (subject.record.generation.none()) return explain_construction(subject, mirror);
    if (mirror.hold() == "broken") say(mirror, "broken by a person: nothing is replicated", "kagami mirror rejoin " + mirror.name());
    if (mirror.hold() == "cancelled" && mirror.state() != "Normal") say(mirror, "its resync was cancelled by a person", "kagami mirror resync " + mirror.name());
    if (mirror.state() != "Normal") explain_copies(mirror);
}

}  // namespace

void fill_mirror(const StatusInput& input, const config::Group& group, const config::Resource& resource,
                 const ReportOf& report_of, proto::Mirror& out) {
    Subject subject{input, group, resource, report_of, {}};
    const auto known = input.snapshot.document.mirrors.find(resource.name);
    if (known != input.snapshot.document.mirrors.end()) {
        subject.record = known->second;
        out.set_uuid(to_string(subject.record.uuid));
    }
    out.set_name(resource.name);
    out.set_group(group.name);
    if (!subject.record.generation.none()) out.set_generation(mirror::to_string(subject.record.generation));
    if (subject.record.hold != mirror::Hold::kNone) out.set_hold(subject.record.hold == mirror::Hold::kBroken ? "broken" : "cancelled");
    const NodeId any = input.snapshot.self.node;
    const NodeId first = resource.values.count(any) > 0 || group.nodes.empty() ? any : group.nodes.front();
    out.set_mount(subject.value(first, "mount"));
    out.set_filesystem(subject.value(first, "filesystem"));
    out.set_mode(subject.value(first, "mode"));
    for (const NodeId node : group.nodes) {
        proto::MirrorCopy& copy = *out.add_copies();
        fill_copy(subject, node, copy);
        const Report* report = subject.report(node);
        if (report == nullptr) continue;
        if (report->role == mirror::Role::kPrimary) out.set_primary(copy.node());
        if (report->connected) out.set_connected(true);
        out.set_size_bytes(std::max(out.size_bytes(), report->size_bytes));
    }
    fill_resync(subject, out);
    fill_connects(subject, out);
    out.set_state(overall_state(subject, out));
    explain(subject, out);
}

void explain_mirror(const proto::Mirror& mirror, proto::WhyAnswer& answer) {
    answer.set_subject("mirror " + mirror.name());
    answer.set_state(mirror.state() + (mirror.primary().empty() ? "" : " on " + mirror.primary()));
    answer.set_sentence(mirror.message());
    if (mirror.message().empty() && mirror.state() == "Normal")
        answer.set_sentence(mirror.primary().empty() ? "Both copies are current; the mirror is not in use."
                                                     : "Both copies are current; every write needs both.");
    for (const proto::MirrorCopy& copy : mirror.copies()) {
        proto::Candidate& candidate = *answer.add_candidates();
        candidate.set_node(copy.node());
        candidate.set_eligible(copy.state() == "Normal");
        const std::string standing = copy.state() == "Normal" ? "its copy is current" : "its copy is " + copy.standing();
        candidate.set_reason(standing + (copy.message().empty() ? "" : ": " + copy.message()));
    }
}

}  // namespace kagami::runtime
