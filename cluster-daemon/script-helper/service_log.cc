#include "cluster-daemon/script-helper/service_log.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <string_view>
#include <vector>

#include "common/text.h"

namespace kagami::script_helper {
namespace {

constexpr size_t kMaxLineBytes = 300;

std::string timestamp() {
    const std::time_t now = std::time(nullptr);
    std::tm fields{};
    ::gmtime_r(&now, &fields);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &fields);
    return text.data();
}

// Log lines reach terminals: no escape sequence may pass (security.md S21); and protobuf, which takes UTF-8 only.
std::string printable(std::string_view line) {
    std::string text = valid_utf8(line);
    std::replace_if(text.begin(), text.end(), [](char c) { return (c >= 0 && c < ' ') || c == 127; }, '?');
    return std::string(utf8_prefix(text, kMaxLineBytes));
}

std::string_view last_nonempty_line(std::string_view text) {
    const size_t last = text.find_last_not_of("\r\n\t ");
    if (last == std::string_view::npos) return {};
    text = text.substr(0, last + 1);
    const size_t newline = text.rfind('\n');
    return newline == std::string_view::npos ? text : text.substr(newline + 1);
}

bool copy_range(int from, int to, off_t begin, off_t end) {
    while (begin < end) {
        const ssize_t copied = ::copy_file_range(from, &begin, to, nullptr, static_cast<size_t>(end - begin), 0);
        if (copied <= 0) return false;
    }
    return true;
}

bool ends_with(std::string_view text, std::string_view end) {
    return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

bool valid_log_name(const std::string& name) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == '-';
    };
    return !name.empty() && name.size() <= 80 && name.front() != '.' && std::all_of(name.begin(), name.end(), allowed);
}

Result<OpenLog> ServiceLogs::open(const std::string& name) const {
    const std::string file = path(name);
    // Readable too: copy_file_range and last_line read it. O_NONBLOCK: a FIFO in its place must not hang us.
    UniqueFd fd(
        ::open(file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600));
    if (!fd.valid())
        return fail(file + ": cannot open the service log: " + errno_text(errno), errno_remedy(errno, file));
    struct stat info{};
    if (::fstat(fd.get(), &info) != 0) return fail(file + ": cannot look at it: " + errno_text(errno));
    if (!S_ISREG(info.st_mode) || info.st_uid != ::geteuid() || info.st_nlink != 1)
        return fail(ErrorCode::kRefused, file + ": is not a regular file of root's with one name",
                    "remove it and repeat");
    ::fcntl(fd.get(), F_SETFL, O_APPEND);  // the scripts shall not inherit O_NONBLOCK
    return OpenLog{std::move(fd), info.st_size};
}

void ServiceLogs::note(const std::string& name, const std::string& text) const {
    const auto log = open(name);
    if (!log) return;
    const std::string line = "--- " + timestamp() + " " + text + "\n";
    [[maybe_unused]] const ssize_t written = ::write(log->fd.get(), line.data(), line.size());
}

std::string ServiceLogs::last_line(const std::string& name, off_t begin) const {
    const auto log = open(name);
    if (!log) return "";
    const off_t end = log->begin;
    if (end < begin) begin = 0;  // it was rotated meanwhile
    begin = std::max(begin, end - 4096);
    std::array<char, 4096> tail{};
    const ssize_t got = ::pread(log->fd.get(), tail.data(), static_cast<size_t>(end - begin), begin);
    if (got <= 0) return "";
    return printable(last_nonempty_line({tail.data(), static_cast<size_t>(got)}));
}

void ServiceLogs::rotate(const std::string& path) const {
    const UniqueFd log(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat info{};
    if (!log.valid() || ::fstat(log.get(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_size <= limit_bytes_)
        return;
    const std::string fresh = path + ".new";
    ::unlink(fresh.c_str());
    const UniqueFd old(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    const bool copied =
        old.valid() && copy_range(log.get(), old.get(), std::max<off_t>(0, info.st_size - limit_bytes_), info.st_size);
    if (copied) {
        ::rename(fresh.c_str(), (path + ".1").c_str());
    } else {
        ::unlink(fresh.c_str());  // a full disk: the bound matters more than the old lines
    }
    [[maybe_unused]] const int cut = ::ftruncate(log.get(), 0);
}

void ServiceLogs::rotate_large() const {
    DIR* entries = ::opendir(directory_.c_str());
    if (entries == nullptr) return;
    std::vector<std::string> logs;
    while (const dirent* entry = ::readdir(entries)) {
        if (ends_with(entry->d_name, ".log")) logs.push_back(directory_ + "/" + entry->d_name);
    }
    ::closedir(entries);
    for (const std::string& log : logs) rotate(log);
}

}  // namespace kagami::script_helper
