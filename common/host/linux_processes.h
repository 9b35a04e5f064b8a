// Processes watched by pidfd: the kernel tells, nobody polls.
#pragma once

#include "common/host/event_thread.h"
#include "common/host/host.h"

namespace kagami::host {

class LinuxProcesses : public Processes {
 public:
    explicit LinuxProcesses(EventThread& thread) : thread_(thread) {}
    std::shared_ptr<void> on_exit(int pid, std::function<void()> callback) override;

 private:
    EventThread& thread_;
};

}  // namespace kagami::host
