// kagami-guard: suspends, resumes and kills this node's groups by the plan on the guard page, and pets the watchdog.
// One loop: read the plan, look at every group, decide (guard_engine.h), say so on the page, do it.
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iostream>
#include <string>
#include <tuple>

#include "cluster-daemon/guard/guard_engine.h"
#include "cluster-daemon/guard/guard_page.h"
#include "cluster-daemon/guard/hands.h"
#include "cluster-daemon/guard/watchdog.h"
#include "common/host/boot_clock.h"
#include "common/host/cgroup.h"

namespace kagami::guard {
namespace {

constexpr const char* kTestRecord = "/var/lib/kagami/guard-test";
constexpr const char* kUsage =
    "usage: kagami-guard [--allow-reboot] [--page FILE] [test]\n"
    "  --allow-reboot  use the real watchdog device and sysrq (never needed with a simulated device)\n"
    "  --page FILE     the page shared with kagamid (default /run/kagami/guard.page)\n"
    "  test            let the watchdog really reset this machine once, after confirmation, and record that it works\n"
    "environment: KAGAMI_CGROUP_ROOT, KAGAMI_WATCHDOG\n";

volatile std::sig_atomic_t stop_asked = 0;

// One line to the journal, or none at all: a full pipe must not hold up the guard.
[[gnu::format(printf, 1, 2)]] void say(const char* format, ...) {
    char line[512] = "kagami-guard: ";
    const size_t start = std::strlen(line);
    va_list values;
    va_start(values, format);
    const int length = std::vsnprintf(line + start, sizeof(line) - start - 1, format, values);
    va_end(values);
    size_t end = std::min(sizeof(line) - 2, start + static_cast<size_t>(std::max(length, 0)));
    line[end++] = '\n';
    pollfd out{STDERR_FILENO, POLLOUT, 0};
    if (poll(&out, 1, 0) == 1) std::ignore = write(STDERR_FILENO, line, end);
}

int refuse(const Error& error) {
    say("%s%s%s", error.message.c_str(), error.remedy.empty() ? "" : ": ", error.remedy.c_str());
    return static_cast<int>(error.code);
}

Duration clock_now(clockid_t clock) {
    timespec t{};
    clock_gettime(clock, &t);
    return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

Clocks clocks_now() {
    return {host::boot_now(), clock_now(CLOCK_MONOTONIC), clock_now(CLOCK_MONOTONIC_RAW)};
}

void sleep_until(Instant wake) {
    const Duration at = wake.time_since_epoch();
    const timespec t{at / 1s, (at % 1s).count()};
    clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &t, nullptr);
}

std::string first_line(const char* path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

const char* watchdog_path() {
    const char* given = std::getenv("KAGAMI_WATCHDOG");
    return given != nullptr ? given : "/dev/watchdog";
}

std::string kernel_release() {
    utsname name{};
    uname(&name);
    return name.release;
}

// Three lines: driver, kernel, boot id of the test. It counts in every later boot with that driver and kernel, because
// the test takes the record back when the machine survives.
bool tested(const Watchdog& watchdog, const std::string& boot) {
    std::ifstream file(kTestRecord);
    std::string driver, kernel, test_boot;
    return std::getline(file, driver) && std::getline(file, kernel) && std::getline(file, test_boot) &&
           driver == watchdog.driver() && kernel == kernel_release() && test_boot != boot;
}

// Be there in time, whatever the rest of the machine does. What is refused is reported, and the guard works on.
void harden(GuardReport& report) {
    report.memory_locked = mlockall(MCL_CURRENT | MCL_FUTURE) == 0;
    if (report.memory_locked == 0) say("memory is not locked: %s", std::strerror(errno));
    const sched_param priority{.sched_priority = 60};
    report.realtime = sched_setscheduler(0, SCHED_FIFO, &priority) == 0;
    if (report.realtime == 0) say("no real-time scheduling: %s", std::strerror(errno));
    std::ofstream("/proc/self/oom_score_adj") << "-1000";
}

// What changed since the last report, for the journal.
void tell(const GuardReport& was, const GuardReport& is, const char* trouble) {
    if (was.plan_readable && !is.plan_readable) say("the plan cannot be read any more: no lease");
    if (was.pauses != is.pauses) say("the clocks jumped: the machine was paused, the lease is suspect");
    if (was.watchdog != is.watchdog) say("the watchdog cannot be used: %s", trouble);
    if (was.armed != is.armed) say("%s", is.armed ? "armed" : "disarmed");
    if (!was.condemned && is.condemned) say("a group was not stopped in time: the watchdog is not petted any more");
    for (const auto& now : is.groups) {
        GroupState before = GroupState::kRunning;
        for (const auto& g : was.groups) {
            if (g.name == now.name) before = g.state;
        }
        if (before != now.state) say("group %s: %s", now.name.c_str(), to_string(now.state));
    }
}

class Guard {
 public:
    Guard(GuardPageReader<GuardPlan>& plan, GuardPageWriter<GuardReport>& page, Watchdog& watchdog, Hands& hands,
          const BootId& boot, const GuardReport& report)
        : plan_(plan), page_(page), watchdog_(watchdog), hands_(hands), engine_(boot, page.before()), report_(report) {}

    Instant round() {
        switch (plan_.read()) {
            case PageRead::kNew: engine_.learn(&plan_.value()); break;
            case PageRead::kDamaged: engine_.learn(nullptr); break;
            case PageRead::kBlank:
            case PageRead::kUnchanged: break;
        }
        for (size_t i = 0; i < kMaxGroups; ++i) {
            if (const auto* group = engine_.at(i)) seen_[i] = hands_.look(i, *group);
        }
        const Orders orders = engine_.step(clocks_now(), seen_);
        publish();  // before acting: a successor must know what was under way
        for (size_t i = 0; i < kMaxGroups; ++i) {
            if (const auto* group = engine_.at(i)) hands_.act(i, *group, orders.groups[i]);
        }
        watch(orders);
        return orders.wake_at;
    }
    bool armed() const { return report_.armed != 0; }

 private:
    void publish() {
        const GuardReport was = report_;
        engine_.report(report_);
        report_.watchdog = watchdog_.kind();
        if (auto published = page_.publish(report_); !published) refuse(published.error());
        tell(was, report_, watchdog_.trouble());
    }

    void watch(const Orders& orders) {
        if (orders.arm) {
            watchdog_.arm(engine_.terms().watchdog_timeout);
        } else {
            watchdog_.disarm();
        }
        if (orders.pet) watchdog_.pet();
        if (orders.reset) watchdog_.reset_machine();
    }

    GuardPageReader<GuardPlan>& plan_;
    GuardPageWriter<GuardReport>& page_;
    Watchdog& watchdog_;
    Hands& hands_;
    Engine engine_;
    GuardReport report_;
    std::array<Sight, kMaxGroups> seen_{};
};

int run(GuardPageWriter<GuardReport>& page, const char* path, Watchdog& watchdog) {
    const std::string boot_text = first_line("/proc/sys/kernel/random/boot_id");
    const auto boot = parse_uuid(boot_text);
    if (!boot) return refuse({ErrorCode::kFailed, "guard: cannot read the boot id", "mount /proc"});
    auto plan = GuardPageReader<GuardPlan>::open(path);
    if (!plan) return refuse(plan.error());
    static GuardReport report;
    report.pid = getpid();
    report.started_at = host::boot_now();
    report.watchdog = watchdog.kind();
    report.watchdog_tested = tested(watchdog, boot_text);
    report.device = std::string_view(watchdog.driver()).substr(0, 63);
    harden(report);
    static Hands hands;
    const auto root = host::cgroup_root();
    if (!root) return refuse(root.error());
    if (auto opened = hands.open(root->c_str()); !opened) return refuse(opened.error());
    static Guard guard(*plan, page, watchdog, hands, *boot, report);
    say("started; cgroups below %s; watchdog %s %s", root->c_str(), watchdog.driver().c_str(), watchdog.trouble());
    while (stop_asked == 0) sleep_until(guard.round());
    say("asked to stop%s", guard.armed() ? "; the watchdog stays armed and resets unless a guard starts in time" : "");
    return 0;
}

// Returns only when the machine survived, which is the failure of the test.
int test(Watchdog& watchdog) {
    if (watchdog.kind() == WatchdogKind::kNone) {
        return refuse({ErrorCode::kRefused, std::string("guard test: ") + watchdog_path(), watchdog.trouble()});
    }
    char host[256] = {};
    gethostname(host, sizeof(host) - 1);
    std::cout << "The watchdog (" << watchdog.driver()
              << ") will RESET this machine in a few seconds. Nothing is shut down\n"
              << "properly. To go on, type the name of this machine (" << host << "): " << std::flush;
    std::string typed;
    if (!std::getline(std::cin, typed) || typed != host) {
        return refuse({ErrorCode::kRefused, "guard test: not confirmed, nothing was done", ""});
    }
    std::ofstream(kTestRecord) << watchdog.driver() << '\n'
                               << kernel_release() << '\n'
                               << first_line("/proc/sys/kernel/random/boot_id") << '\n';
    if (first_line(kTestRecord) != watchdog.driver()) {
        return refuse(
            {ErrorCode::kFailed, std::string("guard test: cannot write ") + kTestRecord, "create its folder"});
    }
    sync();
    watchdog.arm(5s);
    if (watchdog.kind() != WatchdogKind::kNone) sleep_until(host::boot_now() + 20s);
    watchdog.disarm();
    unlink(kTestRecord);
    return refuse({ErrorCode::kFailed, "guard test: this machine was NOT reset", "do not rely on this watchdog"});
}

int start(int argc, char** argv) {
    const option options[] = {{"allow-reboot", no_argument, nullptr, 'r'},
                              {"page", required_argument, nullptr, 'p'},
                              {"help", no_argument, nullptr, 'h'},
                              {"version", no_argument, nullptr, 'v'},
                              {}};
    const char* path = kPagePath;
    bool allow_reboot = false;
    for (int o = 0; (o = getopt_long(argc, argv, "", options, nullptr)) != -1;) {
        if (o == 'h') return std::cout << kUsage, 0;
        if (o == 'v') return std::cout << "kagami-guard " KAGAMI_VERSION "\n", 0;
        if (o == '?') return std::cerr << kUsage, static_cast<int>(ErrorCode::kUsage);
        if (o == 'r') allow_reboot = true;
        if (o == 'p') path = optarg;
    }
    const std::string_view word = optind < argc ? argv[optind] : "";
    if (optind + 1 < argc || (!word.empty() && word != "test")) {
        return std::cerr << kUsage, static_cast<int>(ErrorCode::kUsage);
    }
    if (std::string_view(path) == kPagePath) mkdir("/run/kagami", 0700);
    // The lock on the report half also keeps a test from running beside a guard.
    auto page = GuardPageWriter<GuardReport>::open(path);
    if (!page) return refuse(page.error());
    Watchdog watchdog(watchdog_path(), allow_reboot);
    return word == "test" ? test(watchdog) : run(*page, path, watchdog);
}

}  // namespace
}  // namespace kagami::guard

int main(int argc, char** argv) {
    struct sigaction on_stop{};
    on_stop.sa_handler = [](int) { kagami::guard::stop_asked = 1; };
    sigaction(SIGTERM, &on_stop, nullptr);
    sigaction(SIGINT, &on_stop, nullptr);
    signal(SIGPIPE, SIG_IGN);
    return kagami::guard::start(argc, argv);
}
