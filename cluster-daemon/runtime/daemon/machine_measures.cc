#include "cluster-daemon/runtime/daemon/machine_measures.h"

#include <sys/statvfs.h>

#include <charconv>

#include "common/files.h"

namespace kagami::runtime {
namespace {

constexpr size_t kMeminfoLimit = 16384;

}  // namespace

std::optional<uint64_t> memory_field_mib(std::string_view meminfo, std::string_view key) {
    const size_t at = meminfo.find(key);
    if (at == std::string_view::npos) return std::nullopt;
    const size_t first = meminfo.find_first_not_of(' ', at + key.size());
    if (first == std::string_view::npos) return std::nullopt;
    uint64_t kib = 0;
    const auto [end, error] = std::from_chars(meminfo.data() + first, meminfo.data() + meminfo.size(), kib);
    if (error != std::errc{}) return std::nullopt;
    return kib / 1024;
}

engine::MachineMeasured measure_machine(const std::string& state_directory) {
    engine::MachineMeasured measured;
    if (const auto meminfo = read_file("/proc/meminfo", kMeminfoLimit))
        measured.memory_free_mib = memory_field_mib(*meminfo, "MemAvailable:").value_or(0);
    struct statvfs space{};
    if (::statvfs(state_directory.c_str(), &space) == 0) {
        measured.disk_free_mib = static_cast<uint64_t>(space.f_bavail) * space.f_frsize / (1024 * 1024);
    }
    return measured;
}

}  // namespace kagami::runtime
