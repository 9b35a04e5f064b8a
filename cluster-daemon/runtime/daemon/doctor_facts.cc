// What the doctor needs of this machine.
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <charconv>

#include "cluster-daemon/runtime/daemon/doctor.h"
#include "cluster-daemon/runtime/daemon/machine_measures.h"
#include "common/files.h"

namespace kagami::runtime {
namespace {

constexpr size_t kMeminfoLimit = 16384;

FileFact look_at(const std::string& path, bool secret) {
    FileFact fact;
    fact.path = path;
    fact.secret = secret;
    struct stat found{};
    fact.exists = ::lstat(path.c_str(), &found) == 0;
    fact.mode = found.st_mode & 07777U;
    fact.owner = found.st_uid;
    return fact;
}

std::optional<int64_t> sysctl_value(const std::string& path) {
    const auto text = read_file(path, 64);
    int64_t value = 0;
    if (!text || std::from_chars(text->data(), text->data() + text->size(), value).ec != std::errc{})
        return std::nullopt;
    return value;
}

bool clock_is_kept() {
    timex state{};  // modes 0: reads only
    return ::adjtimex(&state) != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
}

}  // namespace

MachineFacts look_at_machine(const MachinePaths& paths) {
    MachineFacts facts;
    if (const auto meminfo = read_file("/proc/meminfo", kMeminfoLimit)) {
        facts.memory_total_mib = memory_field_mib(*meminfo, "MemTotal:").value_or(0);
        facts.memory_free_mib = memory_field_mib(*meminfo, "MemAvailable:").value_or(0);
    }
    struct statvfs space{};
    if (::statvfs(paths.state.c_str(), &space) == 0) {
        const uint64_t mib = 1024 * 1024;
        facts.disk_total_mib = static_cast<uint64_t>(space.f_blocks) * space.f_frsize / mib;
        facts.disk_free_mib = static_cast<uint64_t>(space.f_bavail) * space.f_frsize / mib;
    }
    facts.clock_kept = clock_is_kept();
    facts.panic = sysctl_value("/proc/sys/kernel/panic");
    facts.panic_on_oops = sysctl_value("/proc/sys/kernel/panic_on_oops");
    facts.sysrq_trigger = ::access("/proc/sysrq-trigger", W_OK) == 0;
    facts.script_helper = ::access((paths.runtime + "/helper.sock").c_str(), F_OK) == 0;
    facts.files = {look_at(paths.configuration, false),
                   look_at(paths.configuration + "/pki", true),
                   look_at(paths.configuration + "/pki/ca.crt", false),
                   look_at(paths.configuration + "/pki/node.crt", false),
                   look_at(paths.configuration + "/pki/node.key", true),
                   look_at(paths.state, true),
                   look_at(paths.state + "/voter.store", true),
                   look_at(paths.runtime, true),
                   look_at(paths.runtime + "/control.sock", true)};
    if (const FileFact ca = look_at(paths.configuration + "/pki/ca.key", true); ca.exists) facts.files.push_back(ca);
    return facts;
}

}  // namespace kagami::runtime
