// kagami-mirrord: exports this node's mirror disks. Started before the daemon, which tells it everything over its
// socket.
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>

#include <CLI/CLI.hpp>
#include <csignal>

#include "cluster-daemon/guard/guard_page.h"
#include "mirror-driver/driver/driver.h"
#include "mirror-driver/driver/hardening.h"
#include "mirror-driver/frontends/fuse_loop/fuse_file.h"

namespace kagami::mirror {
namespace {

// Signals become readable; a broken pipe is an error of the write.
UniqueFd stop_signals() {
    std::signal(SIGPIPE, SIG_IGN);
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, nullptr);
    return UniqueFd(signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK));
}

int refuse(const Error& error) {
    spdlog::error("{}{}{}", error.message, error.remedy.empty() ? "" : ": ", error.remedy);
    return static_cast<int>(error.code);
}

int serve(DriverSettings settings) {
    settings.warnings = harden_process();
    reserve_heap(size_t{8} << 20U);
    spdlog::set_default_logger(spdlog::stderr_logger_mt("kagami-mirrord"));
    spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
    const UniqueFd stop = stop_signals();
    mount_fusectl();
    DescriptorStore store = DescriptorStore::from_environment();
    Driver driver(std::move(settings), store);
    if (auto opened = driver.open(); !opened) return refuse(opened.error());
    if (auto done = driver.run(stop.get()); !done) return refuse(done.error());
    return 0;
}

}  // namespace
}  // namespace kagami::mirror

int main(int argc, char** argv) {
    kagami::mirror::DriverSettings settings;
    settings.guard_page = kagami::guard::kPagePath;
    CLI::App app{"kagami-mirrord: exports this node's mirror disks"};
    app.set_version_flag("--version", KAGAMI_VERSION);
    app.add_option("--socket", settings.socket, "where the daemon connects")->capture_default_str();
    app.add_option("--run-directory", settings.run_directory, "devices appear in its folder mirror/")
        ->capture_default_str();
    app.add_option("--guard-page", settings.guard_page, "the page shared with kagamid and kagami-guard")
        ->capture_default_str();
    app.add_option("--front-end", settings.front_end, "how devices are exported")->capture_default_str();
    CLI11_PARSE(app, argc, argv);
    return kagami::mirror::serve(std::move(settings));
}
