#include "common/host/linux_processes.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "common/host/pidfd.h"

namespace kagami::host {

std::shared_ptr<void> LinuxProcesses::on_exit(int pid, std::function<void()> callback) {
    UniqueFd pidfd = open_pidfd(pid);
    // Gone already: something that is ready at once stands in for it.
    if (!pidfd.valid()) pidfd = UniqueFd(::eventfd(1, EFD_CLOEXEC));
    return thread_.watch_once(std::move(pidfd), EPOLLIN, std::move(callback));
}

}  // namespace kagami::host
