// The machine as the daemon's workers see it: one event thread, netlink, pidfds and the script helper.
#pragma once

#include <memory>

#include "common/host/host.h"

namespace kagami::host {

class LinuxHost {
 public:
    // `scripts` is script_helper::Client in the daemon.
    explicit LinuxHost(std::unique_ptr<Scripts> scripts);
    ~LinuxHost();
    // Lives as long as this object; every handle of a subscription must be gone before it.
    Host& host() { return host_; }

 private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
    Host host_;
};

std::unique_ptr<LinuxHost> make_linux_host(std::unique_ptr<Scripts> scripts);

}  // namespace kagami::host
