// This thread (and the threads it makes) in a network namespace of its own with the interface `v0`, and a second
// namespace, the peer, with `v1`, joined by a cable (veth). Both gone when the object goes.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/files.h"

namespace kagami::host {

class TwoNamespaces {
 public:
    TwoNamespaces();
    ~TwoNamespaces();
    TwoNamespaces(const TwoNamespaces&) = delete;
    // `ip ARGUMENTS` here, or at the peer; what it prints. A failure fails the test.
    std::string here(const std::vector<std::string>& arguments) const;
    std::string peer(const std::vector<std::string>& arguments) const;
    std::string mac(const std::string& link_show) const;  // of the output of `ip -o link show NAME`

 private:
    UniqueFd original_;
    pid_t peer_ = 0;
};

}  // namespace kagami::host
