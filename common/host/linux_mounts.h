// File systems of this node's mount namespace, read from /proc alone: a mirror whose I/O stalls must not stop who looks.
// A path on a mounted file system is compared as text and never opened or stat()ed.
// A holder is a process with its directory, root, program or an open file on the file system that is mounted there, also
// when it sees that file system elsewhere (in a container); not one that has another file system under the same path.
// Another mount below it is a holder too. Mappings are not looked at: that waits for the process's memory lock, which a
// process that faults on a stalled mirror may keep for ever.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/host/mountinfo.h"

namespace kagami::host {

class LinuxMounts : public Mounts {
 public:
    using Signature = std::function<Result<std::string>(const std::string& device)>;
    explicit LinuxMounts(Signature signature, std::string proc = "/proc")
        : signature_(std::move(signature)), proc_(std::move(proc)) {}
    Result<std::vector<Mount>> mounts() override;
    Result<std::vector<Holder>> holders(const std::string& target) override;
    Result<std::vector<Holder>> signal_holders(const std::string& target, int signal) override;
    Result<std::string> signature(const std::string& device) override { return signature_(device); }

 private:
    struct Search {
        std::string device;         // of the file system that lies on top at the target; empty = none
        std::string own_namespace;  // "mnt:[4026531841]"
        std::vector<Mount> own;
    };
    Result<Search> search_for(const std::string& target);
    bool uses(const Search& search, int pid) const;
    std::vector<int> processes_of(const Search& search) const;
    Holder describe(int pid) const;
    Signature signature_;
    std::string proc_;
};

}  // namespace kagami::host
