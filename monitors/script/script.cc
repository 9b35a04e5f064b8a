#include "monitors/script/script.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "monitors/words.h"

namespace kagami::monitors {
namespace {

using config::ParameterKind;

Status check_status(std::string_view text) {
    int value = -1;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size() && value >= 0 && value <= 255 &&
        std::to_string(value) == text)
        return {};
    return fail(ErrorCode::kUsage, "is not an exit status",
                "write numbers from 0 to 255 as texts: normal = [\"0\", \"3\"]");
}

Status check_mode(std::string_view text) {
    return one_of(text, "sync", "async");
}

constexpr std::array<config::Parameter, 5> kParameters = {{
    {"script", ParameterKind::kScript, false, "genw.sh", 0, 0,
     "The script: stored with the configuration (scripts/monitors/MONITOR/NAME), or an absolute path."},
    {"mode", ParameterKind::kString, false, "sync", 0, 0,
     "\"sync\": it runs at each check, and its exit status decides. \"async\": it is started once and must stay alive.",
     check_mode},
    {"normal", ParameterKind::kStringList, false, "0", 0, 0, "Exit statuses that mean normal (sync).", check_status},
    {"caution", ParameterKind::kStringList, false, "", 0, 0, "Exit statuses that mean caution (sync).", check_status},
    {"stop_timeout", ParameterKind::kDuration, false, "5s", 0, 999,
     "How long a script that stays (async) may take to end when the monitor stops, before it is killed."},
}};

// The helper ends what it started with SIGTERM and SIGKILL, a second each, after the time that it is given.
Duration ending_reserve(Duration left) {
    return std::min<Duration>(2100ms, left / 4);
}

std::string log_of(const Context& context) {
    return "/var/lib/kagami/log/monitors." + context.monitor + ".log";
}

bool holds(const std::vector<std::string>& statuses, int status) {
    return std::find(statuses.begin(), statuses.end(), std::to_string(status)) != statuses.end();
}

host::ScriptRequest request_for(const Context& context) {
    const std::string& script = context.values.text("script");
    host::ScriptRequest request;
    request.group = kScriptGroup;
    request.resource = context.monitor;
    request.argv = {script.starts_with('/')
                        ? script
                        : fmt::format("{}/monitors/{}/{}", context.script_directory, context.monitor, script)};
    request.environment = {{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
                           {"LANG", "C.UTF-8"},
                           {"CLP_MONITORNAME", context.monitor}};
    if (!context.target_group.empty()) request.environment["CLP_GROUPNAME"] = context.target_group;
    if (!context.target_resource.empty()) request.environment["CLP_RESOURCENAME"] = context.target_resource;
    request.log_name = "monitors." + context.monitor;
    return request;
}

// "OUTPUT (check.sh: WHAT)", or "check.sh WHAT" of a script that says nothing.
std::string told(const Context& context, const host::ScriptResult& result, const std::string& what) {
    const std::string& script = context.values.text("script");
    if (result.last_output.empty()) return script + " " + what;
    return fmt::format("{} ({} {})", result.last_output, script, what);
}

class Script : public Monitor {
 public:
    explicit Script(host::Host& host) : host_(host) {}

    Result<Finding> check(const Context& context) override {
        return context.values.text("mode") == "async" ? look_at_living(context) : run_once(context);
    }

    Status stop(const Context& context) override {
        if (context.values.text("mode") != "async") return {};
        const Duration grace = context.values.duration("stop_timeout");
        if (Status ended = host_.scripts->kill_all(kScriptGroup, context.monitor, host_.now() + grace); !ended)
            return ended;
        return forget(context);
    }

 private:
    Result<Finding> run_once(const Context& context) {
        const host::ScriptRequest request = request_for(context);
        const Instant now = host_.now();
        const Duration left = std::max(context.deadline - now, Duration(0ns));
        const Duration limit = left - ending_reserve(left);
        const auto result = host_.scripts->run(request, now + limit);
        if (!result) return tl::unexpected(result.error());
        end_rest(context);
        if (result->timed_out)
            return fail(ErrorCode::kTimedOut,
                        told(context, *result, fmt::format("did not end within {:.3g} s", seconds(limit))),
                        "look into " + log_of(context));
        if (result->signal != 0)
            return Finding{Health::kError,
                           told(context, *result, fmt::format("was ended by signal {}", result->signal))};
        const std::string ended = fmt::format("ended with exit status {}", result->exit_code);
        if (holds(context.values.list("normal"), result->exit_code))
            return Finding{Health::kNormal,
                           result->last_output.empty() ? told(context, *result, ended) : result->last_output};
        const bool caution = holds(context.values.list("caution"), result->exit_code);
        return Finding{caution ? Health::kCaution : Health::kError, told(context, *result, ended)};
    }

    void end_rest(const Context& context) {
        const auto rest = host_.scripts->processes(kScriptGroup, context.monitor);
        if (!rest || rest->empty()) return;
        host_.note(fmt::format("monitor {}: {} left {} processes behind, which are ended", context.monitor,
                               context.values.text("script"), rest->size()));
        const Status ended = host_.scripts->kill_all(kScriptGroup, context.monitor, host_.now() + 1s);
        if (!ended) host_.note("monitor " + context.monitor + ": " + ended.error().message);
    }

    Result<Finding> look_at_living(const Context& context) {
        const auto started = host_.scripts->started(kScriptGroup, context.monitor);
        if (!started) return tl::unexpected(started.error());
        const std::string& script = context.values.text("script");
        if (started->active && started->main_alive)
            return Finding{Health::kNormal, fmt::format("process {} of {} is alive", started->main, script)};
        end_rest(context);
        const auto again = start(context);
        if (!again) return tl::unexpected(again.error());
        if (!again->empty()) return Finding{Health::kError, *again};
        if (!started->active) return Finding{Health::kNormal, script + " was started"};
        return Finding{Health::kError, fmt::format("process {} of {} has ended; it was started again, see {}",
                                                   started->main, script, log_of(context))};
    }

    // How it ended badly at once, or nothing.
    Result<std::string> start(const Context& context) {
        host::ScriptRequest request = request_for(context);
        request.background = true;
        request.mark = host::Mark::kActive;
        const auto result = host_.scripts->run(request, context.deadline);
        if (!result) return tl::unexpected(result.error());
        if (result->timed_out) return told(context, *result, "did not start in time");
        if (result->signal != 0)
            return told(context, *result, fmt::format("was ended at once by signal {}", result->signal));
        if (result->exit_code != 0)
            return told(context, *result, fmt::format("ended at once with exit status {}", result->exit_code));
        return std::string();
    }

    // The helper's mark says "started" until a program with another mark has run.
    Status forget(const Context& context) {
        host::ScriptRequest request = request_for(context);
        request.argv = {"/usr/bin/true"};
        request.mark = host::Mark::kInactive;
        const auto done = host_.scripts->run(request, host_.now() + 5s);
        if (!done) return tl::unexpected(done.error());
        return {};
    }

    host::Host& host_;
};

}  // namespace

const config::TypeDescription& script_description() {
    static const config::TypeDescription description = {
        "genw", "Runs a script; its exit status, or that it stays alive, decides.", kParameters, {}};
    return description;
}

std::unique_ptr<Monitor> make_script(host::Host& host) {
    return std::make_unique<Script>(host);
}

}  // namespace kagami::monitors
