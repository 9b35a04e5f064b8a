// Lines to the machine's own log: journald with fields where it runs, else syslog. A log that does not take a line
// loses that line; it never holds up the caller for longer than kPatience.
#pragma once

#include <string>

#include "cluster-daemon/runtime/alerts/alert.h"
#include "common/time.h"

namespace kagami::runtime::alerts {

struct SystemLogPaths {
    std::string journal = "/run/systemd/journal/socket";
    std::string syslog = "/dev/log";
};

class SystemLog {
 public:
    static constexpr Duration kPatience = 100ms;
    static constexpr Duration kImpatience = 10s;
    explicit SystemLog(SystemLogPaths paths);
    // False when nobody took it.
    bool write(const Alert& alert, const Origin& origin);

 private:
    enum class Sent { kYes, kBusy, kNobody };
    Sent send(const std::string& path, const std::string& datagram);
    SystemLogPaths paths_;
    Instant patient_from_{};
};

}  // namespace kagami::runtime::alerts
