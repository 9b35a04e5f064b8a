// Carries out what DriverWatch decides: looks at the mounts of this node each half second, kills a hung driver, fails the
// I/O of a mirror whose driver is gone. Never touches a path on a mirror's device: that could block. Thread-safe.
// The driver is the process that holds the record lock beside its socket: no other can be meant, and where nobody holds
// it no driver lives.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "cluster-daemon/engine/decision.h"
#include "cluster-daemon/runtime/daemon/driver_watch.h"
#include "common/host/event_thread.h"

namespace kagami::runtime {

class DriverWatcher {
 public:
    struct Handlers {  // on the watcher's thread
        std::function<void(const std::string& mirror)> ask;       // its answer: answered()
        std::function<void(const std::string& mirror)> given_up;  // at each look while it is so
        std::function<void(const engine::Decision&)> tell;
    };
    DriverWatcher(std::string driver_socket, Handlers handlers);

    void start();
    void stop();  // when it returns, no handler runs and none will
    void set_limits(std::map<std::string, Duration> limits);
    void answered(const std::string& mirror, bool serves);
    bool given_up(const std::string& mirror) const;
    bool driver_runs() const;

 private:
    void tick(host::EventLoop& loop);
    void carry_out(const DriverWatch::Action& action);
    void kill_driver(const DriverWatch::Action& action);

    std::string lock_path_;
    Handlers handlers_;
    mutable std::mutex mutex_;
    DriverWatch watch_;                   // guarded by mutex_
    std::map<std::string, Duration> limits_;  // guarded by mutex_
    std::optional<host::EventThread> thread_;
};

}  // namespace kagami::runtime
