// Starts the programs of a node in their order, starts again what ends, and stops them in the opposite order: what
// systemd does on a real machine.
//
// States: waiting (the condition path does not exist yet: the node is not a member of a cluster) -> running -> stopping
// -> stopped. While running, a program that ended is started again at once, but never twice within kShortestLife, so
// that a program that cannot start does not eat the machine; one that ended on purpose (exit status 0) stays down until
// start_ended(), unless it is always wanted (systemd's Restart=on-failure and Restart=always). While stopping, the last
// program gets SIGTERM first; one that does not end within the stop time-out gets SIGKILL.
// What a program has handed to the descriptor store it gets when it is started again; a program that is not started again,
// because it ended on purpose or because all are stopped, loses it.
// Reaping is the caller's: it reports every ended child.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/node_init/descriptor_store.h"

namespace kagami::node_init {

using Clock = std::chrono::steady_clock;

struct Program {
    std::string name;
    std::vector<std::string> argv;  // argv[0] is an absolute path
    bool always = false;            // started again also after exit status 0
};

struct Settings {
    std::vector<Program> programs;
    std::string log_directory;
    std::string cgroup_procs;    // the cgroup.procs that a child enters before exec; empty: stays where it is
    std::string condition_path;  // nothing is started before it exists; empty: no condition
    Clock::duration stop_timeout{};
    bool restart = true;
};

class Supervisor {
 public:
    Supervisor(Settings settings, DescriptorStore& store);

    // Does all that is due.
    void advance(Clock::time_point now);
    // False: not a program of ours (an orphan that process 1 inherited).
    bool on_exit(pid_t pid, int wait_status, Clock::time_point now);
    // Takes what programs have sent to the descriptor store. To be called before on_exit() as well: what a program said
    // before it died counts.
    void take_notifications();
    // Starts what ended on purpose: `systemctl start`.
    void start_ended(Clock::time_point now);
    void stop();
    bool stopped() const { return phase_ == Phase::kStopped; }
    std::optional<Clock::time_point> wake_at(Clock::time_point now) const;

 private:
    enum class Phase { kWaiting, kRunning, kStopping, kStopped };
    struct Child {
        Program program;
        pid_t pid = -1;  // -1: not running
        Clock::time_point started;
        std::optional<Clock::time_point> start_at;
        std::optional<Clock::time_point> kill_at;  // stopping only
    };

    bool condition_holds() const;
    void start(Child& child, Clock::time_point now);
    bool starts_again(const Program& program, int wait_status) const;
    void advance_stop(Clock::time_point now);

    Settings settings_;
    DescriptorStore& store_;
    std::vector<Child> children_;
    Phase phase_ = Phase::kWaiting;
};

// One line on stderr: seconds since boot, text.
void say(const std::string& text);

}  // namespace kagami::node_init
