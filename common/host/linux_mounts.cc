#include "common/host/linux_mounts.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <memory>

#include "common/files.h"
#include "common/host/pidfd.h"

namespace kagami::host {
namespace {

constexpr size_t kMaxProcBytes = size_t{8} << 20U;

// "\040" and the like.
std::string unescape(std::string_view text) {
    const auto octal = [](char c) { return c >= '0' && c <= '7'; };
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        const bool escaped = text[i] == '\\' && i + 3 < text.size() && octal(text[i + 1]) && octal(text[i + 2]) && octal(text[i + 3]);
        if (!escaped) {
            out += text[i];
            continue;
        }
        out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
        i += 3;
    }
    return out;
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    for (size_t begin = 0; begin <= line.size();) {
        const size_t end = std::min(line.find(' ', begin), line.size());
        if (end > begin) words.push_back(line.substr(begin, end - begin));
        begin = end + 1;
    }
    return words;
}

template <typename Use>
void each_line(std::string_view text, const Use& use) {
    for (size_t begin = 0; begin < text.size();) {
        const size_t end = std::min(text.find('\n', begin), text.size());
        use(text.substr(begin, end - begin));
        begin = end + 1;
    }
}

bool below(std::string_view path, const std::string& target) {
    return path.starts_with(target) && (path.size() == target.size() || path[target.size()] == '/');
}

std::string link_text(const std::string& path) {
    std::array<char, PATH_MAX> text{};
    const ssize_t size = ::readlink(path.c_str(), text.data(), text.size());
    return size > 0 ? std::string(text.data(), static_cast<size_t>(size)) : std::string();
}

std::vector<std::string> names_in(const std::string& directory) {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(directory.c_str()), ::closedir);
    if (!dir) return names;
    while (const dirent* entry = ::readdir(dir.get())) names.emplace_back(static_cast<const char*>(entry->d_name));
    return names;
}

std::vector<int> all_processes(const std::string& proc) {
    std::vector<int> pids;
    for (const std::string& name : names_in(proc)) {
        int pid = 0;
        const auto end = std::from_chars(name.data(), name.data() + name.size(), pid).ptr;
        if (end == name.data() + name.size() && pid > 0) pids.push_back(pid);
    }
    std::sort(pids.begin(), pids.end());
    return pids;
}

bool uses_path(const std::string& process, const std::string& target) {
    for (const char* link : {"/cwd", "/root", "/exe"}) {
        if (below(link_text(process + link), target)) return true;
    }
    const std::string descriptors = process + "/fd";
    const auto names = names_in(descriptors);
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& name) { return below(link_text(descriptors + "/" + name), target); });
}

bool maps_path(const std::string& process, const std::string& target) {
    const auto maps = read_file(process + "/maps", kMaxProcBytes);
    bool found = false;
    if (maps) {
        each_line(*maps, [&](std::string_view line) {
            const size_t path = line.find('/');
            found = found || (path != line.npos && below(line.substr(path), target));
        });
    }
    return found;
}

}  // namespace

// 36 35 98:0 /root /target rw,noatime master:1 - ext4 /dev/loop3 rw
std::vector<Mount> parse_mountinfo(std::string_view text) {
    std::vector<Mount> mounts;
    each_line(text, [&](std::string_view line) {
        const auto words = words_of(line);
        const auto dash = std::find(words.begin(), words.end(), "-");
        if (words.size() < 6 || words.end() - dash < 3 || dash - words.begin() < 6) return;
        mounts.push_back({unescape(*(dash + 2)), unescape(words[4]), unescape(*(dash + 1))});
    });
    return mounts;
}

Result<std::vector<Mount>> LinuxMounts::mounts() {
    const auto text = read_file(proc_ + "/self/mountinfo", kMaxProcBytes);
    if (!text) return tl::unexpected(text.error());
    return parse_mountinfo(*text);
}

Result<std::vector<int>> LinuxMounts::processes_of(const std::string& target) const {
    if (target.empty() || target.front() != '/' || target == "/")
        return fail(ErrorCode::kUsage, "\"" + target + "\" is not a mount point whose users can be told");
    std::vector<int> found;
    const auto pids = all_processes(proc_);
    const auto keep = [&](bool (*uses)(const std::string&, const std::string&)) {
        std::copy_if(pids.begin(), pids.end(), std::back_inserter(found),
                     [&](int pid) { return uses(proc_ + "/" + std::to_string(pid), target); });
    };
    keep(uses_path);
    if (found.empty()) keep(maps_path);
    return found;
}

Holder LinuxMounts::describe(int pid) const {
    auto name = read_file(proc_ + "/" + std::to_string(pid) + "/comm", 64);
    while (name && !name->empty() && name->back() == '\n') name->pop_back();
    return {pid, name ? *name : "a process that has ended"};
}

Result<std::vector<Holder>> LinuxMounts::holders(const std::string& target) {
    const auto pids = processes_of(target);
    if (!pids) return tl::unexpected(pids.error());
    std::vector<Holder> all;
    for (const int pid : *pids) all.push_back(describe(pid));
    const auto known = mounts();
    if (!known) return tl::unexpected(known.error());
    for (const Mount& mount : *known) {
        if (mount.target != target && below(mount.target, target)) all.push_back({0, "the mount " + mount.target});
    }
    return all;
}

// The handle is taken before the second look, so that no reused pid is hit.
Result<std::vector<Holder>> LinuxMounts::signal_holders(const std::string& target, int signal) {
    const auto pids = processes_of(target);
    if (!pids) return tl::unexpected(pids.error());
    std::vector<Holder> told;
    for (const int pid : *pids) {
        if (pid == 1 || pid == ::getpid()) continue;
        const UniqueFd process = open_pidfd(pid);
        const std::string directory = proc_ + "/" + std::to_string(pid);
        if (!process.valid() || !(uses_path(directory, target) || maps_path(directory, target))) continue;
        const Holder holder = describe(pid);
        if (::syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0) == 0) told.push_back(holder);
    }
    return told;
}

}  // namespace kagami::host
