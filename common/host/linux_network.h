// Links and addresses of this node through netlink, the packets around floating addresses, and ping.
// announce() sends one volley before it returns and two more (100 ms, 1 s) from the event thread, each only if the
// address is still on this node then, and none after remove_address(): an announcement of an address that has moved on
// would draw its clients away.
#pragma once

#include <mutex>
#include <set>

#include "common/host/event_thread.h"
#include "common/host/host.h"

namespace kagami::host {

class LinuxNetwork : public Network {
 public:
    explicit LinuxNetwork(EventThread& thread) : thread_(thread), announced_(std::make_shared<Announced>()) {}
    Result<std::vector<Link>> links() override;
    Result<std::vector<Address>> addresses() override;
    Result<std::string> interface_for(const Address& address) override;
    Status add_address(const Address& address) override;
    Status remove_address(const Address& address) override;
    Result<std::optional<std::string>> probe_duplicate(const Address& address, Duration wait) override;
    Status announce(const Address& address) override;
    Result<bool> announce_again(const Address& address) override;
    Result<std::optional<bool>> ethtool_link(const std::string& interface) override;
    Result<bool> ping(const std::string& address, Duration wait) override;
    std::shared_ptr<void> on_change(std::function<void()> callback) override;

 private:
    // The addresses that may be announced; shared with the volleys that still wait on the event thread.
    struct Announced {
        std::mutex mutex;
        std::set<std::string> texts;  // guarded by mutex
    };
    EventThread& thread_;
    std::shared_ptr<Announced> announced_;
};

}  // namespace kagami::host
