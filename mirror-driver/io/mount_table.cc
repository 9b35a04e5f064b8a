#include "mirror-driver/io/mount_table.h"

#include <sys/sysmacros.h>

#include <algorithm>
#include <charconv>
#include <functional>

#include "common/files.h"
#include "common/host/mountinfo.h"

namespace kagami::mirror {
namespace {

constexpr size_t kMaxTableBytes = size_t{8} << 20U;

dev_t device_of(std::string_view numbers) {  // "8:17"
    unsigned major_number = 0, minor_number = 0;
    const size_t colon = std::min(numbers.find(':'), numbers.size());
    std::from_chars(numbers.data(), numbers.data() + colon, major_number);
    if (colon < numbers.size())
        std::from_chars(numbers.data() + colon + 1, numbers.data() + numbers.size(), minor_number);
    return makedev(major_number, minor_number);
}

void for_each_mount(const std::function<void(dev_t device, const std::string& point)>& what) {
    const auto table = read_file("/proc/self/mountinfo", kMaxTableBytes);
    if (!table) return;
    for (const host::Mount& mount : host::parse_mountinfo(*table)) what(device_of(mount.device), mount.target);
}

}  // namespace

dev_t mounted_at(const std::string& path) {
    dev_t found = 0;
    for_each_mount([&](dev_t device, const std::string& point) {
        if (point == path) found = device;
    });
    return found;
}

dev_t file_system_of(const std::string& path) {
    dev_t found = 0;
    size_t longest = 0;
    for_each_mount([&](dev_t device, const std::string& point) {
        const bool above = point == "/" || point == path || path.rfind(point + "/", 0) == 0;
        if (!above || point.size() < longest) return;
        longest = point.size();
        found = device;
    });
    return found;
}

std::string mount_point_of(dev_t device) {
    std::string found;
    for_each_mount([&](dev_t mounted, const std::string& point) {
        if (mounted == device && found.empty()) found = point;
    });
    return found;
}

std::string device_numbers(dev_t device) {
    return std::to_string(major(device)) + ":" + std::to_string(minor(device));
}

}  // namespace kagami::mirror
