#include "cluster-daemon/engine/messages.h"

#include <array>
#include <utility>

#include "cluster-daemon/engine/coder.h"
#include "common/config/bundle.h"

namespace kagami::engine {

template <typename C, Is<Heartbeat> V>
void fields(C& c, V& v) {
    c(v.incarnation, v.joining, v.guard_alive, v.leaving, v.epoch, v.leader, v.version, v.timing_digest, v.voter,
      v.nonce, v.next_nonce, v.heard, v.hears_witness);
}
template <typename C, Is<PreVote> V>
void fields(C& c, V& v) {
    c(v.epoch, v.candidate, v.hand_over);
}
template <typename C, Is<PreVoteReply> V>
void fields(C& c, V& v) {
    c(v.epoch, v.granted, v.promised, v.lease_left);
}
template <typename C, Is<Prepare> V>
void fields(C& c, V& v) {
    c(v.epoch, v.candidate, v.hand_over);
}
template <typename C, Is<PrepareReply> V>
void fields(C& c, V& v) {
    c(v.epoch, v.promised_it, v.promised, v.lease_left, v.voter, v.nonce, v.accepted);
    c.blob(v.document, kMaxDocumentBytes);
}
template <typename C, Is<Accept> V>
void fields(C& c, V& v) {
    c(v.version);
    c.blob(v.document, kMaxDocumentBytes);
    c(v.timing_digest);
}
template <typename C, Is<AcceptReply> V>
void fields(C& c, V& v) {
    c(v.version, v.accepted, v.promised, v.voter, v.nonce);
}
template <typename C, Is<Renew> V>
void fields(C& c, V& v) {
    c(v.epoch, v.stamp, v.timing_digest, v.chosen);
}
template <typename C, Is<RenewAck> V>
void fields(C& c, V& v) {
    c(v.epoch, v.stamp, v.acknowledged, v.promised, v.newest, v.voter, v.nonce);
}
template <typename C, Is<LeaseRequest> V>
void fields(C& c, V& v) {
    c(v.stamp, v.incarnation, v.timing_digest);
}
template <typename C, Is<LeaseGrant> V>
void fields(C& c, V& v) {
    c(v.stamp, v.epoch, v.length, v.newest);
}
template <typename C, Is<HandOver> V>
void fields(C& c, V& v) {
    c(v.epoch, v.to);
}
template <typename C, Is<Release> V>
void fields(C& c, V& v) {
    c(v.epoch, v.to);
}
template <typename C, Is<FetchDocument> V>
void fields(C& c, V& v) {
    c(v.have);
}
template <typename C, Is<DocumentIs> V>
void fields(C& c, V& v) {
    c.blob(v.document, kMaxDocumentBytes);
}
template <typename C, Is<StartGroup> V>
void fields(C& c, V& v) {
    c(v.group, v.token, v.failover, v.proven_stopped, v.previous);
}
template <typename C, Is<StopGroup> V>
void fields(C& c, V& v) {
    c(v.group, v.token);
    c.choice(v.reason, StopReason::kGroupRestart);
    c(v.last_action);
}
template <typename C, Is<ResourceReport> V>
void fields(C& c, V& v) {
    c(v.name);
    c.choice(v.state, ResourceState::kOfflineFailure);
    c.sentence(v.message);
}
template <typename C, Is<GroupReport> V>
void fields(C& c, V& v) {
    c(v.group);
    c.choice(v.state, GroupState::kSuspended);
    c(v.token, v.wants_failover, v.failed);
    c.sentence(v.cause);
    c.list(v.resources, kMaxResources);
}
template <typename C, Is<MonitorReport> V>
void fields(C& c, V& v) {
    c(v.name);
    c.choice(v.state, MonitorState::kUnknown);
    c.sentence(v.message);
    c(v.restarts, v.failovers, v.scripts, v.late);
}
template <typename C, Is<PathReport> V>
void fields(C& c, V& v) {
    c(v.peer, v.network, v.control);
}
template <typename C, Is<NodeReport> V>
void fields(C& c, V& v) {
    c(v.incarnation, v.serial, v.version, v.guard_armed, v.guarded, v.leaving);
    c.list(v.groups, kMaxGroups);
    c.list(v.monitors, kMaxMonitors);
    c.list(v.mirrors, kMaxMirrors);
    c(v.final_actions, v.memory_free_mib, v.disk_free_mib);
    c.list(v.bad_paths, kMaxPaths);
}
template <typename C, Is<OperatorRequest> V>
void fields(C& c, V& v) {
    c(v.id);
    c.choice(v.verb, OperatorVerb::kConfigConfirm);
    c(v.subject, v.node);
    c.blob(v.bundle, config::kMaxPackedBytes);
    c(v.expected);
    c.sentence(v.person);
    c(v.reboot, v.halt, v.force, v.alone, v.dry_run, v.minutes, v.amount);
    c.choice(v.maintenance, MaintenanceKind::kUnmanaged);
    c.choice(v.scope, MaintenanceScope::kGroup);
}
template <typename C, Is<OperatorReply> V>
void fields(C& c, V& v) {
    c(v.id);
    c.choice(v.outcome, OperatorOutcome::kFailed);
    c(v.code);
    c.text(v.message, kMaxReplyBytes);
    c.sentence(v.remedy);
}

namespace {

constexpr size_t kKinds = std::variant_size_v<Message>;

template <size_t I>
Message read_kind(Decoder& in) {
    std::variant_alternative_t<I, Message> message;
    in(message);
    return message;
}

template <size_t... I>
Message read(size_t kind, Decoder& in, std::index_sequence<I...> /*kinds*/) {
    using Read = Message (*)(Decoder&);
    static constexpr std::array<Read, kKinds> table = {&read_kind<I>...};
    return table[kind](in);
}

struct Names {
    const char* operator()(const Heartbeat&) const { return "Heartbeat"; }
    const char* operator()(const PreVote&) const { return "PreVote"; }
    const char* operator()(const PreVoteReply&) const { return "PreVoteReply"; }
    const char* operator()(const Prepare&) const { return "Prepare"; }
    const char* operator()(const PrepareReply&) const { return "PrepareReply"; }
    const char* operator()(const Accept&) const { return "Accept"; }
    const char* operator()(const AcceptReply&) const { return "AcceptReply"; }
    const char* operator()(const Renew&) const { return "Renew"; }
    const char* operator()(const RenewAck&) const { return "RenewAck"; }
    const char* operator()(const LeaseRequest&) const { return "LeaseRequest"; }
    const char* operator()(const LeaseGrant&) const { return "LeaseGrant"; }
    const char* operator()(const HandOver&) const { return "HandOver"; }
    const char* operator()(const Release&) const { return "Release"; }
    const char* operator()(const FetchDocument&) const { return "FetchDocument"; }
    const char* operator()(const DocumentIs&) const { return "DocumentIs"; }
    const char* operator()(const StartGroup&) const { return "StartGroup"; }
    const char* operator()(const StopGroup&) const { return "StopGroup"; }
    const char* operator()(const NodeReport&) const { return "NodeReport"; }
    const char* operator()(const OperatorRequest&) const { return "OperatorRequest"; }
    const char* operator()(const OperatorReply&) const { return "OperatorReply"; }
};

}  // namespace

Bytes encode(const Message& message) {
    Encoder out;
    out(static_cast<uint8_t>(message.index()));
    std::visit([&](const auto& m) { out(m); }, message);
    return out.take();
}

Result<Message> decode_message(std::span<const uint8_t> bytes) {
    if (bytes.size() > kMaxMessageBytes)
        return fail(ErrorCode::kUsage, "message: " + std::to_string(bytes.size()) + " bytes are more than allowed");
    if (bytes.empty() || bytes.front() >= kKinds) return fail(ErrorCode::kUsage, "message: unknown kind");
    Decoder in(bytes.subspan(1));
    Message message = read(bytes.front(), in, std::make_index_sequence<kKinds>());
    if (!in.finished())
        return fail(ErrorCode::kUsage, std::string("message ") + name_of(message) + ": the bytes are damaged");
    return message;
}

const char* name_of(const Message& message) {
    return std::visit(Names{}, message);
}

uint64_t coarse_mib(uint64_t value) {
    uint64_t step = 1;
    while (value / step >= 16) step *= 2;
    return value - value % step;
}

bool may_send(NodeId from, const Message& message) {
    if (from != kWitnessId) return true;
    return std::holds_alternative<Heartbeat>(message) || std::holds_alternative<PreVoteReply>(message) ||
           std::holds_alternative<PrepareReply>(message) || std::holds_alternative<AcceptReply>(message) ||
           std::holds_alternative<RenewAck>(message) || std::holds_alternative<FetchDocument>(message) ||
           std::holds_alternative<DocumentIs>(message);
}

bool is_datagram(const Message& message) {
    return std::holds_alternative<Heartbeat>(message) || std::holds_alternative<Renew>(message) ||
           std::holds_alternative<RenewAck>(message) || std::holds_alternative<LeaseRequest>(message) ||
           std::holds_alternative<LeaseGrant>(message);
}

}  // namespace kagami::engine
