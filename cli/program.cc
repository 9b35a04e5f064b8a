#include "cli/program.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>

#include "common/files.h"

namespace kagami::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct Files {
    Files() { ::posix_spawn_file_actions_init(&actions); }
    ~Files() { ::posix_spawn_file_actions_destroy(&actions); }
    Files(const Files&) = delete;
    Files& operator=(const Files&) = delete;
    posix_spawn_file_actions_t actions{};
};

// Where the system keeps programs; a word with a slash is taken as it is.
std::string searched(const std::string& program) {
    if (program.find('/') != std::string::npos) return program;
    for (const char* directory : {"/usr/local/sbin/", "/usr/local/bin/", "/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"})
        if (::access((directory + program).c_str(), X_OK) == 0) return directory + program;
    return program;
}

enum class Whose { kOurs, kPersons };  // environment and PATH

Result<pid_t> start(const std::vector<std::string>& command, int output, Whose whose, Errors errors) {
    Files files;
    ::posix_spawn_file_actions_addopen(&files.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&files.actions, output, STDOUT_FILENO);
    if (errors == Errors::kJoined)
        ::posix_spawn_file_actions_adddup2(&files.actions, output, STDERR_FILENO);
    else
        ::posix_spawn_file_actions_addopen(&files.actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    std::vector<std::string> words = command;
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    std::string language = "LC_ALL=C.UTF-8";
    char* environment[] = {language.data(), nullptr};
    pid_t child = 0;
    const std::string program = whose == Whose::kPersons ? searched(words.front()) : words.front();
    const int error = ::posix_spawn(&child, program.c_str(), &files.actions, nullptr, arguments.data(),
                                    whose == Whose::kPersons ? environ : environment);
    if (error == ENOENT) return fail(ErrorCode::kNotFound, command.front() + " is not installed");
    if (error != 0) return fail(command.front() + ": " + errno_text(error));
    return child;
}

// False when the time was over before the program closed its output.
bool read_until(int input, size_t limit_bytes, Clock::time_point end, std::string& text) {
    char block[16384];
    while (text.size() < limit_bytes) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
        pollfd wait{input, POLLIN, 0};
        if (left <= 0 || ::poll(&wait, 1, static_cast<int>(left)) == 0) return false;
        const ssize_t got = ::read(input, block, std::min(sizeof(block), limit_bytes - text.size()));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return true;
        text.append(block, static_cast<size_t>(got));
    }
    return true;
}

Result<Ended> run(const std::vector<std::string>& command, size_t limit_bytes, Duration limit, Whose whose,
                  Errors errors) {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail("pipe: " + errno_text(errno));
    UniqueFd input(ends[0]);
    UniqueFd output(ends[1]);
    const auto child = start(command, output.get(), whose, errors);
    if (!child) return tl::unexpected(child.error());
    output.reset();
    Ended ended;
    const bool in_time = read_until(input.get(), limit_bytes, Clock::now() + limit, ended.output);
    const bool cut = ended.output.size() >= limit_bytes;
    if (!in_time || cut) ::kill(*child, SIGKILL);
    int status = 0;
    while (::waitpid(*child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!in_time) return fail(ErrorCode::kTimedOut, command.front() + " did not end in time");
    ended.status = cut ? 0 : WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return ended;
}

}  // namespace

Result<Ended> run_program(const std::vector<std::string>& command, size_t limit_bytes, Duration limit, Errors errors) {
    return run(command, limit_bytes, limit, Whose::kPersons, errors);
}

Result<std::string> output_of(const std::vector<std::string>& command, size_t limit_bytes, Duration limit) {
    auto ended = run(command, limit_bytes, limit, Whose::kOurs, Errors::kDropped);
    if (!ended) return tl::unexpected(ended.error());
    if (ended->status != 0) return fail(command.front() + " failed");
    return std::move(ended->output);
}

}  // namespace kagami::cli
