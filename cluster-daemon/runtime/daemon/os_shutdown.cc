#include "cluster-daemon/runtime/daemon/os_shutdown.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <sstream>
#include <string>

#include "cluster-daemon/runtime/daemon/run_tool.h"

namespace kagami::runtime {
namespace {

constexpr Duration kPatience = 3s;

}  // namespace

// A line: "123 reboot.target start waiting".
OsEnd end_in_jobs(std::string_view jobs) {
    OsEnd end = OsEnd::kNone;
    std::istringstream lines{std::string(jobs)};
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string number;
        std::string unit;
        std::string type;
        if (!(words >> number >> unit >> type) || type != "start") continue;
        if (unit == "reboot.target" || unit == "kexec.target" || unit == "soft-reboot.target") return OsEnd::kReboot;
        if (unit == "poweroff.target" || unit == "halt.target") end = OsEnd::kHalt;
    }
    return end;
}

OsEnd os_end_under_way() {
    if (::access("/run/systemd/system", F_OK) != 0) return OsEnd::kNone;
    const auto jobs = run_tool({"/usr/bin/systemctl", "list-jobs", "--no-legend", "--plain", "--no-pager"}, kPatience);
    if (jobs) return end_in_jobs(*jobs);
    spdlog::warn("cannot find out whether the operating system is going down: {}", jobs.error().message);
    return OsEnd::kNone;
}

}  // namespace kagami::runtime
