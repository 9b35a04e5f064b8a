#include <charconv>

#include "cli/change.h"
#include "cli/verbs.h"

namespace kagami::cli {
namespace {

using Monitor = pb::MonitorRequest;
using Failover = pb::FailoverRequest;

constexpr uint32_t kMostRatio = 10000;

int control_monitor(Session& session, const Arguments& arguments, Monitor::Action action,
                    const std::string& consequence) {
    Monitor request;
    request.set_action(action);
    request.set_monitor(arguments.positional);
    request.set_node(arguments.text("node"));
    return make_order(session, arguments, consequence, &Client::monitor_control, request);
}

int control_failover(Session& session, const Arguments& arguments, Failover::Action action,
                     const std::string& consequence) {
    Failover request;
    request.set_action(action);
    return make_order(session, arguments, consequence, &Client::failover_control, request);
}

Result<pb::MaintenanceRequest> maintenance_of(const Arguments& arguments) {
    if (arguments.has("node") && arguments.has("group"))
        return fail(ErrorCode::kUsage, "--node and --group exclude each other", "give one of them");
    pb::MaintenanceRequest request;
    request.set_scope(arguments.has("node") ? "node" : arguments.has("group") ? "group" : "cluster");
    request.set_subject(arguments.text(arguments.has("node") ? "node" : "group"));
    return request;
}

std::string scope_words(const pb::MaintenanceRequest& request) {
    return request.scope() == "cluster" ? "the whole cluster" : request.scope() + " " + request.subject();
}

std::string consequence_of(const pb::MaintenanceRequest& request) {
    const std::string text = "For " + std::to_string(request.minutes()) + " min nothing is decided automatically for " +
                             scope_words(request) + ": no restart, no failover, no final action.";
    if (request.kind() != "unmanaged") return text;
    return text + " Its guard lets go: if it fails, its groups wait for a proof of its death or for a person.";
}

}  // namespace

Result<uint32_t> minutes_of(const Arguments& arguments, std::string_view option) {
    if (!arguments.has(option)) {
        return fail(ErrorCode::kUsage, "--" + std::string(option) + " DURATION is required",
                    "say when it ends by itself, such as --" + std::string(option) + " 30min");
    }
    constexpr int64_t kMinute = 60000;
    constexpr int64_t kMost = int64_t{30} * 24 * 60;  // minutes, as the daemon bounds them
    const int64_t given = milliseconds(arguments.duration(option, Duration(0)));
    const int64_t minutes = (given + kMinute - 1) / kMinute;
    if (minutes >= 1 && minutes <= kMost) return static_cast<uint32_t>(minutes);
    return fail(ErrorCode::kUsage,
                "--" + std::string(option) + ": \"" + arguments.text(option) + "\" is out of range 1min to 720h",
                "it is counted in whole minutes");
}

int run_monitor_suspend(Session& session, const Arguments& arguments) {
    return control_monitor(session, arguments, Monitor::SUSPEND, "");
}
int run_monitor_resume(Session& session, const Arguments& arguments) {
    return control_monitor(session, arguments, Monitor::RESUME, "");
}
int run_monitor_fail(Session& session, const Arguments& arguments) {
    return control_monitor(session, arguments, Monitor::DUMMY_ON,
                           "Monitor " + arguments.positional +
                               " reports an error: its recovery runs as configured, and the service may restart, move "
                               "or end.");
}
int run_monitor_unfail(Session& session, const Arguments& arguments) {
    return control_monitor(session, arguments, Monitor::DUMMY_OFF, "");
}
int run_monitor_clear(Session& session, const Arguments& arguments) {
    return control_monitor(session, arguments, Monitor::CLEAR, "");
}

int run_failover_on(Session& session, const Arguments& arguments) {
    return control_failover(session, arguments, Failover::ON, "");
}
int run_failover_off(Session& session, const Arguments& arguments) {
    return control_failover(session, arguments, Failover::OFF,
                            "Nothing goes to another node by itself: a service whose node fails stays away until "
                            "`kagami failover on`.");
}
int run_failover_force(Session& session, const Arguments& arguments) {
    return control_failover(session, arguments, Failover::FORCE,
                            "The leader hands its role to another node, and its groups move there; each pauses while "
                            "it stops here and starts there.");
}

int run_maintenance_begin(Session& session, const Arguments& arguments) {
    auto request = maintenance_of(arguments);
    if (!request) return report(session.console, request.error());
    const auto minutes = minutes_of(arguments, "for");
    if (!minutes) return report(session.console, minutes.error());
    request->set_minutes(*minutes);
    request->set_kind(arguments.has("kind") ? arguments.text("kind") : "observe");
    if (request->kind() == "unmanaged" && request->scope() != "node") {
        return report(session.console, {ErrorCode::kUsage, "unmanaged is a maintenance of one node",
                                        "add --node NODE, or take --kind observe"});
    }
    return make_order(session, arguments, consequence_of(*request), &Client::maintenance_control, *request);
}

int run_maintenance_end(Session& session, const Arguments& arguments) {
    auto request = maintenance_of(arguments);
    if (!request) return report(session.console, request.error());
    request->set_end(true);
    return make_order(session, arguments, "", &Client::maintenance_control, *request);
}

int run_ratio_set(Session& session, const Arguments& arguments) {
    const std::string& text = arguments.positional;
    uint32_t ratio = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), ratio);
    const bool number = parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size();
    if (!number || ratio < 1 || ratio > kMostRatio) {
        return report(session.console, {ErrorCode::kUsage, "timeout-ratio set: \"" + text + "\" is not 1 to 10000",
                                        "2 makes every time-out twice as long"});
    }
    const auto minutes = minutes_of(arguments, "for");
    if (!minutes) return report(session.console, minutes.error());
    pb::TimeoutRatioRequest request;
    request.set_ratio(ratio);
    request.set_minutes(*minutes);
    return make_order(session, arguments, "", &Client::set_timeout_ratio, request);
}

int run_ratio_reset(Session& session, const Arguments& arguments) {
    pb::TimeoutRatioRequest request;
    request.set_ratio(1);
    return make_order(session, arguments, "", &Client::set_timeout_ratio, request);
}

int run_notify(Session& session, const Arguments& arguments) {
    pb::NotifyRequest request;
    request.set_message(arguments.positional);
    request.set_level(arguments.text("level"));
    request.set_id(arguments.text("id"));
    if (arguments.number("id", 0) > 9999)
        return report(session.console, {ErrorCode::kUsage, "--id: \"" + request.id() + "\" is not 0 to 9999", ""});
    for (const std::string& channel : arguments.texts("to")) request.add_channels(channel);
    request.set_person(change_options(arguments).person());
    const auto client = Client::connect(session.places.socket);
    if (!client) return report(session.console, client.error());
    const Status sent = (*client)->notify(request);
    if (!sent) return report(session.console, sent.error());
    session.console.err << "The message is on its way.\n";
    return 0;
}

}  // namespace kagami::cli
