// Emptying a resource's cgroup: SIGTERM to all, SIGKILL to the whole cgroup when the deadline nears, an answer when the
// last process has gone (the kernel tells; nobody polls). A job goes on when its asker disconnects.
#pragma once

#include <map>
#include <memory>

#include "cluster-daemon/script-helper/run_table.h"

namespace kagami::script_helper {

class KillJobs {
 public:
    KillJobs(host::EventLoop& loop, std::string cgroup_root, Respond respond)
        : loop_(loop), cgroup_root_(std::move(cgroup_root)), respond_(std::move(respond)) {}
    void start(const Request& request, Asker asker);
    void detach(Asker asker);

 private:
    struct Job {
        Job(const host::ScriptRequest& script, const std::string& cgroup_root, Asker who)
            : name(script.group + "." + script.resource),
              cgroup(cgroup_root, script.group, script.resource),
              asker(who) {}
        uint64_t id = 0;
        std::string name;
        host::Cgroup cgroup;
        Asker asker = 0;
        UniqueFd events;
        host::EventLoop::Timer kill_timer = 0;
        host::EventLoop::Timer end_timer = 0;
    };
    using JobPtr = std::shared_ptr<Job>;
    void on_change(const JobPtr& job);
    void on_kill_time(const JobPtr& job);
    void on_deadline(const JobPtr& job);
    void finish(const JobPtr& job, const Reply& reply);

    host::EventLoop& loop_;
    std::string cgroup_root_;
    Respond respond_;
    std::map<uint64_t, JobPtr> jobs_;
    uint64_t last_id_ = 0;
};

}  // namespace kagami::script_helper
