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

template <typename Use>
void each_line(std::string_view text, const Use& use) {
    for (size_t begin = 0; begin < text.size();) {
        const size_t end = std::min(text.find('\n', begin), text.size());
        use(text.substr(begin, end - begin));
        begin = end + 1;
    }
}

bool below(std::string_view path, const std::string& target) {
    if (target == "/") return path.starts_with('/');
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

// The mounts that a process sees, named as its links in /proc name them to us: from our root on.
std::vector<Mount> mounts_seen_by(const std::string& process) {
    const auto text = read_file(process + "/mountinfo", kMaxProcBytes);
    if (!text) return {};  // it has ended
    const std::string root = link_text(process + "/root");
    std::vector<Mount> all = parse_mountinfo(*text);
    if (root.empty() || root == "/") return all;
    for (Mount& mount : all) mount.target = mount.target == "/" ? root : root + mount.target;
    return all;
}

// The mount that the path lies on: the deepest, and of several at one place the last.
bool lies_on(std::string_view path, const std::vector<Mount>& mounts, const std::string& device) {
    const Mount* deepest = nullptr;
    for (const Mount& mount : mounts) {
        if (below(path, mount.target) && (deepest == nullptr || mount.target.size() >= deepest->target.size()))
            deepest = &mount;
    }
    return deepest != nullptr && deepest->device == device;
}

// An open file names its mount itself, whatever its path is called in which namespace.
bool opened_on(const std::string& fdinfo, const std::vector<Mount>& mounts, const std::string& device) {
    constexpr std::string_view kKey = "mnt_id:\t";
    const auto text = read_file(fdinfo, kMaxProcBytes);
    if (!text) return false;
    bool found = false;
    each_line(*text, [&](std::string_view line) {
        if (!line.starts_with(kKey)) return;
        const std::string_view id = line.substr(kKey.size());
        found = found || std::any_of(mounts.begin(), mounts.end(),
                                     [&](const Mount& mount) { return mount.id == id && mount.device == device; });
    });
    return found;
}

}  // namespace

Result<std::vector<Mount>> LinuxMounts::mounts() {
    const auto text = read_file(proc_ + "/self/mountinfo", kMaxProcBytes);
    if (!text) return tl::unexpected(text.error());
    return parse_mountinfo(*text);
}

Result<LinuxMounts::Search> LinuxMounts::search_for(const std::string& target) {
    if (target.empty() || target.front() != '/' || target == "/")
        return fail(ErrorCode::kUsage, "\"" + target + "\" is not a mount point whose users can be told");
    auto known = mounts();
    if (!known) return tl::unexpected(known.error());
    Search search{"", link_text(proc_ + "/self/ns/mnt"), std::move(*known)};
    for (const Mount& mount : search.own) {
        if (mount.target == target) search.device = mount.device;
    }
    return search;
}

bool LinuxMounts::uses(const Search& search, int pid) const {
    const std::string process = proc_ + "/" + std::to_string(pid);
    // Where it shares our namespace, ours is read once, and shows more: it is not cut at the root of a chroot.
    const bool shared = link_text(process + "/ns/mnt") == search.own_namespace;
    const std::vector<Mount> theirs = shared ? std::vector<Mount>() : mounts_seen_by(process);
    const std::vector<Mount>& seen = shared ? search.own : theirs;
    for (const char* link : {"/cwd", "/root", "/exe"}) {
        if (lies_on(link_text(process + link), seen, search.device)) return true;
    }
    const std::string descriptors = process + "/fdinfo";
    const auto names = names_in(descriptors);
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
        const std::string file = descriptors + "/" + name;
        return opened_on(file, seen, search.device) || (!shared && opened_on(file, search.own, search.device));
    });
}

std::vector<int> LinuxMounts::processes_of(const Search& search) const {
    std::vector<int> found;
    if (search.device.empty()) return found;  // nothing is mounted there
    const auto pids = all_processes(proc_);
    std::copy_if(pids.begin(), pids.end(), std::back_inserter(found), [&](int pid) { return uses(search, pid); });
    return found;
}

Holder LinuxMounts::describe(int pid) const {
    auto name = read_file(proc_ + "/" + std::to_string(pid) + "/comm", 64);
    while (name && !name->empty() && name->back() == '\n') name->pop_back();
    return {pid, name ? *name : "a process that has ended"};
}

Result<std::vector<Holder>> LinuxMounts::holders(const std::string& target) {
    const auto search = search_for(target);
    if (!search) return tl::unexpected(search.error());
    std::vector<Holder> all;
    for (const int pid : processes_of(*search)) all.push_back(describe(pid));
    for (const Mount& mount : search->own) {
        if (mount.target != target && below(mount.target, target)) all.push_back({0, "the mount " + mount.target});
    }
    return all;
}

// The handle is taken before the second look, so that no reused pid is hit.
Result<std::vector<Holder>> LinuxMounts::signal_holders(const std::string& target, int signal) {
    const auto search = search_for(target);
    if (!search) return tl::unexpected(search.error());
    std::vector<Holder> told;
    for (const int pid : processes_of(*search)) {
        if (pid == 1 || pid == ::getpid()) continue;
        const UniqueFd process = open_pidfd(pid);
        if (!process.valid() || !uses(*search, pid)) continue;
        const Holder holder = describe(pid);
        if (::syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0) == 0) told.push_back(holder);
    }
    return told;
}

}  // namespace kagami::host
