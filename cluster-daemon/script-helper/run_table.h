// The programs that the helper has started, from birth to the moment somebody has fetched the result.
//
// States of a run
//   starting   born, exec not yet confirmed (lasts while the cgroup is frozen)
//   running    exec done; a background run has been answered and is only watched (one that ended before it was answered
//   tells its end) ending     its deadline has passed: what it started got SIGTERM, and gets SIGKILL kTermGrace later
//   ended      the result is known, or known to be lost; kept until it is acknowledged, the resource's next program or
//   kill comes,
//              or kMaxKept newer ones wait. Told to a retry (kFetch) only: a kRun is a new activation and runs anew
// A kill discards the runs of its resource: nobody attaches to them any more, and their ends are kept for nobody (who
// waits for one at that moment still gets it).
// Invariants: one run per (group, resource, argv) that is not discarded; every pid is watched by pidfd; a run lives on
// when its asker disconnects; what an earlier helper left behind is adopted before the first request is read, but its
// exit status cannot be learnt (not our child). "What it started" = processes of the cgroup that were not there before
// it; of an adopted run those that are not older than it. A service that was there before is spared.
#pragma once

#include <csignal>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "cluster-daemon/script-helper/journal.h"
#include "cluster-daemon/script-helper/launch.h"
#include "cluster-daemon/script-helper/messages.h"
#include "cluster-daemon/script-helper/service_log.h"
#include "common/host/cgroup.h"
#include "common/host/event_loop.h"

namespace kagami::script_helper {

constexpr Duration kSettling =
    300ms;  // a main process that ends so soon after the start was a launcher: the next oldest is the service
constexpr size_t kMaxKept = 256;
constexpr size_t kMaxRuns = 1024;

struct Places {
    std::string cgroup_root;
    std::string log_directory;
    std::string journal_directory;
    off_t log_limit_bytes = kMaxLogBytes;
};

using Asker = uint64_t;  // a connection; 0 is nobody
using Respond = std::function<void(Asker, const Reply&)>;

class RunTable {
 public:
    RunTable(host::EventLoop& loop, Places places, Respond respond);
    void adopt();
    // Attaches to the same program if it runs (kRun, kFetch) or has ended (kFetch only), else starts it (kRun only).
    void run(const Request& request, Asker asker);
    void acknowledge(Asker asker);
    void detach(Asker asker);
    std::vector<Listed> list() const;
    host::Started started(const std::string& group, const std::string& resource) const;
    // A kill of the resource begins: what its programs have done, or die of now, is no later activation's result.
    void discard(const std::string& group, const std::string& resource);

 private:
    enum class State { kStarting, kRunning, kEnding, kEnded };
    struct Run {
        uint64_t id = 0;
        Record record;
        State state = State::kStarting;
        Asker asker = 0;
        UniqueFd pidfd;
        UniqueFd exec_status;
        std::vector<host::CgroupProcess> before;  // in the cgroup when it started
        bool adopted = false;
        bool timed_out = false;
        bool discarded = false;
        bool killed = false;            // SIGKILL has been sent to all that it started
        std::optional<siginfo_t> exit;  // of the program itself; set while its children are still ending
        host::EventLoop::Timer timer = 0;
        Reply reply;
    };
    using RunPtr = std::shared_ptr<Run>;

    RunPtr find(const host::ScriptRequest& script) const;
    void attach(const RunPtr& run, const Request& request, Asker asker);
    Result<RunPtr> start(const Request& request);
    void adopt_one(uint64_t id, Record record);
    void watch_exit(const RunPtr& run);
    void arm_deadline(const RunPtr& run);
    void on_exec_status(const RunPtr& run);
    void on_exit(const RunPtr& run);
    void on_deadline(const RunPtr& run);
    void on_grace_over(const RunPtr& run);
    void conclude(const RunPtr& run);
    void end(const RunPtr& run, Reply reply);
    void reap_later(UniqueFd pidfd);
    void erase(const RunPtr& run);
    // The results of earlier programs of the resource are no longer of interest.
    void drop_ended(const std::string& group, const std::string& resource);
    void limit_kept();
    void set_mark(const Run& run) const;
    void signal_started(const Run& run, int signal) const;
    // Of the processes of the cgroup, in the order given.
    static std::vector<host::CgroupProcess> started_by(const Run& run, std::vector<host::CgroupProcess> processes);
    host::Cgroup cgroup(const host::ScriptRequest& script) const;
    Error lost_result(const host::ScriptRequest& script) const;

    host::EventLoop& loop_;
    Places places_;
    Respond respond_;
    ServiceLogs logs_;
    Journal journal_;
    std::map<uint64_t, RunPtr> runs_;
    uint64_t last_id_ = 0;
};

}  // namespace kagami::script_helper
