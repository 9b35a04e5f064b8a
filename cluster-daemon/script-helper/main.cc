// kagami-script-helper: runs the scripts of the resources in a process of its own, so that they outlive a restart of
// the daemon.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <cstdio>

#include "cluster-daemon/script-helper/server.h"
#include "common/host/cgroup.h"

namespace {

int refuse(const kagami::Error& error) {
    std::fprintf(stderr, "kagami-script-helper: %s\n", error.message.c_str());
    if (!error.remedy.empty()) std::fprintf(stderr, "  %s\n", error.remedy.c_str());
    return static_cast<int>(error.code);
}

// Descriptors 0 to 2 must exist, or the first files we open would become a script's standard output.
void open_standard_descriptors() {
    int fd = 0;
    do {
        fd = ::open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd < 3);
    if (fd >= 3) ::close(fd);
}

}  // namespace

int main(int argc, char** argv) {
    open_standard_descriptors();
    ::umask(077);
    kagami::script_helper::Options options;
    CLI::App app(
        "Starts the scripts of Kagami's resources, each in the cgroup of its resource, and keeps their results for the "
        "daemon.\n"
        "Environment: KAGAMI_CGROUP_ROOT, where the cgroups GROUP/RESOURCE are made (default: kagami in the cgroup2 "
        "mount).");
    app.add_option("--socket", options.socket, "Where the daemon connects")->capture_default_str();
    app.add_option("--log-directory", options.log_directory, "Where GROUP.RESOURCE.log is written")
        ->capture_default_str();
    app.add_option("--log-limit", options.log_limit_bytes, "Bytes of a log before it is rotated; one old log is kept")
        ->capture_default_str();
    CLI11_PARSE(app, argc, argv);
    auto root = kagami::host::cgroup_root();
    if (!root) return refuse(root.error());
    options.cgroup_root = std::move(*root);
    kagami::script_helper::Server server(std::move(options));
    if (auto prepared = server.prepare(); !prepared) return refuse(prepared.error());
    server.serve();
}
