#include "common/host/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace kagami::host {
namespace {

constexpr size_t kMaxProcFileBytes = 4096;
constexpr size_t kMaxProcsBytes = 1 << 20;

std::string first_cgroup2_mount() {
    std::ifstream mounts("/proc/self/mounts");
    for (std::string line; std::getline(mounts, line);) {
        std::istringstream fields(line);
        std::string device;
        std::string directory;
        std::string type;
        if (fields >> device >> directory >> type && type == "cgroup2") return directory;
    }
    return "";
}

void append_processes(const std::string& directory, std::vector<CgroupProcess>& found) {
    const auto listed = read_file(directory + "/cgroup.procs", kMaxProcsBytes);
    if (listed) {
        std::istringstream lines(*listed);
        for (int pid = 0; lines >> pid;) {
            // pid 0: it lives in a pid namespace that we cannot see. A process that went meanwhile has no start any
            // more.
            const uint64_t start = pid > 0 ? process_start_ticks(pid) : 0;
            if (start != 0) found.push_back({pid, start});
        }
    }
    DIR* entries = ::opendir(directory.c_str());
    if (entries == nullptr) return;
    while (const dirent* entry = ::readdir(entries)) {
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            append_processes(directory + "/" + entry->d_name, found);
    }
    ::closedir(entries);
}

Status make_directory(const std::string& path) {
    if (::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return {};
    return fail(path + ": cannot make the cgroup: " + errno_text(errno),
                "check that cgroup2 is mounted read-write there, or set KAGAMI_CGROUP_ROOT");
}

}  // namespace

Result<std::string> cgroup_root() {
    if (const char* given = std::getenv("KAGAMI_CGROUP_ROOT"); given != nullptr && given[0] == '/')
        return std::string(given);
    const std::string mount = first_cgroup2_mount();
    if (mount.empty())
        return fail(ErrorCode::kNotFound, "no cgroup2 file system is mounted",
                    "mount it (mount -t cgroup2 none /sys/fs/cgroup/unified) or set KAGAMI_CGROUP_ROOT");
    return mount + "/kagami";
}

uint64_t process_start_ticks(int pid) {
    const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat", kMaxProcFileBytes);
    if (!stat) return 0;
    // "PID (NAME) STATE ..."; the name may hold anything, so count from its last bracket: field 3 follows it, the start
    // is field 22.
    const size_t bracket = stat->rfind(')');
    if (bracket == std::string::npos) return 0;
    std::istringstream fields(stat->substr(bracket + 1));
    std::string skipped;
    for (int field = 3; field < 22; ++field) fields >> skipped;
    uint64_t ticks = 0;
    fields >> ticks;
    return ticks;
}

std::string process_name(int pid) {
    auto name = read_file("/proc/" + std::to_string(pid) + "/comm", kMaxProcFileBytes);
    if (!name) return "";
    while (!name->empty() && name->back() == '\n') name->pop_back();
    return *name;
}

Cgroup::Cgroup(const std::string& root, const std::string& group, const std::string& resource)
    : root_(root), path_(root + "/" + group + "/" + resource) {}

Status Cgroup::make() const {
    for (size_t slash = root_.find('/', 1);; slash = path_.find('/', slash + 1)) {
        const std::string part = path_.substr(0, slash);
        if (::access(part.c_str(), F_OK) != 0) {
            if (Status made = make_directory(part); !made) return made;
        }
        if (slash == std::string::npos) return {};
    }
}

Result<UniqueFd> Cgroup::open_entry() const {
    const std::string file = path_ + "/cgroup.procs";
    UniqueFd entry(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
    if (!entry.valid()) return fail(file + ": cannot open: " + errno_text(errno), errno_remedy(errno, file));
    return entry;
}

Result<UniqueFd> Cgroup::open_events() const {
    const std::string file = path_ + "/cgroup.events";
    UniqueFd events(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!events.valid()) return fail(file + ": cannot open: " + errno_text(errno), errno_remedy(errno, file));
    return events;
}

bool Cgroup::populated(int events_fd) {
    std::array<char, 256> text{};
    const ssize_t got = ::pread(events_fd, text.data(), text.size() - 1, 0);
    return got > 0 &&
           std::string_view(text.data(), static_cast<size_t>(got)).find("populated 1") != std::string_view::npos;
}

std::vector<CgroupProcess> Cgroup::processes() const {
    std::vector<CgroupProcess> found;
    append_processes(path_, found);
    std::stable_sort(found.begin(), found.end(), [](const CgroupProcess& a, const CgroupProcess& b) {
        return a.start_ticks != b.start_ticks ? a.start_ticks < b.start_ticks : a.pid < b.pid;
    });
    return found;
}

Status Cgroup::kill() const {
    const std::string file = path_ + "/cgroup.kill";
    const UniqueFd kill(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
    if (kill.valid() && ::write(kill.get(), "1", 1) == 1) return {};
    return fail(file + ": cannot kill the cgroup: " + errno_text(errno), "Linux 5.14 or newer is needed");
}

}  // namespace kagami::host
