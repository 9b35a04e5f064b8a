// The end of processes, told by pidfd.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <csignal>
#include <future>

#include "common/host/boot_clock.h"
#include "common/host/event_thread.h"
#include "common/host/linux_host.h"
#include "tests/support/wait_until.h"

using namespace kagami;
using namespace kagami::host;
using kagami::testing::wait_until;

namespace {

pid_t sleeper() {
    const pid_t pid = ::fork();
    if (pid == 0) {
        for (;;) ::pause();
    }
    return pid;
}

void end(pid_t pid) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
}

}  // namespace

TEST_CASE("the death of a process is told within milliseconds") {
    const auto linux_host = make_linux_host(nullptr);
    Processes& processes = *linux_host->host().processes;
    std::vector<Duration> latencies;
    for (int round = 0; round < 100; ++round) {
        const pid_t pid = sleeper();
        std::promise<Instant> told;
        const auto handle = processes.on_exit(pid, [&] { told.set_value(boot_now()); });
        const Instant killed = boot_now();
        ::kill(pid, SIGKILL);
        auto future = told.get_future();
        REQUIRE(future.wait_for(5s) == std::future_status::ready);
        latencies.push_back(future.get() - killed);
        ::waitpid(pid, nullptr, 0);
    }
    std::sort(latencies.begin(), latencies.end());
    WARN("death to callback: median " << latencies[50].count() / 1000 << " us, maximum "
                                      << latencies.back().count() / 1000 << " us");
    CHECK(latencies[50] < 20ms);
}

TEST_CASE("a process that has gone already is told at once, and once") {
    const auto linux_host = make_linux_host(nullptr);
    const pid_t pid = sleeper();
    end(pid);
    std::atomic<int> told = 0;
    const auto handle = linux_host->host().processes->on_exit(pid, [&] { ++told; });
    CHECK(wait_until([&] { return told == 1; }));
    CHECK_FALSE(wait_until([&] { return told > 1; }, 30ms));
}

TEST_CASE("a handle that is gone is silent; a callback may drop its own handle") {
    const auto linux_host = make_linux_host(nullptr);
    Processes& processes = *linux_host->host().processes;
    const pid_t pid = sleeper();
    std::atomic<int> told = 0;
    auto silent = processes.on_exit(pid, [&] { told += 100; });
    std::shared_ptr<void> self;
    std::atomic<bool> set = false;
    self = processes.on_exit(pid, [&] {
        while (!set) {
        }
        self.reset();
        ++told;
    });
    set = true;
    silent.reset();
    end(pid);
    CHECK(wait_until([&] { return told == 1; }));
    CHECK_FALSE(wait_until([&] { return told != 1; }, 30ms));
}

TEST_CASE("1000 subscriptions come and go from several threads") {
    const auto linux_host = make_linux_host(nullptr);
    Processes& processes = *linux_host->host().processes;
    const pid_t pid = sleeper();
    std::atomic<int> told = 0;
    std::vector<std::future<void>> workers;
    for (int worker = 0; worker < 4; ++worker) {
        workers.push_back(std::async(std::launch::async, [&] {
            for (int i = 0; i < 250; ++i) (void)processes.on_exit(pid, [&] { ++told; });
        }));
    }
    workers.clear();
    end(pid);
    CHECK(told == 0);
}

TEST_CASE("the host sleeps as long as asked and tells how much longer it was") {
    const auto linux_host = make_linux_host(nullptr);
    const Instant begin = linux_host->host().now();
    const Duration late = linux_host->host().oversleep(5ms);
    CHECK(linux_host->host().now() - begin >= 5ms + late);
    CHECK(late >= 0ns);
}

TEST_CASE("the event thread fires timers in their order and runs what is posted") {
    EventThread thread;
    std::promise<std::string> done;
    std::string order;  // touched by the event thread only
    const Instant now = boot_now();
    thread.post_at(now + 20ms, [&] { done.set_value(order + "c"); });
    thread.post_at(now + 10ms, [&] { order += "b"; });
    thread.post([&](EventLoop& loop) {
        order += "a";
        loop.cancel(loop.at(boot_now() + 5ms, [&] { order += "never"; }));
    });
    CHECK(done.get_future().get() == "abc");
}
