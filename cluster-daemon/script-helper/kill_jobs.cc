#include "cluster-daemon/script-helper/kill_jobs.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "common/host/boot_clock.h"

namespace kagami::script_helper {
namespace {

// How long before the deadline TERM gives way to KILL.
Duration kill_reserve(Duration left) {
    return std::clamp<Duration>(left / 2, 0s, 2s);
}

std::string describe(const std::vector<host::CgroupProcess>& processes) {
    std::string text;
    for (size_t i = 0; i < std::min<size_t>(processes.size(), 5); ++i) {
        text += fmt::format("{}{} ({})", i == 0 ? "" : ", ", processes[i].pid, host::process_name(processes[i].pid));
    }
    return text;
}

}  // namespace

void KillJobs::start(const Request& request, Asker asker) {
    auto job = std::make_shared<Job>(request.script, cgroup_root_, asker);
    if (::access(job->cgroup.path().c_str(), F_OK) != 0) return respond_(asker, {});
    auto events = job->cgroup.open_events();
    if (!events) return respond_(asker, error_reply(events.error()));
    job->events = std::move(*events);
    if (!host::Cgroup::populated(job->events.get())) return respond_(asker, {});
    job->id = ++last_id_;
    jobs_[job->id] = job;
    loop_.watch(job->events.get(), EPOLLPRI, [this, job] { on_change(job); });
    job->kill_timer = loop_.at(request.deadline - kill_reserve(request.deadline - host::boot_now()),
                               [this, job] { on_kill_time(job); });
    job->end_timer = loop_.at(request.deadline, [this, job] { on_deadline(job); });
    for (const auto& process : job->cgroup.processes()) ::kill(process.pid, SIGTERM);
    on_change(job);
}

void KillJobs::detach(Asker asker) {
    for (auto& [id, job] : jobs_) {
        if (job->asker == asker) job->asker = 0;
    }
}

void KillJobs::on_change(const JobPtr& job) {
    if (!host::Cgroup::populated(job->events.get())) finish(job, {});
}

void KillJobs::on_kill_time(const JobPtr& job) {
    if (Status killed = job->cgroup.kill(); !killed) finish(job, error_reply(killed.error()));
}

void KillJobs::on_deadline(const JobPtr& job) {
    const auto left = job->cgroup.processes();
    finish(job,
           error_reply(
               {ErrorCode::kTimedOut,
                fmt::format("{}: {} processes do not end: {}", job->name, left.size(), describe(left)),
                "look at what they wait for (/proc/PID/stack, the kernel log): a process that waits for a dead disk or "
                "network file system ends only when that answers or the node restarts"}));
}

void KillJobs::finish(const JobPtr& job, const Reply& reply) {
    loop_.forget(job->events.get());
    loop_.cancel(job->kill_timer);
    loop_.cancel(job->end_timer);
    jobs_.erase(job->id);
    if (job->asker != 0) respond_(job->asker, reply);
}

}  // namespace kagami::script_helper
