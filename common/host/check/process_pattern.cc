#include "common/host/check/process_pattern.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "common/files.h"

namespace kagami::host {
namespace {

constexpr size_t kMaxText = 128 * 1024;

bool matches_text(std::string_view pattern, std::string_view text) {
    size_t at = 0;
    size_t in_pattern = 0;
    size_t star = std::string_view::npos;
    size_t star_at = 0;
    while (at < text.size()) {
        if (in_pattern < pattern.size() && pattern[in_pattern] == '*') {
            star = in_pattern++;
            star_at = at;
        } else if (in_pattern < pattern.size() && pattern[in_pattern] == text[at]) {
            ++in_pattern;
            ++at;
        } else if (star != std::string_view::npos) {
            in_pattern = star + 1;
            at = ++star_at;
        } else {
            return false;
        }
    }
    while (in_pattern < pattern.size() && pattern[in_pattern] == '*') ++in_pattern;
    return in_pattern == pattern.size();
}

// Of /proc: its sizes are not known before. Empty when the process has gone.
std::string read_text(const std::string& path) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::string text;
    std::array<char, 4096> piece{};
    while (file.valid() && text.size() < kMaxText) {
        const ssize_t got = ::read(file.get(), piece.data(), piece.size());
        if (got <= 0) break;
        text.append(piece.data(), static_cast<size_t>(got));
    }
    return text;
}

bool is_number(std::string_view name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool counts(const std::string& directory, const std::string& pattern) {
    const std::string stat = read_text(directory + "/stat");  // "12 (name) S ..."
    const size_t open = stat.find('(');
    const size_t close = stat.rfind(')');
    if (open == std::string::npos || close == std::string::npos || close + 2 >= stat.size()) return false;
    const char state = stat[close + 2];
    const std::string_view name = std::string_view(stat).substr(open + 1, close - open - 1);
    if (state == 'Z' || state == 'X' || name == "kagami-check") return false;
    std::string line = read_text(directory + "/cmdline");
    while (!line.empty() && line.back() == '\0') line.pop_back();
    const std::string first = line.substr(0, line.find('\0'));
    std::replace(line.begin(), line.end(), '\0', ' ');
    return matches_process(pattern, name, first, line);
}

}  // namespace

bool matches_process(std::string_view pattern, std::string_view short_name, std::string_view first_argument,
                     std::string_view command_line) {
    if (pattern.find('*') != std::string_view::npos)
        return matches_text(pattern, command_line) || matches_text(pattern, short_name);
    const std::string_view program = first_argument.substr(first_argument.rfind('/') + 1);
    return pattern == short_name || pattern == program || pattern == first_argument || pattern == command_line;
}

Result<int> count_processes(const std::string& pattern) {
    const std::unique_ptr<DIR, int (*)(DIR*)> all(::opendir("/proc"), &::closedir);
    if (!all) return fail("cannot read /proc: " + errno_text(errno), "mount it: mount -t proc proc /proc");
    int count = 0;
    while (const dirent* entry = ::readdir(all.get())) {
        const std::string name = entry->d_name;
        if (is_number(name) && counts("/proc/" + name, pattern)) ++count;
    }
    return count;
}

}  // namespace kagami::host
