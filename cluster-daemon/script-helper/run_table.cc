#include "cluster-daemon/script-helper/run_table.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "common/host/boot_clock.h"
#include "common/host/pidfd.h"
#include "common/host/trusted_path.h"
#include "common/ids.h"

namespace kagami::script_helper {
namespace {

std::string full_name(const host::ScriptRequest& script) {
    return script.group + "." + script.resource;
}

bool holds_nul(const std::string& text) {
    return text.find('\0') != std::string::npos;
}

Status check_script(const host::ScriptRequest& script) {
    if (!valid_name(script.group) || !valid_name(script.resource))
        return fail(ErrorCode::kUsage, "a script for a group or resource whose name is not valid",
                    "names match [A-Za-z0-9][A-Za-z0-9_-]{0,30}");
    if (!valid_log_name(script.log_name))
        return fail(ErrorCode::kUsage, full_name(script) + ": the name of its log is not valid", "use GROUP.RESOURCE");
    if (script.argv.empty()) return fail(ErrorCode::kUsage, full_name(script) + ": no program is named");
    const bool bad_environment =
        std::any_of(script.environment.begin(), script.environment.end(), [](const auto& entry) {
            return entry.first.empty() || entry.first.find('=') != std::string::npos || holds_nul(entry.first) ||
                   holds_nul(entry.second);
        });
    if (bad_environment || std::any_of(script.argv.begin(), script.argv.end(), holds_nul))
        return fail(ErrorCode::kUsage, full_name(script) + ": an argument or environment entry is malformed",
                    "no NUL bytes, and no = in the name of a variable");
    return host::check_trusted_program(script.argv[0]);
}

bool has_ended(const UniqueFd& pidfd) {
    pollfd entry{pidfd.get(), POLLIN, 0};
    return ::poll(&entry, 1, 0) > 0;
}

std::string ending_text(const host::ScriptResult& result) {
    if (result.timed_out) return "was ended at its time-out";
    if (result.signal != 0) return fmt::format("was ended by signal {}", result.signal);
    return fmt::format("ended with exit status {}", result.exit_code);
}

}  // namespace

RunTable::RunTable(host::EventLoop& loop, Places places, Respond respond)
    : loop_(loop),
      places_(std::move(places)),
      respond_(std::move(respond)),
      logs_(places_.log_directory, places_.log_limit_bytes),
      journal_(places_.journal_directory) {}

host::Cgroup RunTable::cgroup(const host::ScriptRequest& script) const {
    return {places_.cgroup_root, script.group, script.resource};
}

Error RunTable::lost_result(const host::ScriptRequest& script) const {
    return {ErrorCode::kFailed,
            fmt::format("{}: the result of {} is unknown, because the script helper was restarted while it ran; {} "
                        "processes are in its "
                        "cgroup",
                        full_name(script), script.argv.empty() ? "its script" : script.argv[0],
                        cgroup(script).processes().size()),
            fmt::format("look into {}/{}.log for how far it came; stopping the resource ends what is left",
                        places_.log_directory, script.log_name)};
}

// ---- what an earlier helper left

void RunTable::adopt() {
    for (auto& [id, record] : journal_.load()) adopt_one(id, std::move(record));
}

void RunTable::adopt_one(uint64_t id, Record record) {
    last_id_ = std::max(last_id_, id);
    auto run = std::make_shared<Run>();
    run->id = id;
    run->record = std::move(record);
    run->adopted = true;
    run->state = State::kRunning;
    run->pidfd = host::open_pidfd(run->record.pid);
    // The start time is compared after the pidfd is open: from then on the pid cannot become somebody else.
    const bool alive = run->pidfd.valid() && host::process_start_ticks(run->record.pid) == run->record.start_ticks;
    if (!alive && run->record.script.background) return journal_.remove(id);
    runs_[id] = run;
    if (!alive) return end(run, error_reply(lost_result(run->record.script)));
    watch_exit(run);
    if (!run->record.script.background) arm_deadline(run);
}

// ---- requests

RunTable::RunPtr RunTable::find(const host::ScriptRequest& script) const {
    for (const auto& [id, run] : runs_) {
        const auto& known = run->record.script;
        if (!run->discarded && known.group == script.group && known.resource == script.resource &&
            known.argv == script.argv)
            return run;
    }
    return nullptr;
}

void RunTable::run(const Request& request, Asker asker) {
    const RunPtr known = find(request.script);
    const bool fetching = request.verb == Verb::kFetch;
    if (known && (fetching || known->state != State::kEnded)) return attach(known, request, asker);
    if (fetching) return respond_(asker, error_reply(lost_result(request.script)));
    const auto run = start(request);
    if (!run) return respond_(asker, error_reply(run.error()));
    (*run)->asker = asker;
}

void RunTable::attach(const RunPtr& run, const Request& request, Asker asker) {
    if (run->asker != 0 && run->state != State::kEnded) {
        respond_(run->asker, error_reply(Error{ErrorCode::kRefused,
                                               full_name(request.script) + ": the same request was sent again", ""}));
    }
    run->asker = asker;
    if (run->state == State::kEnded) return respond_(asker, run->reply);
    if (run->record.script.background && run->state == State::kRunning) {
        run->asker = 0;
        return respond_(asker, {});
    }
    if (run->state == State::kEnding) return;
    run->record.deadline = request.deadline;
    arm_deadline(run);
}

Result<RunTable::RunPtr> RunTable::start(const Request& request) {
    const auto& script = request.script;
    if (Status good = check_script(script); !good) return tl::unexpected(good.error());
    if (runs_.size() >= kMaxRuns)
        return fail(ErrorCode::kRefused,
                    full_name(script) + ": " + std::to_string(kMaxRuns) + " scripts are running already");
    drop_ended(script.group, script.resource);
    logs_.note(script.log_name, script.argv[0] + " started");
    auto log = logs_.open(script.log_name);
    if (!log) return tl::unexpected(log.error());
    if (Status made = cgroup(script).make(); !made) return tl::unexpected(made.error());
    const auto entry = cgroup(script).open_entry();
    if (!entry) return tl::unexpected(entry.error());
    const auto before = cgroup(script).processes();
    auto child = launch({script.argv, script.environment, entry->get(), log->fd.get()});
    if (!child) return tl::unexpected(child.error());

    auto run = std::make_shared<Run>();
    run->id = ++last_id_;
    run->record = {script, request.deadline, child->pid, host::process_start_ticks(child->pid), log->begin};
    run->record.script.environment.clear();
    run->before = before;
    run->pidfd = std::move(child->pidfd);
    run->exec_status = std::move(child->exec_status);
    journal_.save(run->id, run->record);
    runs_[run->id] = run;
    watch_exit(run);
    loop_.watch(run->exec_status.get(), EPOLLIN, [this, run] { on_exec_status(run); });
    arm_deadline(run);
    return run;
}

void RunTable::acknowledge(Asker asker) {
    const auto found =
        std::find_if(runs_.begin(), runs_.end(), [&](const auto& entry) { return entry.second->asker == asker; });
    if (found == runs_.end()) return;
    const RunPtr run = found->second;
    run->asker = 0;
    if (run->state == State::kEnded) erase(run);
}

void RunTable::detach(Asker asker) {
    for (auto& [id, run] : runs_) {
        if (run->asker == asker) run->asker = 0;
    }
    limit_kept();
}

void RunTable::limit_kept() {
    std::vector<RunPtr> kept;
    for (const auto& [id, run] : runs_) {
        if (run->state == State::kEnded && run->asker == 0) kept.push_back(run);
    }
    for (size_t i = 0; i + kMaxKept < kept.size(); ++i) erase(kept[i]);
}

std::vector<Listed> RunTable::list() const {
    std::vector<Listed> listed;
    for (const auto& [id, run] : runs_) {
        const auto& script = run->record.script;
        listed.push_back({id, script.group, script.resource, script.argv[0], run->record.pid,
                          run->state != State::kEnded, script.background});
    }
    return listed;
}

void RunTable::drop_ended(const std::string& group, const std::string& resource) {
    std::vector<RunPtr> ended;
    for (const auto& [id, run] : runs_) {
        const auto& script = run->record.script;
        if (run->state == State::kEnded && script.group == group && script.resource == resource) ended.push_back(run);
    }
    for (const RunPtr& run : ended) erase(run);
}

void RunTable::discard(const std::string& group, const std::string& resource) {
    drop_ended(group, resource);
    for (const auto& [id, run] : runs_) {
        const auto& script = run->record.script;
        if (script.group == group && script.resource == resource) run->discarded = true;
    }
}

// ---- events of a run

void RunTable::watch_exit(const RunPtr& run) {
    loop_.watch(run->pidfd.get(), EPOLLIN, [this, run] { on_exit(run); });
}

void RunTable::arm_deadline(const RunPtr& run) {
    loop_.cancel(run->timer);
    run->timer = loop_.at(run->record.deadline, [this, run] { on_deadline(run); });
}

void RunTable::on_exec_status(const RunPtr& run) {
    int error_number = 0;
    const ssize_t got = ::read(run->exec_status.get(), &error_number, sizeof error_number);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    loop_.forget(run->exec_status.get());
    run->exec_status.reset();
    const auto& script = run->record.script;
    if (got == sizeof error_number) {
        const std::string why = errno_text(error_number);
        run->reply.error = Error{ErrorCode::kFailed, full_name(script) + ": cannot run " + script.argv[0] + ": " + why,
                                 "check its first line (#!...) and the file system that it lies on"};
        return;  // its exit follows
    }
    if (run->state != State::kStarting) return;
    if (script.background && has_ended(run->pidfd)) return;  // its end follows, and is the answer
    run->state = State::kRunning;
    if (!script.background) return;
    loop_.cancel(run->timer);
    set_mark(*run);
    if (run->asker != 0) respond_(run->asker, {});
    run->asker = 0;
}

void RunTable::on_exit(const RunPtr& run) {
    if (run->exec_status.valid()) on_exec_status(run);
    loop_.forget(run->pidfd.get());
    siginfo_t info{};
    if (!run->adopted) ::waitid(P_PIDFD, static_cast<id_t>(run->pidfd.get()), &info, WEXITED | WNOHANG);
    run->pidfd.reset();
    run->exit = info;
    // Children that ignore SIGTERM keep their grace; on_grace_over ends them.
    if (run->state == State::kEnding && !run->killed &&
        !started_by(*run, cgroup(run->record.script).processes()).empty())
        return;
    conclude(run);
}

void RunTable::on_deadline(const RunPtr& run) {
    run->state = State::kEnding;
    run->timed_out = true;
    signal_started(*run, SIGTERM);
    run->timer = loop_.at(host::boot_now() + kTermGrace, [this, run] { on_grace_over(run); });
}

void RunTable::on_grace_over(const RunPtr& run) {
    signal_started(*run, SIGKILL);
    run->killed = true;
    run->timer = 0;
    if (run->exit) return conclude(run);
    // Blocked in the kernel: the answer does not wait for it.
    run->timer = loop_.at(host::boot_now() + kTermGrace, [this, run] { conclude(run); });
}

std::vector<host::CgroupProcess> RunTable::started_by(const Run& run, std::vector<host::CgroupProcess> processes) {
    std::erase_if(processes, [&](const auto& process) {
        return process.start_ticks < run.record.start_ticks ||
               std::find(run.before.begin(), run.before.end(), process) != run.before.end();
    });
    return processes;
}

void RunTable::signal_started(const Run& run, int signal) const {
    // Again and again, because a process may fork between the list and the signal; bounded, because SIGTERM may be
    // ignored.
    const int rounds = signal == SIGKILL ? 20 : 1;
    for (int round = 0; round < rounds; ++round) {
        const auto all = cgroup(run.record.script).processes();
        const auto started = started_by(run, all);
        if (started.empty()) return;
        const bool nothing_else = signal == SIGKILL && started.size() == all.size();
        if (nothing_else && cgroup(run.record.script).kill()) return;
        for (const auto& process : started) ::kill(process.pid, signal);
    }
}

void RunTable::conclude(const RunPtr& run) {
    const auto& script = run->record.script;
    Reply reply = run->reply;
    const siginfo_t exit = run->exit.value_or(siginfo_t{});
    const bool by_signal = exit.si_code == CLD_KILLED || exit.si_code == CLD_DUMPED;
    reply.result.exit_code = exit.si_code == CLD_EXITED ? exit.si_status : -1;
    reply.result.signal = by_signal ? exit.si_status : 0;
    reply.result.timed_out = run->timed_out;
    reply.result.last_output = logs_.last_line(script.log_name, run->record.log_begin);
    if (run->adopted && !run->timed_out) reply.error = lost_result(script);
    logs_.note(script.log_name,
               script.argv[0] + " " + (reply.error ? reply.error->message : ending_text(reply.result)));
    const bool good = !reply.error && !run->timed_out && reply.result.exit_code == 0;
    if (good && !script.background) set_mark(*run);
    end(run, std::move(reply));
}

void RunTable::set_mark(const Run& run) const {
    const auto& script = run.record.script;
    if (script.mark == host::Mark::kKeep) return;
    if (script.mark == host::Mark::kInactive) return journal_.set_mark(script.group, script.resource, std::nullopt);
    ActiveMark mark{{run.record.pid, run.record.start_ticks}, script.background, host::boot_now()};
    if (!script.background) {
        const auto left = started_by(run, cgroup(script).processes());
        mark.main = left.empty() ? host::CgroupProcess{} : left.front();
    }
    journal_.set_mark(script.group, script.resource, mark);
}

host::Started RunTable::started(const std::string& group, const std::string& resource) const {
    auto mark = journal_.mark(group, resource);
    if (!mark) return {};
    const auto alive = host::Cgroup(places_.cgroup_root, group, resource).processes();
    const auto lives = [&] { return std::find(alive.begin(), alive.end(), mark->main) != alive.end(); };
    const bool settling = !mark->background && host::boot_now() < mark->set_at + kSettling;
    if (mark->main.pid != 0 && !lives() && settling && !alive.empty()) {
        mark->main = alive.front();
        journal_.set_mark(group, resource, mark);
    }
    return {true, mark->main.pid, lives()};
}

void RunTable::end(const RunPtr& run, Reply reply) {
    loop_.cancel(run->timer);
    if (run->pidfd.valid()) reap_later(std::move(run->pidfd));
    if (run->exec_status.valid()) loop_.forget(run->exec_status.get());
    const bool answered = run->record.script.background && run->state == State::kRunning;
    run->state = State::kEnded;
    run->reply = std::move(reply);
    if (answered) return erase(run);
    if (run->asker != 0) respond_(run->asker, run->reply);
    if (run->discarded) return erase(run);
    limit_kept();
}

// A process that did not even die of SIGKILL in time.
void RunTable::reap_later(UniqueFd pidfd) {
    const auto later = std::make_shared<UniqueFd>(std::move(pidfd));
    loop_.watch(later->get(), EPOLLIN, [this, later] {
        siginfo_t info{};
        ::waitid(P_PIDFD, static_cast<id_t>(later->get()), &info, WEXITED | WNOHANG);
        loop_.forget(later->get());
    });
}

void RunTable::erase(const RunPtr& run) {
    journal_.remove(run->id);
    runs_.erase(run->id);
}

}  // namespace kagami::script_helper
