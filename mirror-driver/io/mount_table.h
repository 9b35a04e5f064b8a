// /proc/self/mountinfo, as this process sees it: asked instead of the file systems themselves, whose servers may be
// away.
#pragma once

#include <sys/types.h>

#include <string>

namespace kagami::mirror {

dev_t mounted_at(const std::string& path);      // the file system on top; 0 = none
dev_t file_system_of(const std::string& path);  // by its text alone; 0 = none
std::string mount_point_of(dev_t device);       // the first place; empty = none
std::string device_numbers(dev_t device);       // "8:17"

}  // namespace kagami::mirror
