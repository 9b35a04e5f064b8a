#include "cluster-daemon/runtime/daemon/script_runs.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "cluster-daemon/engine/local_rules.h"
#include "resources/resource.h"

namespace kagami::runtime {
namespace {

constexpr Duration kKillLimit = 10s;

engine::ScriptDone failed(uint64_t operation, std::string message) {
    return {operation, false, std::move(message)};
}

engine::ScriptDone judged(uint64_t operation, const std::string& what, const Result<host::ScriptResult>& result,
                          Duration timeout) {
    if (!result) return failed(operation, sentence(result.error()));
    std::string how;
    if (result->timed_out)
        how = fmt::format("did not end within {:.3g} s", seconds(timeout));
    else if (result->signal != 0)
        how = fmt::format("was ended by signal {}", result->signal);
    else if (result->exit_code != 0)
        how = fmt::format("ended with {}", result->exit_code);
    if (how.empty()) return {operation, true, ""};
    const std::string output = result->last_output.empty() ? "" : ": \"" + result->last_output + "\"";
    return failed(operation, fmt::format("{} {}{}", what, how, output));
}

// The service itself lives in the resource's cgroup.
bool lives_in_cgroup(host::Host& host, const ScriptScene& scene, const FoundResource& found) {
    const resources::Type* type = resources::find(found.resource->type);
    if (type == nullptr) return false;
    resources::Context context;
    context.group = found.group->name;
    context.resource = found.resource->name;
    context.values = values_on(found.resource->values, scene.self);
    const auto covered = type->make(host)->footprint(context);
    return covered && covered->cgroup;
}

void end_what_is_left(host::Host& host, const host::ScriptRequest& request) {
    const Status ended = host.scripts->kill_all(request.group, request.resource, host.now() + kKillLimit);
    if (!ended) spdlog::error("{}: {}", request.log_name, sentence(ended.error()));
}

}  // namespace

FoundResource find_resource(const config::Config& config, const std::string& group, const std::string& resource) {
    const config::Group* found = config.group(group);
    if (found == nullptr) return {};
    for (const auto& candidate : found->resources) {
        if (candidate.name == resource) return {found, &candidate};
    }
    return {};
}

config::Values values_on(const std::map<NodeId, config::Values>& values, NodeId node) {
    const auto at = values.find(node);
    return at == values.end() ? config::Values{} : at->second;
}

std::string sentence(const Error& error) {
    return error.remedy.empty() ? error.message : error.message + " (" + error.remedy + ")";
}

engine::ScriptDone run_script(host::Host& host, const ScriptScene& scene, const engine::RunResourceScript& command) {
    const FoundResource found = find_resource(scene.config, command.group, command.resource);
    if (found.resource == nullptr)
        return failed(command.operation, fmt::format("resource {} of group {} is not in the configuration in force",
                                                     command.resource, command.group));
    const std::string& script = engine::script_of(found.resource->scripts, command.moment);
    if (script.empty()) return {command.operation, true, ""};  // removed meanwhile
    host::ScriptRequest request;
    request.group = command.group;
    request.resource = command.resource;
    request.argv = {script.starts_with('/') ? script
                                            : fmt::format("{}/{}/{}/{}", scene.script_directory, command.group,
                                                          command.resource, script)};
    request.environment = clp_environment(scene, *found.group, command);
    request.log_name = command.group + "." + command.resource;
    const auto result = host.scripts->run(request, host.now() + command.timeout);
    if (command.moment == engine::ScriptMoment::kAfterDeactivation || !lives_in_cgroup(host, scene, found))
        end_what_is_left(host, request);
    return judged(command.operation, request.argv[0], result, command.timeout);
}

engine::ScriptDone run_script(host::Host& host, const ScriptScene& scene, const engine::RunRecoveryScript& command) {
    const config::Monitor* monitor = scene.config.monitor(command.monitor);
    if (monitor == nullptr)
        return failed(command.operation,
                      fmt::format("monitor {} is not in the configuration in force", command.monitor));
    host::ScriptRequest request;
    request.group = monitor->target_group.empty() ? "monitors" : monitor->target_group;
    request.resource = monitor->target.empty() ? command.monitor : monitor->target;
    request.argv = {fmt::format("{}/monitors/{}/recovery.sh", scene.script_directory, command.monitor)};
    request.environment = clp_environment(scene, *monitor, command);
    request.log_name = "monitors." + command.monitor;
    const auto result = host.scripts->run(request, host.now() + command.timeout);
    if (monitor->target_group.empty()) end_what_is_left(host, request);  // nothing covers it
    return judged(command.operation, request.argv[0], result, command.timeout);
}

}  // namespace kagami::runtime
