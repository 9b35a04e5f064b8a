#include "cli/change.h"
#include "cli/verbs.h"

namespace kagami::cli {
namespace {

template <typename Request>
Request with_options(Request request, const pb::ChangeOptions& options) {
    *request.mutable_options() = options;
    return request;
}

}  // namespace

int run_group_start(Session& session, const Arguments& arguments) {
    pb::GroupRequest request;
    request.set_group(arguments.positional);
    request.set_node(arguments.text("to"));
    return make_change(session, arguments, "",
                       [&](Client& client, const pb::ChangeOptions& options, const Client::Show& show) {
                           return client.group_start(with_options(request, options), show);
                       });
}

int run_group_stop(Session& session, const Arguments& arguments) {
    pb::GroupRequest request;
    request.set_group(arguments.positional);
    return make_change(
        session, arguments,
        "Group " + arguments.positional + " stops; its service is away until the group is started again.",
        [&](Client& client, const pb::ChangeOptions& options, const Client::Show& show) {
            return client.group_stop(with_options(request, options), show);
        });
}

int run_group_move(Session& session, const Arguments& arguments) {
    pb::GroupMoveRequest request;
    request.set_group(arguments.positional);
    request.set_to_node(arguments.text("to"));
    return make_change(session, arguments, "",
                       [&](Client& client, const pb::ChangeOptions& options, const Client::Show& show) {
                           return client.group_move(with_options(request, options), show);
                       });
}

int run_node_shutdown(Session& session, const Arguments& arguments) {
    if (arguments.has("reboot") && arguments.has("service-only")) {
        return report(session.console,
                      {ErrorCode::kUsage, "--reboot and --service-only exclude each other", "give one of them"});
    }
    pb::NodeRequest request;
    request.set_node(arguments.positional);
    request.set_reboot(arguments.has("reboot"));
    request.set_stop_service_only(arguments.has("service-only"));
    const std::string node = arguments.positional.empty() ? "This node" : "Node " + arguments.positional;
    const char* end = arguments.has("reboot")         ? "reboots."
                      : arguments.has("service-only") ? "leaves the cluster."
                                                      : "switches itself off.";
    const std::string consequence = node + " gives its groups to others, or stops them, and " + end;
    return make_change(session, arguments, consequence,
                       [&](Client& client, const pb::ChangeOptions& options, const Client::Show& show) {
                           return client.node_shutdown(with_options(request, options), show);
                       });
}

int run_node_return(Session& session, const Arguments& arguments) {
    pb::NodeRequest request;
    request.set_node(arguments.positional);
    return make_change(session, arguments, "",
                       [&](Client& client, const pb::ChangeOptions& options, const Client::Show& show) {
                           return client.node_return(with_options(request, options), show);
                       });
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
    return make_change(session, arguments, consequence,
                       [&](Client& client, const pb::ChangeOptions& options, const Client::Show& show) {
                           return client.cluster_start(with_options(request, options), show);
                       });
}

int run_cluster_stop(Session& session, const Arguments& arguments) {
    return make_change(session, arguments, "Every group stops, and the cluster service ends on every node.",
                       [&](Client& client, const pb::ChangeOptions& options, const Client::Show& show) {
                           return client.cluster_stop(with_options(pb::ClusterStopRequest{}, options), show);
                       });
}

}  // namespace kagami::cli
