#include "tests/support/node_init/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace kagami::node_init {

namespace {
using namespace std::chrono_literals;

constexpr Clock::duration kShortestLife = 20ms;
constexpr Clock::duration kConditionPoll = 20ms;

void earlier(std::optional<Clock::time_point>& known, const std::optional<Clock::time_point>& other) {
    if (other && (!known || *other < *known)) known = other;
}

std::string exit_text(int wait_status) {
    if (WIFSIGNALED(wait_status)) return std::string("killed by signal ") + std::to_string(WTERMSIG(wait_status));
    return "exit status " + std::to_string(WEXITSTATUS(wait_status));
}

bool write_file(const char* path, const char* text) {
    const int file = ::open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return false;
    const bool done = ::write(file, text, std::strlen(text)) >= 0;
    ::close(file);
    return done;
}

// The child's side between fork and exec. Exit status 127 = could not be started; the reason is in its log.
[[noreturn]] void become(const Settings& settings, const Program& program, const DescriptorStore& store,
                         const std::vector<char*>& argv) {
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::setsid();
    const std::string log_path = settings.log_directory + "/" + program.name + ".log";
    const int log = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (log < 0 || null < 0) ::_exit(127);
    ::dup2(null, STDIN_FILENO);
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    if (!settings.cgroup_procs.empty() && !write_file(settings.cgroup_procs.c_str(), "0")) {
        ::perror(settings.cgroup_procs.c_str());
        ::_exit(127);
    }
    if (!store.hand_over(program.name)) {
        ::perror("descriptor store");
        ::_exit(127);
    }
    ::execv(argv.front(), argv.data());
    ::perror(argv.front());
    ::_exit(127);
}

// fork instead of posix_spawn: the child has to enter its cgroup before exec, and process 1 has one thread only.
pid_t spawn(const Settings& settings, const Program& program, const DescriptorStore& store) {
    std::vector<char*> argv;
    argv.reserve(program.argv.size() + 1);
    for (const std::string& word : program.argv) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid == 0) become(settings, program, store, argv);
    return pid;
}
}  // namespace

void say(const std::string& text) {
    timespec boot{};
    ::clock_gettime(CLOCK_BOOTTIME, &boot);
    std::fprintf(stderr, "%lld.%03ld %s\n", static_cast<long long>(boot.tv_sec), boot.tv_nsec / 1'000'000,
                 text.c_str());
}

Supervisor::Supervisor(Settings settings, DescriptorStore& store) : settings_(std::move(settings)), store_(store) {
    for (const Program& program : settings_.programs) children_.emplace_back().program = program;
}

bool Supervisor::condition_holds() const {
    return settings_.condition_path.empty() || ::access(settings_.condition_path.c_str(), F_OK) == 0;
}

void Supervisor::start(Child& child, Clock::time_point now) {
    child.start_at.reset();
    child.started = now;
    child.pid = spawn(settings_, child.program, store_);
    if (child.pid < 0) {
        say(child.program.name + ": fork: " + std::strerror(errno));
        child.start_at = now + kShortestLife;
        return;
    }
    say(child.program.name + ": started, pid " + std::to_string(child.pid));
}

void Supervisor::advance(Clock::time_point now) {
    if (phase_ == Phase::kWaiting && condition_holds()) {
        phase_ = Phase::kRunning;
        for (Child& child : children_) child.start_at = now;
    }
    if (phase_ == Phase::kRunning) {
        for (Child& child : children_) {
            if (child.start_at && *child.start_at <= now) start(child, now);
        }
    }
    if (phase_ == Phase::kStopping) advance_stop(now);
}

bool Supervisor::on_exit(pid_t pid, int wait_status, Clock::time_point now) {
    const auto child = std::find_if(children_.begin(), children_.end(), [&](const Child& c) { return c.pid == pid; });
    if (child == children_.end()) return false;
    say(child->program.name + ": ended, " + exit_text(wait_status));
    child->pid = -1;
    if (phase_ == Phase::kRunning && starts_again(child->program, wait_status)) {
        child->start_at = std::max(now, child->started + kShortestLife);
    } else {
        store_.drop(child->program.name);
    }
    return true;
}

void Supervisor::take_notifications() {
    store_.receive([this](pid_t pid) -> std::optional<std::string> {
        const auto child = std::find_if(children_.begin(), children_.end(), [&](const Child& c) { return c.pid == pid; });
        if (child == children_.end()) return std::nullopt;
        return child->program.name;
    });
}

bool Supervisor::starts_again(const Program& program, int wait_status) const {
    const bool on_purpose = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
    return settings_.restart && (program.always || !on_purpose);
}

void Supervisor::start_ended(Clock::time_point now) {
    if (phase_ != Phase::kRunning) return;
    say("asked to start");
    for (Child& child : children_) {
        if (child.pid < 0 && !child.start_at) child.start_at = now;
    }
}

void Supervisor::stop() {
    if (phase_ == Phase::kStopped) return;
    say("asked to stop");
    phase_ = Phase::kStopping;
}

void Supervisor::advance_stop(Clock::time_point now) {
    const auto last = std::find_if(children_.rbegin(), children_.rend(), [](const Child& c) { return c.pid > 0; });
    if (last == children_.rend()) {
        phase_ = Phase::kStopped;
        return;
    }
    std::optional<Clock::time_point>& kill_at = last->kill_at;
    if (!kill_at) {
        kill_at = now + settings_.stop_timeout;
        ::kill(last->pid, SIGTERM);
    } else if (*kill_at <= now) {
        say(last->program.name + ": did not stop in time, killed");
        kill_at = Clock::time_point::max();
        ::kill(last->pid, SIGKILL);
    }
}

std::optional<Clock::time_point> Supervisor::wake_at(Clock::time_point now) const {
    std::optional<Clock::time_point> wake;
    if (phase_ == Phase::kWaiting) wake = now + kConditionPoll;
    for (const Child& child : children_) {
        if (phase_ == Phase::kRunning) earlier(wake, child.start_at);
        if (phase_ == Phase::kStopping && child.pid > 0) earlier(wake, child.kill_at);
    }
    return wake;
}

}  // namespace kagami::node_init
