// kagami-node-init: process 1 of a node container (docs/architecture.md). It reaps, supervises the node's programs
// (supervisor.h), keeps descriptors for them (descriptor_store.h) and is the end of the simulated watchdog (watchdog.h).
// When the watchdog expires, the container loses its power: every process of the pid namespace dies at once and the
// links go down.
#include <getopt.h>
#include <linux/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/support/node_init/supervisor.h"
#include "tests/support/node_init/watchdog.h"

namespace kagami::node_init {
namespace {

constexpr int kPowerLost = 99;  // exit status; seen by the outer unshare only

constexpr const char* kHelp = R"(Usage: kagami-node-init [OPTION]...
Process 1 of a node container: starts guard, mirror driver, script helper and daemon, starts again what ends, keeps
descriptors for them as systemd does (sd_notify), is the simulated watchdog.
A daemon or witness that ends with status 0 meant it: it stays down until SIGUSR1 (as after `systemctl start`).
  --bin DIR            where kagami-guard, kagami-mirrord (left out if missing), kagami-script-helper, kagamid and
                       kagami-witness are
  --witness            run only kagami-witness
  --bare               run nothing (a container without cluster software)
  --program NAME=WORDS run WORDS (comma-separated, the first an absolute path) as NAME instead; may be repeated
  --watchdog PATH      socket of the simulated watchdog (default: $KAGAMI_WATCHDOG)
  --notify PATH        socket of the descriptor store (default: notify, beside the watchdog's)
  --log DIR            where the output of the programs goes (default /run/kagami/log)
  --cgroup DIR         cgroup that the programs enter
  --wait-for PATH      start nothing before PATH exists
  --stop-timeout MS    SIGKILL follows SIGTERM after so long (default 30000)
  --no-restart         leave a program that ended
)";

struct Options {
    Settings settings;
    std::string watchdog;
    std::string notify;
    std::string bin;
    bool witness = false;
    bool bare = false;
};

[[noreturn]] void refuse(const std::string& why) {
    std::fprintf(stderr, "kagami-node-init: %s\nTry --help.\n", why.c_str());
    std::exit(2);
}

Clock::duration milliseconds_in(const char* text) {
    int64_t value = 0;
    const char* end = text + std::strlen(text);
    const auto parsed = std::from_chars(text, end, value);
    if (parsed.ec != std::errc{} || parsed.ptr != end || value < 0) {
        refuse(std::string("--stop-timeout: ") + text + " is not a number of milliseconds");
    }
    return std::chrono::milliseconds(value);
}

Program program_in(const std::string& text) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || text.compare(equals + 1, 1, "/") != 0) {
        refuse("--program " + text + ": expected NAME=/PATH[,ARGUMENT...]");
    }
    Program program{.name = text.substr(0, equals), .argv = {}, .always = false};
    size_t from = equals + 1;
    while (from != std::string::npos) {
        const size_t comma = text.find(',', from);
        program.argv.push_back(text.substr(from, comma == std::string::npos ? comma : comma - from));
        from = comma == std::string::npos ? comma : comma + 1;
    }
    return program;
}

std::vector<Program> standard_programs(const Options& options) {
    if (options.bare) return {};
    if (options.bin.empty()) refuse("--bin DIR is missing");
    const auto at = [&](const char* name, const char* file, bool always) {
        return Program{name, {options.bin + "/" + file}, always};
    };
    if (options.witness) return {at("witness", "kagami-witness", false)};
    std::vector<Program> programs = {at("guard", "kagami-guard", true)};
    if (::access((options.bin + "/kagami-mirrord").c_str(), X_OK) == 0) {
        programs.push_back(at("mirror-driver", "kagami-mirrord", true));
    }
    programs.push_back(at("script-helper", "kagami-script-helper", true));
    programs.push_back(at("daemon", "kagamid", false));
    return programs;
}

enum Flag {
    kBin = 1,
    kWitness,
    kBare,
    kProgram,
    kWatchdog,
    kNotify,
    kLog,
    kCgroup,
    kWaitFor,
    kStopTimeout,
    kNoRestart,
    kHelpFlag
};
constexpr option kFlags[] = {
    {"bin", required_argument, nullptr, kBin},
    {"witness", no_argument, nullptr, kWitness},
    {"bare", no_argument, nullptr, kBare},
    {"program", required_argument, nullptr, kProgram},
    {"watchdog", required_argument, nullptr, kWatchdog},
    {"notify", required_argument, nullptr, kNotify},
    {"log", required_argument, nullptr, kLog},
    {"cgroup", required_argument, nullptr, kCgroup},
    {"wait-for", required_argument, nullptr, kWaitFor},
    {"stop-timeout", required_argument, nullptr, kStopTimeout},
    {"no-restart", no_argument, nullptr, kNoRestart},
    {"help", no_argument, nullptr, kHelpFlag},
    {nullptr, 0, nullptr, 0},
};

void apply(int flag, Options& options) {
    switch (flag) {
        case kBin: options.bin = ::optarg; break;
        case kWitness: options.witness = true; break;
        case kBare: options.bare = true; break;
        case kProgram: options.settings.programs.push_back(program_in(::optarg)); break;
        case kWatchdog: options.watchdog = ::optarg; break;
        case kNotify: options.notify = ::optarg; break;
        case kLog: options.settings.log_directory = ::optarg; break;
        case kCgroup: options.settings.cgroup_procs = std::string(::optarg) + "/cgroup.procs"; break;
        case kWaitFor: options.settings.condition_path = ::optarg; break;
        case kStopTimeout: options.settings.stop_timeout = milliseconds_in(::optarg); break;
        case kNoRestart: options.settings.restart = false; break;
        case kHelpFlag: std::fputs(kHelp, stdout); std::exit(0);
        default: refuse("unknown option");
    }
}

Options parse(int argc, char** argv) {
    Options options;
    options.settings.log_directory = "/run/kagami/log";
    options.settings.stop_timeout = std::chrono::seconds(30);
    if (const char* path = std::getenv("KAGAMI_WATCHDOG")) options.watchdog = path;
    int flag = 0;
    while ((flag = ::getopt_long(argc, argv, "", kFlags, nullptr)) != -1) apply(flag, options);
    if (::optind < argc) refuse(std::string("unexpected argument ") + argv[::optind]);
    if (options.watchdog.empty()) refuse("no path of the watchdog socket: give --watchdog or $KAGAMI_WATCHDOG");
    if (options.notify.empty()) options.notify = options.watchdog.substr(0, options.watchdog.rfind('/') + 1) + "notify";
    if (options.settings.programs.empty()) options.settings.programs = standard_programs(options);
    return options;
}

void take_links_down() {
    const int handle = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (int index = 1; handle >= 0 && index < 64; ++index) {
        ifreq request{};
        request.ifr_ifindex = index;
        if (::ioctl(handle, SIOCGIFNAME, &request) != 0 || ::ioctl(handle, SIOCGIFFLAGS, &request) != 0) continue;
        request.ifr_flags = static_cast<short>(request.ifr_flags & ~IFF_UP);
        ::ioctl(handle, SIOCSIFFLAGS, &request);
    }
}

// First the processes, because nothing can hinder that; the kernel ends the namespace when process 1 is gone. The line
// in the log comes last: its disk may hang.
[[noreturn]] void lose_power() {
    if (::getpid() == 1) {
        ::kill(-1, SIGKILL);
        take_links_down();
    }
    say("watchdog: not petted in time, power lost");
    ::_exit(kPowerLost);
}

// Waking in time must not depend on a loaded machine; children get the ordinary class back (RESET_ON_FORK).
void become_urgent() {
    sched_param priority{};
    priority.sched_priority = 60;
    if (::sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority) != 0) {
        say(std::string("no SCHED_FIFO: ") + std::strerror(errno));
    }
    if (::mlockall(MCL_CURRENT | MCL_FUTURE) != 0) say(std::string("no mlockall: ") + std::strerror(errno));
}

int open_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1}) ::sigaddset(&set, number);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    return ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

// A child that has ended is looked at before it is reaped: all that it said is in the socket by then.
void reap(Supervisor& supervisor) {
    siginfo_t ended{};
    while (::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid > 0) {
        supervisor.take_notifications();
        int status = 0;
        const pid_t pid = ::waitpid(ended.si_pid, &status, WNOHANG);
        if (pid > 0) supervisor.on_exit(pid, status, Clock::now());
        ended = {};
    }
}

void take_signals(int descriptor, Supervisor& supervisor) {
    signalfd_siginfo info{};
    bool start = false;
    while (::read(descriptor, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGUSR1) {
            start = true;
        } else if (info.ssi_signo != SIGCHLD) {
            supervisor.stop();
        }
    }
    reap(supervisor);
    if (start) supervisor.start_ended(Clock::now());
}

int wait_milliseconds(const Watchdog& watchdog, const Supervisor& supervisor) {
    const Clock::time_point now = Clock::now();
    std::optional<Clock::time_point> wake = watchdog.wake_at();
    const auto other = supervisor.wake_at(now);
    if (other && (!wake || *other < *wake)) wake = other;
    if (!wake) return -1;
    const auto rest = std::chrono::ceil<std::chrono::milliseconds>(*wake - now).count();
    return static_cast<int>(std::clamp<int64_t>(rest, 0, 60'000));
}

int run(Options options) {
    const int signals = open_signals();
    Watchdog watchdog;
    if (signals < 0 || !watchdog.open(options.watchdog)) {
        say("watchdog socket " + options.watchdog + ": " + std::strerror(errno));
        return 1;
    }
    DescriptorStore store;
    if (!store.open(options.notify)) {
        say("notification socket " + options.notify + ": " + std::strerror(errno));
        return 1;
    }
    become_urgent();
    Supervisor supervisor(std::move(options.settings), store);
    pollfd polled[] = {{watchdog.descriptor(), POLLIN, 0}, {store.descriptor(), POLLIN, 0}, {signals, POLLIN, 0}};
    while (!supervisor.stopped()) {
        supervisor.advance(Clock::now());
        if (supervisor.stopped()) break;
        ::poll(polled, std::size(polled), wait_milliseconds(watchdog, supervisor));
        if (const auto strange = watchdog.receive()) say("watchdog: message not understood: " + *strange);
        if (watchdog.expired(Clock::now())) lose_power();
        supervisor.take_notifications();
        take_signals(signals, supervisor);
    }
    say("stopped");
    return 0;
}

}  // namespace
}  // namespace kagami::node_init

int main(int argc, char** argv) {
    return kagami::node_init::run(kagami::node_init::parse(argc, argv));
}
