#include "cluster-daemon/runtime/daemon/control_requests.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>

#include "common/config/nearest.h"
#include "proto/control.pb.h"

namespace kagami::runtime {
namespace {

namespace proto = control::v1;
using engine::OperatorRequest;
using engine::OperatorVerb;

OperatorRequest begin(OperatorVerb verb, const std::string& subject, const proto::ChangeOptions& options) {
    OperatorRequest request;
    request.verb = verb;
    request.subject = subject;
    request.person = options.person().empty() ? "root" : options.person();
    request.force = options.force();
    request.dry_run = options.dry_run();
    return request;
}

// One of a few words, by its place in the list.
template <typename Meaning, size_t n>
Result<Meaning> one_of(const std::array<std::pair<std::string_view, Meaning>, n>& known, const std::string& given,
                       std::string_view what, std::string_view plural) {
    std::vector<std::string_view> words;
    for (const auto& [word, meaning] : known) {
        if (given == word) return meaning;
        words.push_back(word);
    }
    return fail(ErrorCode::kUsage,
                given.empty() ? fmt::format("no {} is named", what) : fmt::format("{} is no {}", given, what),
                config::nearest(given, words, plural));
}

Status within(uint32_t given, uint32_t most, std::string_view what) {
    if (given <= most) return {};
    return fail(ErrorCode::kUsage, fmt::format("{} {} are too many", given, what),
                fmt::format("name {} at the most", most));
}

Result<Hash> parse_hash(const std::string& hex) {
    Hash hash{};
    if (hex.empty()) return hash;
    if (hex.size() != hash.size() * 2) return fail(ErrorCode::kUsage, "the expected hash is not 64 hexadecimal digits");
    for (size_t i = 0; i < hash.size(); ++i) {
        const std::string pair = hex.substr(2 * i, 2);
        char* end = nullptr;
        hash[i] = static_cast<uint8_t>(std::strtoul(pair.c_str(), &end, 16));
        if (*end != '\0') return fail(ErrorCode::kUsage, "the expected hash is not hexadecimal");
    }
    return hash;
}

constexpr std::array<std::pair<std::string_view, engine::MaintenanceKind>, 2> kKinds{
    {{"observe", engine::MaintenanceKind::kObserve}, {"unmanaged", engine::MaintenanceKind::kUnmanaged}}};
constexpr std::array<std::pair<std::string_view, engine::MaintenanceScope>, 3> kScopes{
    {{"cluster", engine::MaintenanceScope::kCluster},
     {"node", engine::MaintenanceScope::kNode},
     {"group", engine::MaintenanceScope::kGroup}}};

}  // namespace

Result<NodeId> RequestReader::node(const std::string& name) const {
    if (name.empty()) return kNobody;
    const config::Node* found = config_ ? config_->node(std::string_view(name)) : nullptr;
    if (found != nullptr) return found->id;
    std::vector<std::string_view> names;
    if (config_) {
        for (const config::Node& each : config_->nodes) names.emplace_back(each.name);
    }
    return fail(ErrorCode::kNotFound, fmt::format("no node is named {}", name),
                names.empty() ? "this node has no configuration yet" : config::nearest(name, names, "nodes"));
}

Result<std::string> RequestReader::node_or_self(const std::string& name) const {
    if (name.empty() && config_) return config_->node_name(self_);
    if (const auto found = node(name); !found) return tl::unexpected<Error>(found.error());
    return name;
}

RequestReader::Read RequestReader::with_node(OperatorRequest request, const std::string& name) const {
    const auto found = node(name);
    if (!found) return tl::unexpected<Error>(found.error());
    request.node = *found;
    return request;
}

RequestReader::Read RequestReader::group_start(const proto::GroupRequest& in) const {
    return with_node(begin(OperatorVerb::kGroupStart, in.group(), in.options()), in.node());
}

RequestReader::Read RequestReader::group_stop(const proto::GroupRequest& in) const {
    return begin(OperatorVerb::kGroupStop, in.group(), in.options());
}

RequestReader::Read RequestReader::group_move(const proto::GroupMoveRequest& in) const {
    return with_node(begin(OperatorVerb::kGroupMove, in.group(), in.options()), in.to_node());
}

RequestReader::Read RequestReader::node_shutdown(const proto::NodeRequest& in) const {
    const auto name = node_or_self(in.node());
    if (!name) return tl::unexpected<Error>(name.error());
    if (in.reserve_minutes() != 0 && !in.reboot()) {
        return fail(ErrorCode::kUsage, "groups wait only for a node that reboots",
                    "use `kagami node reboot --reserve`");
    }
    if (const Status good = within(in.reserve_minutes(), kMaxMinutes, "minutes"); !good)
        return tl::unexpected<Error>(good.error());
    OperatorRequest request = begin(OperatorVerb::kNodeShutdown, *name, in.options());
    request.reboot = in.reboot();
    request.halt = !in.reboot() && !in.stop_service_only();
    request.minutes = in.reserve_minutes();
    return request;
}

RequestReader::Read RequestReader::node_return(const proto::NodeRequest& in) const {
    const auto name = node_or_self(in.node());
    if (!name) return tl::unexpected<Error>(name.error());
    return begin(OperatorVerb::kNodeReturn, *name, in.options());
}

RequestReader::Read RequestReader::confirm_down(const std::string& name, const proto::ChangeOptions& options) const {
    return with_node(begin(OperatorVerb::kConfirmDown, name, options), name);
}

RequestReader::Read RequestReader::cluster_start(const proto::ClusterStartRequest& in) const {
    OperatorRequest request = begin(OperatorVerb::kClusterStart, "", in.options());
    request.alone = in.alone();
    request.force = in.now() || request.force;
    return request;
}

RequestReader::Read RequestReader::cluster_stop(const proto::ClusterStopRequest& in) const {
    if (in.halt() && in.reboot()) {
        return fail(ErrorCode::kUsage, "the machines can shut down or reboot, not both", "name one of the two");
    }
    OperatorRequest request = begin(OperatorVerb::kClusterStop, "", in.options());
    request.halt = in.halt();
    request.reboot = in.reboot();
    return request;
}

// `force` of the options overrides no rule here: of a resync it would mean a full one.
RequestReader::Read RequestReader::mirror(OperatorVerb verb, const proto::MirrorRequest& in) const {
    auto request = with_node(begin(verb, in.mirror(), in.options()), in.node());
    if (request) request->force = verb == OperatorVerb::kMirrorResync && in.full();
    return request;
}

RequestReader::Read RequestReader::resource(OperatorVerb verb, const proto::ResourceRequest& in) const {
    return begin(verb, in.resource(), in.options());
}

RequestReader::Read RequestReader::monitor(const proto::MonitorRequest& in) const {
    static constexpr std::array kVerbs{OperatorVerb::kMonitorSuspend, OperatorVerb::kMonitorResume,
                                       OperatorVerb::kMonitorDummyOn, OperatorVerb::kMonitorDummyOff,
                                       OperatorVerb::kMonitorClear};
    const auto action = static_cast<size_t>(in.action());
    if (action >= kVerbs.size())
        return fail(ErrorCode::kUsage, "this daemon does not know what to do with the monitor",
                    "run the same version on all nodes");
    return with_node(begin(kVerbs[action], in.monitor(), in.options()), in.node());
}

RequestReader::Read RequestReader::failover(const proto::FailoverRequest& in) const {
    static constexpr std::array kVerbs{OperatorVerb::kFailoverOn, OperatorVerb::kFailoverOff,
                                       OperatorVerb::kFailoverForce};
    const auto action = static_cast<size_t>(in.action());
    if (action >= kVerbs.size())
        return fail(ErrorCode::kUsage, "this daemon does not know this state of the failover switch",
                    "run the same version on all nodes");
    return begin(kVerbs[action], "", in.options());
}

RequestReader::Read RequestReader::maintenance(const proto::MaintenanceRequest& in) const {
    const auto scope = one_of(kScopes, in.scope(), "scope of a maintenance", "scopes");
    if (!scope) return tl::unexpected<Error>(scope.error());
    OperatorRequest request =
        begin(in.end() ? OperatorVerb::kMaintenanceEnd : OperatorVerb::kMaintenanceBegin, in.subject(), in.options());
    request.scope = *scope;
    if (*scope == engine::MaintenanceScope::kNode) {
        const auto name = node_or_self(in.subject());
        if (!name) return tl::unexpected<Error>(name.error());
        request.subject = *name;
    }
    if (*scope == engine::MaintenanceScope::kGroup && in.subject().empty()) {
        return fail(ErrorCode::kUsage, "no group is named", "name the group whose maintenance it is");
    }
    if (in.end()) return request;
    const auto kind = one_of(kKinds, in.kind(), "kind of maintenance", "kinds");
    if (!kind) return tl::unexpected<Error>(kind.error());
    if (in.minutes() == 0)
        return fail(ErrorCode::kUsage, "it is not said how long the maintenance lasts",
                    "name the minutes: it ends by itself then");
    if (const Status good = within(in.minutes(), kMaxMinutes, "minutes"); !good)
        return tl::unexpected<Error>(good.error());
    request.maintenance = *kind;
    request.minutes = in.minutes();
    return request;
}

RequestReader::Read RequestReader::leader_move(const proto::NodeRequest& in) const {
    return with_node(begin(OperatorVerb::kLeaderMove, in.node(), in.options()), in.node());
}

RequestReader::Read RequestReader::timeout_ratio(const proto::TimeoutRatioRequest& in) const {
    if (in.ratio() == 0 || in.ratio() > kMaxTimeoutRatio) {
        return fail(ErrorCode::kUsage, fmt::format("{} is no ratio of time-outs", in.ratio()),
                    fmt::format("name 1 to {}; 1 is back to normal", kMaxTimeoutRatio));
    }
    if (in.ratio() != 1 && in.minutes() == 0) {
        return fail(ErrorCode::kUsage, "it is not said how long the ratio holds",
                    "name the minutes: the time-outs are as configured after them");
    }
    if (const Status good = within(in.minutes(), kMaxMinutes, "minutes"); !good)
        return tl::unexpected<Error>(good.error());
    OperatorRequest request = begin(OperatorVerb::kTimeoutRatio, "", in.options());
    request.amount = in.ratio();
    request.minutes = in.minutes();
    return request;
}

RequestReader::Read RequestReader::clear_final_actions(const proto::NodeRequest& in) const {
    return with_node(begin(OperatorVerb::kFinalActionsClear, in.node(), in.options()), in.node());
}

RequestReader::Read RequestReader::config_confirm(const proto::ChangeOptions& options) const {
    return begin(OperatorVerb::kConfigConfirm, "", options);
}

RequestReader::Read RequestReader::config_apply(const proto::ConfigApplyRequest& in, Bytes packed) const {
    const auto expected = parse_hash(in.expected_hash());
    if (!expected) return tl::unexpected<Error>(expected.error());
    if (const Status good = within(in.confirm_within_seconds(), kMaxConfirmSeconds, "seconds"); !good)
        return tl::unexpected<Error>(good.error());
    OperatorRequest request = begin(OperatorVerb::kConfigApply, "", in.options());
    request.bundle = std::move(packed);
    request.expected = *expected;
    request.amount = in.confirm_within_seconds();
    return request;
}

}  // namespace kagami::runtime
