// One node of a cluster as far as its mirror driver sees it: the daemon's end of the socket with a register that grants
// what a driver may wish, the guard's page, the service manager's descriptor store, and kagami-mirrord itself.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "cluster-daemon/guard/guard_page.h"
#include "common/files.h"
#include "mirror-driver/link/client.h"
#include "tests/support/temporary_directory.h"

namespace kagami::testing {

class DrivenNode {
 public:
    explicit DrivenNode(uint64_t data_bytes = uint64_t{512} << 20U);
    ~DrivenNode();
    DrivenNode(const DrivenNode&) = delete;
    DrivenNode& operator=(const DrivenNode&) = delete;

    // `cgroup`: a folder of the memory controller that the driver is put into.
    void start_driver(const std::string& cgroup = {});
    void kill_driver();
    int stop_driver();  // SIGTERM; its exit status, -1 = it goes on
    int driver_pid() const { return pid_; }
    size_t kept() const { return kept_.size(); }  // descriptors in the store
    void forget_kept() { kept_.clear(); }
    void collect_kept();

    void own(bool owned);  // whether the group runs here
    void new_token();
    void lease(Duration length);  // negative: withdrawn
    Result<std::string> promote();
    Status demote();
    mirror_link::MirrorStatus status();
    mirror::Report report();

    std::string mount_point() const { return directory_ / "mnt"; }
    std::string disk_path() const { return run_directory_ + "/mirror/md1/disk"; }
    mirror_link::MirrorConfig config;
    TemporaryDirectory& directory() { return directory_; }

 private:
    void grant(const mirror::Report& report);
    void tell();
    void publish();

    TemporaryDirectory directory_;
    std::string run_directory_;  // in /run: only root may write above it
    BootId boot_{7};
    int pid_ = -1;
    UniqueFd notify_;
    std::map<std::string, UniqueFd> kept_;
    std::unique_ptr<guard::GuardPageWriter<guard::GuardPlan>> page_;
    Duration lease_{};
    mutable std::mutex mutex_;
    mirror::Authority authority_;
    mirror::Report report_;
    Token token_;
    std::unique_ptr<mirror_link::Client> client_;
};

}  // namespace kagami::testing
