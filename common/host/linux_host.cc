#include "common/host/linux_host.h"

#include <thread>

#include "common/host/boot_clock.h"
#include "common/host/check/linux_checks.h"
#include "common/host/event_thread.h"
#include "common/host/http_client.h"
#include "common/host/linux_network.h"
#include "common/host/linux_processes.h"

namespace kagami::host {

struct LinuxHost::Parts {
    explicit Parts(std::unique_ptr<Scripts> given) : scripts(std::move(given)) {}
    EventThread thread;
    LinuxNetwork network{thread};
    LinuxProcesses processes{thread};
    LinuxChecks checks{check_program()};
    HttpClient http;
    std::unique_ptr<Scripts> scripts;
};

LinuxHost::LinuxHost(std::unique_ptr<Scripts> scripts) : parts_(std::make_unique<Parts>(std::move(scripts))) {
    host_.now = boot_now;
    host_.oversleep = [](Duration pause) {
        const Instant due = boot_now() + pause;
        std::this_thread::sleep_for(pause);
        return boot_now() - due;
    };
    host_.scripts = parts_->scripts.get();
    host_.network = &parts_->network;
    host_.processes = &parts_->processes;
    host_.checks = &parts_->checks;
    host_.http = &parts_->http;
}

LinuxHost::~LinuxHost() = default;

std::unique_ptr<LinuxHost> make_linux_host(std::unique_ptr<Scripts> scripts) {
    return std::make_unique<LinuxHost>(std::move(scripts));
}

}  // namespace kagami::host
