#include "mirror-driver/io/mount_table.h"

#include <sys/sysmacros.h>

#include <fstream>
#include <functional>
#include <sstream>

namespace kagami::mirror {
namespace {

void for_each_mount(const std::function<void(dev_t device, const std::string& point)>& what) {
    std::ifstream table("/proc/self/mountinfo");
    for (std::string line; std::getline(table, line);) {
        std::istringstream fields(line);
        std::string id, parent, root, point;
        unsigned major_number = 0, minor_number = 0;
        char colon = 0;
        if (fields >> id >> parent >> major_number >> colon >> minor_number >> root >> point) {
            what(makedev(major_number, minor_number), point);
        }
    }
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
