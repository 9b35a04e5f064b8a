#include "common/host/check/linux_checks.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>

#include "common/host/boot_clock.h"
#include "common/host/check/answer.h"
#include "common/host/pidfd.h"

namespace kagami::host {
namespace {

constexpr size_t kMaxAnswer = 8192;
constexpr Duration kDying = 100ms;  // what SIGKILL needs for a process that does not wait in the kernel
constexpr int kNoProgram = 127;

struct Asked {
    UniqueFd pidfd;
    UniqueFd output;
};

// From here on the child: plain system calls only, nothing allocates.
[[noreturn]] void become(const std::vector<char*>& argv, int output) {
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    ::setsid();  // no signal of a terminal's reaches it
    const int null_fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    char* const nothing[] = {nullptr};
    if (null_fd >= 0 && ::dup2(null_fd, 0) == 0 && ::dup2(output, 1) == 1 && ::dup2(null_fd, 2) == 2 &&
        ::syscall(SYS_close_range, 3U, ~0U, 0U) == 0 && ::chdir("/") == 0)
        ::execve(argv[0], argv.data(), nothing);
    ::_exit(kNoProgram);
}

Result<Asked> start(std::vector<std::string> words) {
    std::vector<char*> argv;
    argv.reserve(words.size() + 1);
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    std::array<int, 2> pipe_fds{};
    if (::pipe2(pipe_fds.data(), O_CLOEXEC) != 0) return fail("cannot make a pipe: " + errno_text(errno));
    Asked asked;
    asked.output = UniqueFd(pipe_fds[0]);
    const UniqueFd writing(pipe_fds[1]);
    const pid_t pid = ::_Fork();
    if (pid == 0) become(argv, writing.get());
    if (pid < 0)
        return fail("cannot start " + words[0] + ": " + errno_text(errno), "check the limits of processes and memory");
    asked.pidfd = open_pidfd(pid);
    if (asked.pidfd.valid()) return asked;
    const int error_number = errno;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return fail("cannot watch " + words[0] + ": " + errno_text(error_number));
}

bool ready_before(int fd, Instant end) {
    for (;;) {
        const Duration left = std::max(end - boot_now(), Duration(0ns));
        pollfd entry{fd, POLLIN, 0};
        const timespec wait{left / 1s, (left % 1s).count()};
        const int ready = ::ppoll(&entry, 1, &wait, nullptr);
        if (ready > 0) return true;
        if (ready == 0 || errno != EINTR) return false;
    }
}

// Its exit status once it has ended, -1 by a signal; nothing while it lives.
std::optional<int> reap(const UniqueFd& pidfd) {
    siginfo_t info{};
    if (::waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, WEXITED | WNOHANG) != 0) return -1;
    if (info.si_pid == 0) return std::nullopt;
    return info.si_code == CLD_EXITED ? info.si_status : -1;
}

// What it printed until it ended; nothing when it did not end in time.
std::optional<std::string> answer_of(const Asked& asked, Instant deadline) {
    std::string text;
    std::array<char, 1024> piece{};
    while (text.size() < kMaxAnswer) {
        if (!ready_before(asked.output.get(), deadline)) return std::nullopt;
        const ssize_t got = ::read(asked.output.get(), piece.data(), piece.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        text.append(piece.data(), static_cast<size_t>(got));
    }
    return text;
}

struct Answer {
    std::string word, second, third;
};

Answer parse(const std::string& text) {
    std::array<std::string, 3> lines;
    size_t at = 0;
    for (std::string& line : lines) {
        const size_t end = std::min(text.find('\n', at), text.size());
        line = text.substr(std::min(at, text.size()), end - std::min(at, end));
        at = end + 1;
    }
    return {lines[0], lines[1], lines[2]};
}

ErrorCode code_of(const std::string& word) {
    if (word == answer::kUsage) return ErrorCode::kUsage;
    return word == answer::kNotFound ? ErrorCode::kNotFound : ErrorCode::kFailed;
}

std::string text_of_seconds(Duration d) {
    return std::to_string((d + 500ms) / 1s) + " s";
}

template <typename Number>
Result<Number> number_of(const Result<std::optional<std::string>>& answered) {
    if (!answered) return tl::unexpected(answered.error());
    Number value = 0;
    const std::string text = answered->value_or("");
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec != std::errc{}) return fail("kagami-check answered \"" + text + "\" where a number must stand");
    return value;
}

const char* word_of(DiskMethod method) {
    switch (method) {
        case DiskMethod::kTestUnitReady: return "tur";
        case DiskMethod::kRead: return "read";
        case DiskMethod::kReadDirect: return "read-direct";
        case DiskMethod::kWrite: return "write";
    }
    return "";
}

}  // namespace

std::string check_program() {
    std::array<char, 4096> own{};
    const ssize_t size = ::readlink("/proc/self/exe", own.data(), own.size());
    const std::string path(own.data(), size > 0 ? static_cast<size_t>(size) : 0);
    return path.substr(0, path.rfind('/') + 1) + "kagami-check";
}

Status LinuxChecks::check_left(const std::string& key, const std::string& object) {
    const std::scoped_lock lock(mutex_);
    std::erase_if(left_, [](const auto& entry) { return reap(entry.second.pidfd).has_value(); });
    const auto at = left_.find(key);
    if (at == left_.end()) return {};
    return fail(ErrorCode::kTimedOut,
                object + ": a question asked " + text_of_seconds(boot_now() - at->second.begun) +
                    " ago still waits in the kernel for its answer",
                "look into the kernel's log (dmesg) and at what it lies on");
}

Result<std::optional<std::string>> LinuxChecks::ask(const std::vector<std::string>& question, const std::string& object,
                                                    Instant deadline) {
    std::string key;
    for (const std::string& word : question) key += word + '\n';
    if (Status free = check_left(key, object); !free) return tl::unexpected(free.error());
    const Instant begun = boot_now();
    const Duration limit = std::max(deadline - begun, Duration(0ns));
    std::vector<std::string> words = {program_, std::to_string(limit / 1s + 2)};
    words.insert(words.end(), question.begin(), question.end());
    auto asked = start(std::move(words));
    if (!asked) return tl::unexpected(asked.error());
    const auto text = answer_of(*asked, deadline);
    if (!text) ::syscall(SYS_pidfd_send_signal, asked->pidfd.get(), SIGKILL, nullptr, 0);
    (void)ready_before(asked->pidfd.get(), boot_now() + kDying);
    const auto status = reap(asked->pidfd);
    if (!status) {
        const std::scoped_lock lock(mutex_);
        left_[key] = {std::move(asked->pidfd), begun};
    }
    if (!text)
        return fail(ErrorCode::kTimedOut, object + ": no answer within " + text_of_seconds(limit),
                    "look into the kernel's log (dmesg) and at what it lies on");
    Answer answer = parse(*text);
    if (answer.word == answer::kOk) return std::optional(std::move(answer.second));
    if (answer.word == answer::kFull) return std::optional<std::string>();
    if (answer.word.empty())
        return fail(object + ": " + program_ + (status == kNoProgram ? " cannot be run" : " ended without an answer"),
                    "install it beside the daemon's program");
    return fail(code_of(answer.word), std::move(answer.second), std::move(answer.third));
}

Result<bool> LinuxChecks::test_disk(const DiskTest& test, Instant deadline) {
    const auto answered =
        ask({"disk", word_of(test.method), test.object, std::to_string(test.bytes)}, test.object, deadline);
    if (!answered) return tl::unexpected(answered.error());
    return answered->has_value();
}

Result<uint64_t> LinuxChecks::free_bytes(const std::string& path, Instant deadline) {
    return number_of<uint64_t>(ask({"space", path}, path, deadline));
}

Result<int> LinuxChecks::count_processes(const std::string& pattern, Instant deadline) {
    return number_of<int>(ask({"processes", pattern}, "the list of processes", deadline));
}

Status LinuxChecks::carry(const Load& load, Instant deadline) {
    const bool file = !load.directory.empty();
    const auto answered = ask({"load", file ? load.directory : "/", std::to_string(load.write_bytes),
                               file && load.thread ? "both"
                               : file              ? "file"
                                                   : "thread"},
                              file ? load.directory : "a thread", deadline);
    if (!answered) return tl::unexpected(answered.error());
    return {};
}

Result<uint64_t> LinuxChecks::available_memory() {
    const UniqueFd file(::open("/proc/meminfo", O_RDONLY | O_CLOEXEC));
    std::array<char, 4096> text{};
    const ssize_t got = file.valid() ? ::read(file.get(), text.data(), text.size()) : -1;
    const std::string_view all(text.data(), got > 0 ? static_cast<size_t>(got) : 0);
    constexpr std::string_view kKey = "MemAvailable:";
    const size_t at = all.find(kKey);
    if (at == std::string_view::npos) return fail("/proc/meminfo tells no available memory");
    const size_t digits = std::min(all.find_first_not_of(' ', at + kKey.size()), all.size());
    uint64_t kibibytes = 0;
    std::from_chars(all.data() + digits, all.data() + all.size(), kibibytes);
    return kibibytes * 1024;
}

}  // namespace kagami::host
