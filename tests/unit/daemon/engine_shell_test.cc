#include "cluster-daemon/runtime/daemon/engine_shell.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/unit/daemon/sample.h"

using namespace kagami;
using namespace kagami::runtime;

namespace {

// A disk that keeps every write waiting until the test lets it through.
class SlowDisk {
 public:
    Status write() {
        std::unique_lock lock(mutex_);
        ++begun_;
        changed_.notify_all();
        changed_.wait(lock, [this] { return open_; });
        return {};
    }
    void wait_until_begun() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return begun_ > 0; });
    }
    void open() {
        const std::lock_guard lock(mutex_);
        open_ = true;
        changed_.notify_all();
    }

 private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int begun_ = 0;
    bool open_ = false;
};

engine::Settings witness_settings() {
    engine::Settings settings;
    const auto document = engine::genesis(Uuid{7}, *kagami::testing::sample_config(), kagami::testing::sample_packed());
    settings.self = {kWitnessId, BootId{9}};
    settings.witness = true;
    settings.seed = 1;
    settings.booted = EngineShell::now();
    settings.durable = engine::initial_state(kWitnessId, document);
    settings.parse_config = parse_packed;
    return settings;
}

}  // namespace

TEST_CASE("a message that waits for the disk is held back until the state is durable, and the loop goes on meanwhile") {
    SlowDisk disk;
    std::atomic<int> sent_early = 0;
    std::atomic<bool> is_open = false;
    std::atomic<int> identities = 0;
    ShellActions actions;
    actions.send = [&](NodeId, const engine::Message& message) {
        const auto* beat = std::get_if<engine::Heartbeat>(&message);
        if (beat == nullptr || beat->next_nonce == Nonce{}) return;
        // The new nonce of this boot may be told only once it is durable.
        ++identities;
        if (!is_open) ++sent_early;
    };
    actions.act = [](const engine::Command&) {};
    actions.tell = [](const engine::Decision&, const engine::Engine&) {};
    actions.make_durable = [&](const engine::DurableState&) { return disk.write(); };
    EngineShell shell(witness_settings(), std::move(actions));
    std::thread loop([&] { shell.run(); });
    disk.wait_until_begun();
    std::atomic<bool> answered = false;
    shell.on_loop([&](const engine::Engine&) { answered = true; });
    const auto until = std::chrono::steady_clock::now() + 10s;
    while (!answered && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    CHECK(answered);
    is_open = true;
    disk.open();
    while (identities == 0 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    shell.stop();
    loop.join();
    CHECK(sent_early == 0);
    CHECK(identities > 0);
}
