// The program without its command line: the socket to the daemon on the main thread, a runner for each configured
// mirror. What the daemon says is the whole truth at each connection (link/messages.h); until it has spoken nothing is
// attached. A changed or removed mirror is detached as soon as it is secondary; a promoted one is served until it is
// demoted.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "mirror-driver/driver/descriptor_store.h"
#include "mirror-driver/driver/mirror_runner.h"
#include "mirror-driver/link/server.h"

namespace kagami::mirror {

struct DriverSettings {
    std::string socket = mirror_link::kDefaultSocket;
    std::string run_directory = "/run/kagami";
    std::string guard_page;
    std::string front_end = "fuse-loop";
    std::vector<std::string> warnings;
};

class Driver {
 public:
    Driver(DriverSettings settings, DescriptorStore& store);
    ~Driver();
    Status open();
    // Until `stop_descriptor` (a signalfd) has spoken and every mirror has been detached.
    Status run(int stop_descriptor);

 private:
    struct Running {
        mirror_link::MirrorConfig config;
        std::unique_ptr<MirrorRunner> runner;
        bool stopping = false;
    };
    void reconcile();
    void start(const mirror_link::MirrorConfig& config);
    void stop(Running& running);
    void stop_all();
    void ended(const std::string& name);
    void drop_unclaimed();
    void ask(const mirror_link::Ask& ask, std::function<void(mirror_link::Answer)> answer);
    void watch_heap();

    DriverSettings settings_;
    DescriptorStore& store_;
    Uuid instance_{};
    Mailbox box_;
    std::unique_ptr<mirror_link::Server> server_;
    std::optional<mirror_link::Welcome> welcome_;
    std::map<std::string, mirror_link::MirrorConfig> wanted_;
    bool configured_ = false;
    std::map<std::string, Authority> authorities_;
    std::map<std::string, UniqueFd> kept_;
    std::map<std::string, Running> running_;
    bool stopping_ = false;
    size_t heap_bytes_ = 0;
};

}  // namespace kagami::mirror
