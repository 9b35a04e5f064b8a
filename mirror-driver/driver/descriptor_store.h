// Descriptors that survive this process: the service manager keeps them ($NOTIFY_SOCKET, FDSTORE) and hands them back
// to its successor (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES). Also tells it that we are ready. Thread-safe. Without a
// service manager nothing is kept: a crash of the driver then means I/O errors, a named warning.
#pragma once

#include <map>
#include <string>

#include "common/files.h"
#include "common/result.h"

namespace kagami::mirror {

class DescriptorStore {
 public:
    // Takes what a former process left out of the environment.
    static DescriptorStore from_environment();

    std::map<std::string, UniqueFd> take_kept() { return std::move(kept_); }
    Status keep(const std::string& name, int descriptor) const;  // instead of what was kept under that name
    Status forget(const std::string& name) const;
    Status ready() const;
    bool available() const { return !address_.empty(); }

 private:
    Status send(const std::string& text, int descriptor) const;
    std::string address_;  // '@' first: abstract
    std::map<std::string, UniqueFd> kept_;
};

}  // namespace kagami::mirror
