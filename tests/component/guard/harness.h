// A real kagami-guard on this kernel: cgroups of its own below the cgroup2 mount, a network and a mount namespace of
// its own, a page and a watchdog socket in a folder of its own. The test plays the daemon.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cluster-daemon/guard/guard_page.h"

namespace kagami::guard::test {

constexpr Duration kHold = 300ms, kGuard = 50ms, kKill = 200ms, kPatience = 5s;

// Why the tests cannot run here, or "". Makes the namespaces at the first call.
std::string missing_kernel_feature();

bool eventually(const std::function<bool()>& condition, Duration patience = kPatience);
// Runs a program to its end; its exit status.
int run(const std::vector<std::string>& command);
bool address_is_there(const std::string& text);
bool is_mounted(const std::string& path);
std::string read_text(const std::string& path);
bool write_text(const std::string& path, std::string_view text);

// A group's cgroup with processes in it that spin and write the time, so that one can see when they last ran.
class Busy {
 public:
    explicit Busy(const std::string& cgroup, int processes = 2);
    ~Busy();
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;
    Instant last_ran() const;
    bool runs() const;    // within the next second, that is: waits until it does
    bool stands() const;  // did not run for 40 ms
    bool populated() const;
    bool freeze_asked() const;
    void add();
    bool all_normal() const;  // every process has the ordinary scheduling policy and nice value 5

 private:
    std::string cgroup_;
    std::vector<pid_t> processes_;
    struct Stamps;
    Stamps* stamps_;
};

class WatchdogSocket {
 public:
    explicit WatchdogSocket(const std::string& path);
    ~WatchdogSocket();
    // All that was said since the last call, in order.
    std::vector<std::string> heard();
    bool hears(const std::string& what);
    bool silent_for(Duration length);

 private:
    std::string path_;
    int fd_;
};

struct Finished {
    int status = 0;
    std::string said;  // stderr
};

class Site {
 public:
    Site();
    ~Site();
    Site(const Site&) = delete;
    Site& operator=(const Site&) = delete;

    pid_t start(std::vector<std::string> arguments = {}, const std::string& input = "");
    void start_guard();
    void kill_guard();  // SIGKILL
    Finished finish(pid_t pid, Duration patience = kPatience);

    GuardGroup group(const char* name, GroupKind kind = GroupKind::kData) const;
    // Publishes plan with a lease sent now.
    void renew(Verdict verdict = Verdict::kResume);
    void publish();
    const GuardReport& report();
    std::optional<GroupReport> reported(std::string_view name);
    bool becomes(std::string_view name, GroupState state);

    std::string folder, page, cgroups, watchdog, errors;
    GuardPlan plan;
    pid_t guard = -1;

 private:
    std::optional<GuardPageWriter<GuardPlan>> writer_;
    std::optional<GuardPageReader<GuardReport>> reader_;
};

}  // namespace kagami::guard::test
