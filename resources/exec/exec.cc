#include "resources/exec/exec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kagami::resources {
namespace {

using config::ParameterKind;

Status check_mode(std::string_view text) {
    if (text == "sync" || text == "async") return {};
    return fail(ErrorCode::kUsage, "is neither \"sync\" nor \"async\"", "write \"sync\" or \"async\"");
}

// Where systemd puts a service of the system; anything with a slash is a path below the mount of cgroup2.
std::string cgroup_of_unit(const std::string& unit) {
    return unit.find('/') == std::string::npos ? "system.slice/" + unit : unit;
}

Status check_unit(std::string_view text) {
    const std::string path = cgroup_of_unit(std::string(text));
    const bool ok = !text.empty() && path.size() <= 127 && path.front() != '/' && path.back() != '/' &&
                    path.find("..") == std::string::npos && path.find("//") == std::string::npos &&
                    text.find('.') != std::string_view::npos;
    if (ok) return {};
    return fail(ErrorCode::kUsage, "is no systemd unit and no cgroup",
                "write \"nginx.service\", or the path below the mount of cgroup2, such as "
                "\"machine.slice/libpod-web.scope\"");
}

constexpr std::array<config::Parameter, 7> kParameters = {{
    {"start", ParameterKind::kScript, false, "start.sh", 0, 0,
     "Runs at activation: a file stored with the configuration (scripts/GROUP/RESOURCE/NAME), or an absolute path."},
    {"stop", ParameterKind::kScript, false, "stop.sh", 0, 0,
     "Runs at deactivation; it must exit with 0 also when the service has already ended. What it leaves in the cgroup "
     "is killed afterwards."},
    {"start_mode", ParameterKind::kString, false, "sync", 0, 0,
     "\"sync\": active when the start program has ended with 0. \"async\": active once it runs; the program itself is "
     "the service.",
     check_mode},
    {"stop_mode", ParameterKind::kString, false, "sync", 0, 0,
     "\"sync\": a stop program that fails is a deactivation failure. \"async\": its result does not matter.",
     check_mode},
    {"start_timeout", ParameterKind::kDuration, false, "60s", 1, 9999,
     "When a synchronous start program is ended (SIGTERM, then SIGKILL)."},
    {"stop_timeout", ParameterKind::kDuration, false, "60s", 1, 9999,
     "When the stop program is ended (SIGTERM, then SIGKILL)."},
    {"units", ParameterKind::kStringList, false, "", 0, 0,
     "Systemd units, or other cgroups, that the service lives in when its start script hands it to somebody else: the "
     "guard freezes and kills them with the group. At most 4 a group; such a unit must not restart itself.",
     check_unit},
}};
constexpr std::array<std::string_view, 4> kAfter = {"volmgr", "disk", "md", "fip"};

// Kept of the deadline for emptying the cgroup.
Duration kill_reserve(Duration left) {
    return std::min<Duration>(5s, left / 4);
}

std::string name_of(const Context& context) {
    return context.group + "." + context.resource;
}

std::string log_of(const Context& context) {
    return "/var/lib/kagami/log/" + name_of(context) + ".log";
}

std::string resolve(const Context& context, const std::string& script) {
    if (script.starts_with('/')) return script;
    return fmt::format("{}/{}/{}/{}", context.script_directory, context.group, context.resource, script);
}

host::ScriptRequest request_for(const Context& context, const std::string& script, host::Mark mark) {
    host::ScriptRequest request;
    request.group = context.group;
    request.resource = context.resource;
    request.argv = {resolve(context, script)};
    request.environment = context.environment;
    request.log_name = name_of(context);
    request.mark = mark;
    return request;
}

// How a program ended badly, or nothing.
std::string failure_of(const host::ScriptResult& result, Duration timeout) {
    if (result.timed_out) return fmt::format("did not end within {:.3g} s", seconds(timeout));
    if (result.signal != 0) return fmt::format("was ended by signal {}", result.signal);
    if (result.exit_code != 0) return fmt::format("failed with exit status {}", result.exit_code);
    return "";
}

std::string quoted_output(const host::ScriptResult& result) {
    return result.last_output.empty() ? "" : ": \"" + result.last_output + "\"";
}

class Exec : public Resource {
 public:
    explicit Exec(host::Host& host) : host_(host) {}
    Status activate(const Context& context) override;
    Status deactivate(const Context& context) override;
    Result<Probe> probe(const Context& context) override;
    Result<Footprint> footprint(const Context& context) override {
        Footprint all;
        all.cgroup = true;
        if (!context.values.has("units")) return all;
        for (const std::string& unit : context.values.list("units")) all.units.push_back(cgroup_of_unit(unit));
        return all;
    }

 private:
    Status run_stop(const Context& context) const;
    bool ended_by_itself(const Context& context) const;
    host::Host& host_;
};

Status Exec::activate(const Context& context) {
    host::ScriptRequest request = request_for(context, context.values.text("start"), host::Mark::kActive);
    request.background = context.values.text("start_mode") == "async";
    const Instant now = host_.now();
    const Duration timeout = std::min(context.values.duration("start_timeout"), context.deadline - now);
    const auto result = host_.scripts->run(request, now + timeout);
    if (!result) return tl::unexpected(result.error());
    const std::string failure = failure_of(*result, timeout);
    if (failure.empty()) return {};
    return fail(result->timed_out ? ErrorCode::kTimedOut : ErrorCode::kFailed,
                fmt::format("{}: {} {}{}", name_of(context), request.argv[0], failure, quoted_output(*result)),
                "look into " + log_of(context));
}

Status Exec::run_stop(const Context& context) const {
    const host::ScriptRequest request = request_for(context, context.values.text("stop"), host::Mark::kInactive);
    const Instant now = host_.now();
    const Duration left = context.deadline - now;
    const Duration timeout = std::min(context.values.duration("stop_timeout"), left - kill_reserve(left));
    const auto result = host_.scripts->run(request, now + timeout);
    if (!result) return tl::unexpected(result.error());
    const std::string failure = failure_of(*result, timeout);
    if (failure.empty()) return {};
    return fail(result->timed_out ? ErrorCode::kTimedOut : ErrorCode::kFailed,
                fmt::format("{}: {} {}{}", name_of(context), request.argv[0], failure, quoted_output(*result)),
                "look into " + log_of(context) + " and make sure by hand that the service is stopped");
}

// The start left processes here, and none of them is left: there was nothing to stop.
bool Exec::ended_by_itself(const Context& context) const {
    const auto started = host_.scripts->started(context.group, context.resource);
    const auto processes = host_.scripts->processes(context.group, context.resource);
    return started && processes && started->active && started->main != 0 && processes->empty();
}

Status Exec::deactivate(const Context& context) {
    const bool nothing_to_stop = ended_by_itself(context);
    Status stopped = run_stop(context);
    const auto left = host_.scripts->processes(context.group, context.resource);
    if (Status killed = host_.scripts->kill_all(context.group, context.resource, context.deadline); !killed)
        return killed;
    if (stopped || nothing_to_stop || context.values.text("stop_mode") == "async") return {};
    if (left && !left->empty())
        stopped.error().message += fmt::format("; {} processes that it left have been killed", left->size());
    return stopped;
}

Result<Probe> Exec::probe(const Context& context) {
    const auto started = host_.scripts->started(context.group, context.resource);
    if (!started) return tl::unexpected(started.error());
    const auto processes = host_.scripts->processes(context.group, context.resource);
    if (!processes) return tl::unexpected(processes.error());
    const bool elsewhere = started->active && started->main == 0;
    if (elsewhere || (started->active && started->main_alive)) return Probe::kActive;
    return processes->empty() ? Probe::kInactive : Probe::kPartial;
}

}  // namespace

const config::TypeDescription& exec_description() {
    static const config::TypeDescription description = {"exec", "A service that scripts or programs start and stop.",
                                                        kParameters, kAfter};
    return description;
}

std::unique_ptr<Resource> make_exec(host::Host& host) {
    return std::make_unique<Exec>(host);
}

}  // namespace kagami::resources
