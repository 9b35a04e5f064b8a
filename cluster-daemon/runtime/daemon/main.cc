#include "cluster-daemon/runtime/daemon/main.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <thread>

#include "cluster-daemon/runtime/daemon/daemon.h"

namespace kagami::runtime {
namespace {

// Signals are taken by a thread of their own; everybody else has them blocked. That thread ends with the process.
void stop_on_signal(Daemon& daemon) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    std::thread([set, &daemon] {
        int number = 0;
        if (sigwait(&set, &number) == 0) daemon.stop();
    }).detach();
}

void block_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGTERM, SIGINT, SIGPIPE}) sigaddset(&set, number);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

}  // namespace

int run_daemon(int argc, char** argv, bool witness) {
    DaemonPaths paths;
    std::string level = "info";
    CLI::App app(witness ? "Kagami witness: a voter without groups" : "Kagami cluster daemon");
    app.add_option("--config-dir", paths.configuration, "keys")->capture_default_str();
    app.add_option("--state-dir", paths.state, "durable state")->capture_default_str();
    app.add_option("--run-dir", paths.runtime, "sockets and the guard's page")->capture_default_str();
    app.add_option("--log-level", level, "debug, info, warning, error")->capture_default_str();
    app.set_version_flag("--version", std::string(KAGAMI_VERSION));
    CLI11_PARSE(app, argc, argv);

    ::umask(077);
    block_signals();
    spdlog::set_level(spdlog::level::from_str(level));
    spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
    spdlog::flush_on(spdlog::level::info);
    const auto daemon = Daemon::open(paths, witness);
    if (!daemon) {
        spdlog::critical("{}{}{}", daemon.error().message, daemon.error().remedy.empty() ? "" : "; ", daemon.error().remedy);
        return static_cast<int>(daemon.error().code);
    }
    stop_on_signal(**daemon);
    const int status = (*daemon)->run();
    // Without destructors: they would wait for scripts and pings that are under way, while nobody renews a lease. Scripts go on in the
    // helper, and all that matters is durable.
    spdlog::shutdown();
    std::_Exit(status);
}

}  // namespace kagami::runtime
