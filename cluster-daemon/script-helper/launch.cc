#include "cluster-daemon/script-helper/launch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

namespace kagami::script_helper {
namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    out.reserve(texts.size() + 1);
    for (auto& text : texts) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

// From here on the child: plain system calls only, nothing allocates.
void reset_signals() {
    struct sigaction defaults{};
    defaults.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; ++number) ::sigaction(number, &defaults, nullptr);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void drop_protection() {
    const sched_param normal{};
    ::sched_setscheduler(0, SCHED_OTHER, &normal);
    const int adjust = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (adjust >= 0) {
        [[maybe_unused]] const ssize_t written = ::write(adjust, "0", 1);
        ::close(adjust);
    }
}

bool arrange_descriptors(int log_fd, int& status_fd) {
    const int null_fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null_fd < 0 || ::dup2(null_fd, 0) < 0 || ::dup2(log_fd, 1) < 0 || ::dup2(log_fd, 2) < 0) return false;
    if (status_fd != 3) {
        if (::dup3(status_fd, 3, O_CLOEXEC) < 0) return false;
        status_fd = 3;
    }
    return ::syscall(SYS_close_range, 4U, ~0U, 0U) == 0;
}

[[noreturn]] void become(const std::vector<char*>& argv, const std::vector<char*>& environment, const Program& program,
                         int status_fd) {
    reset_signals();
    ::setsid();
    ::umask(022);
    drop_protection();
    const bool moved = ::write(program.cgroup_fd, "0", 1) == 1;
    if (moved && ::chdir("/") == 0 && arrange_descriptors(program.log_fd, status_fd)) {
        ::execve(argv[0], argv.data(), environment.data());
    }
    const int error_number = errno;
    [[maybe_unused]] const ssize_t written = ::write(status_fd, &error_number, sizeof error_number);
    ::_exit(127);
}

}  // namespace

Result<Child> launch(const Program& program) {
    std::vector<std::string> arguments = program.argv;
    std::vector<std::string> settings;
    settings.reserve(program.environment.size());
    for (const auto& [name, value] : program.environment) settings.push_back(fmt::format("{}={}", name, value));
    const std::vector<char*> argv = pointers(arguments);
    const std::vector<char*> environment = pointers(settings);

    std::array<int, 2> pipe_fds{};
    if (::pipe2(pipe_fds.data(), O_CLOEXEC | O_NONBLOCK) != 0) return fail("cannot make a pipe: " + errno_text(errno));
    Child child;
    child.exec_status = UniqueFd(pipe_fds[0]);
    const UniqueFd status_write(pipe_fds[1]);
    int pidfd = -1;
    clone_args args{};
    args.flags = CLONE_PIDFD;
    args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
    args.exit_signal = SIGCHLD;
    const long pid = ::syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) become(argv, environment, program, status_write.get());
    if (pid < 0)
        return fail(program.argv[0] + ": cannot start a process: " + errno_text(errno),
                    "check the limits of processes and memory");
    child.pid = static_cast<int>(pid);
    child.pidfd = UniqueFd(pidfd);
    return child;
}

}  // namespace kagami::script_helper
