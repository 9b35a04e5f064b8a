#include "cli/change.h"
#include "cli/verbs.h"

namespace kagami::cli {
namespace {

std::string node_words(const Arguments& arguments) {
    return arguments.positional.empty() ? "This node" : "Node " + arguments.positional;
}

pb::NodeRequest node_request(const Arguments& arguments) {
    pb::NodeRequest request;
    request.set_node(arguments.positional);
    return request;
}

pb::GroupRequest group_request(const Arguments& arguments) {
    pb::GroupRequest request;
    request.set_group(arguments.positional);
    request.set_node(arguments.text("to"));
    return request;
}

pb::ResourceRequest resource_request(const Arguments& arguments) {
    pb::ResourceRequest request;
    request.set_resource(arguments.positional);
    return request;
}

}  // namespace

int run_group_start(Session& session, const Arguments& arguments) {
    return make_order(session, arguments, "", &Client::group_start, group_request(arguments));
}

int run_group_stop(Session& session, const Arguments& arguments) {
    return make_order(session, arguments,
                      "Group " + arguments.positional + " stops; its service is away until the group is started again.",
                      &Client::group_stop, group_request(arguments));
}

int run_group_move(Session& session, const Arguments& arguments) {
    pb::GroupMoveRequest request;
    request.set_group(arguments.positional);
    request.set_to_node(arguments.text("to"));
    return make_order(session, arguments, "", &Client::group_move, request);
}

int run_resource_start(Session& session, const Arguments& arguments) {
    return make_order(session, arguments, "", &Client::resource_start, resource_request(arguments));
}

int run_resource_stop(Session& session, const Arguments& arguments) {
    return make_order(session, arguments,
                      "Resource " + arguments.positional +
                          " stops and stays stopped until it is started again; its monitors are off meanwhile.",
                      &Client::resource_stop, resource_request(arguments));
}

int run_node_shutdown(Session& session, const Arguments& arguments) {
    if (arguments.has("reboot") && arguments.has("service-only")) {
        return report(session.console,
                      {ErrorCode::kUsage, "--reboot and --service-only exclude each other", "give one of them"});
    }
    pb::NodeRequest request = node_request(arguments);
    request.set_reboot(arguments.has("reboot"));
    request.set_stop_service_only(arguments.has("service-only"));
    const char* end = arguments.has("reboot")         ? "reboots."
                      : arguments.has("service-only") ? "leaves the cluster."
                                                      : "switches itself off.";
    return make_order(session, arguments,
                      node_words(arguments) + " gives its groups to others, or stops them, and " + end,
                      &Client::node_shutdown, request);
}

int run_node_reboot(Session& session, const Arguments& arguments) {
    pb::NodeRequest request = node_request(arguments);
    request.set_reboot(true);
    std::string consequence = node_words(arguments) + " gives its groups to others, or stops them, and reboots.";
    if (arguments.has("reserve")) {
        const auto minutes = minutes_of(arguments, "reserve");
        if (!minutes) return report(session.console, minutes.error());
        request.set_reserve_minutes(*minutes);
        consequence = node_words(arguments) + " stops its groups and reboots; they wait for it, " +
                      std::to_string(*minutes) + " min at most.";
    }
    return make_order(session, arguments, consequence, &Client::node_shutdown, request);
}

int run_node_return(Session& session, const Arguments& arguments) {
    return make_order(session, arguments, "", &Client::node_return, node_request(arguments));
}

int run_clear_final_actions(Session& session, const Arguments& arguments) {
    return make_order(session, arguments, "", &Client::clear_final_actions, node_request(arguments));
}

int run_leader_move(Session& session, const Arguments& arguments) {
    return make_order(session, arguments, "", &Client::leader_move, node_request(arguments));
}

int run_cluster_start(Session& session, const Arguments& arguments) {
    const bool alone = arguments.has("alone");
    if (alone != arguments.has("confirm-down")) {
        return report(session.console, {ErrorCode::kUsage, "--alone and --confirm-down go together",
                                        "name each node that you have seen to be off: --alone --confirm-down NODE"});
    }
    pb::ClusterStartRequest request;
    request.set_now(arguments.has("now"));
    request.set_alone(alone);
    for (const std::string& node : arguments.texts("confirm-down")) request.add_confirm_down(node);
    const std::string consequence =
        alone ? "Groups start here without a majority. If a node named as down still runs, both may write." : "";
    return make_order(session, arguments, consequence, &Client::cluster_start, request);
}

int run_cluster_stop(Session& session, const Arguments& arguments) {
    return make_order(session, arguments, "Every group stops, and the cluster service ends on every node.",
                      &Client::cluster_stop, pb::ClusterStopRequest{});
}

int run_cluster_shutdown(Session& session, const Arguments& arguments) {
    pb::ClusterStopRequest request;
    request.set_reboot(arguments.has("reboot"));
    request.set_halt(!request.reboot());
    return make_order(
        session, arguments,
        std::string("Every group stops, and every node ") + (request.reboot() ? "reboots." : "switches itself off."),
        &Client::cluster_stop, request);
}

}  // namespace kagami::cli
