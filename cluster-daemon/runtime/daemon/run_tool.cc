#include "cluster-daemon/runtime/daemon/run_tool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>

#include "common/files.h"

namespace kagami::runtime {
namespace {

constexpr size_t kMostOutput = size_t{64} * 1024;

Duration now() {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return Duration(std::chrono::seconds(t.tv_sec)) + Duration(t.tv_nsec);
}

Result<pid_t> spawn(const std::vector<std::string>& argv, int output) {
    std::vector<char*> words;
    for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    std::array<char*, 2> environment = {const_cast<char*>("LANG=C.UTF-8"), nullptr};
    posix_spawn_file_actions_t files{};
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    ::posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t pid = 0;
    const int error = ::posix_spawn(&pid, words[0], &files, nullptr, words.data(), environment.data());
    ::posix_spawn_file_actions_destroy(&files);
    if (error != 0) return fail(fmt::format("{} cannot be started: {}", argv[0], errno_text(error)));
    return pid;
}

// Reads until the end of the output; false: the limit came first.
bool read_until(int fd, Duration end, std::string& output) {
    std::array<char, 4096> part{};
    for (;;) {
        const Duration left = end - now();
        if (left <= Duration{}) return false;
        pollfd waited{fd, POLLIN, 0};
        const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(left).count() + 1;
        const int ready = ::poll(&waited, 1, static_cast<int>(ms));
        if (ready < 0 && errno != EINTR) return false;
        if (ready <= 0) continue;
        const ssize_t got = ::read(fd, part.data(), part.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return got == 0;
        if (output.size() < kMostOutput) output.append(part.data(), static_cast<size_t>(got));
    }
}

int wait_for(pid_t pid) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

}  // namespace

Result<std::string> run_tool(const std::vector<std::string>& argv, Duration limit) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(fmt::format("pipe: {}", errno_text(errno)));
    const UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    const Result<pid_t> pid = spawn(argv, writer.get());
    writer = UniqueFd();
    if (!pid) return tl::unexpected<Error>(pid.error());
    std::string output;
    const bool ended = read_until(reader.get(), now() + limit, output);
    if (!ended) ::kill(*pid, SIGKILL);
    const int status = wait_for(*pid);
    if (!ended) return fail(ErrorCode::kTimedOut, fmt::format("{} did not end within {:.3g} s", argv[0], seconds(limit)));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return fail(fmt::format("{} failed ({} {})", argv[0], WIFEXITED(status) ? "exit status" : "signal",
                                WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status)));
    return output;
}

}  // namespace kagami::runtime
