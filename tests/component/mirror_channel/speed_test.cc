// Figures, printed and not judged: two ends on two threads over loopback, with and without TLS.
#include <poll.h>
#include <sys/resource.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdio>
#include <thread>

#include "tests/component/mirror_channel/channel_fixture.h"

using namespace kagami;
using namespace kagami::testing;
using namespace kagami::mirror;

namespace {

void serve(End& end, const std::atomic<bool>& stop) {
    while (!stop) run_until({&end}, [&, until = host::boot_now() + 20ms] { return stop || host::boot_now() > until; });
}

double cpu_seconds() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto of = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
    };
    return of(used.ru_utime) + of(used.ru_stime);
}

struct Load {
    const char* name;
    uint32_t bytes;
    uint32_t depth;
    uint32_t count;
};

// The dialler writes, the acceptor acknowledges each write.
struct Run {
    Couple couple;
    Load load{};
    uint32_t sent = 0, acknowledged = 0;
    BufferId data = kNoBuffer;

    explicit Run(bool tls) {
        couple.dialler.settings.tls = couple.acceptor.settings.tls = tls;
        couple.acceptor.on_frame = [this](Frame& frame) {
            couple.acceptor.buffers.release(frame.payload);
            couple.acceptor.channel->buffers_released();
            Frame ack;
            ack.type = FrameType::kAck;
            ack.seq = frame.seq;
            couple.acceptor.channel->send(std::move(ack), false);
        };
        couple.dialler.on_frame = [this](Frame&) {
            ++acknowledged;
            more();
        };
        couple.connect();
    }
    void more() {
        while (sent < load.count && sent - acknowledged < load.depth) {
            Frame write;
            write.type = FrameType::kWrite;
            write.seq = ++sent;
            write.length = load.bytes;
            write.payload = data;
            couple.dialler.channel->send(std::move(write), false);
        }
        couple.dialler.channel->flush();
    }
    void measure(const Load& what, const char* kind) {
        load = what;
        sent = acknowledged = 0;
        data = couple.dialler.buffers.take(what.bytes, Use::kClient);
        std::atomic<bool> stop{false};
        const double cpu = cpu_seconds();
        const Instant before = host::boot_now();
        std::thread other([&] { serve(couple.acceptor, stop); });
        more();
        const bool done = run_until({&couple.dialler}, [&] { return acknowledged == load.count; }, 60s);
        const double took = seconds(host::boot_now() - before);
        stop = true;
        other.join();
        couple.dialler.buffers.release(data);
        REQUIRE(done);
        std::printf("%-9s %-18s %8.1f MiB/s %9.0f frames/s %7.1f us each, CPU %.2f s of %.2f s\n", kind, what.name,
                    static_cast<double>(what.bytes) * what.count / took / 1048576.0, what.count / took,
                    took * 1e6 / what.count * what.depth, cpu_seconds() - cpu, took);
    }
};

constexpr Load kLoads[] = {{"4 KiB, depth 1", 4096, 1, 4000},
                           {"4 KiB, depth 32", 4096, 32, 40000},
                           {"128 KiB, depth 8", 131072, 8, 4000},
                           {"1 MiB, depth 1", 1048576, 1, 300},
                           {"1 MiB, depth 4", 1048576, 4, 600}};

}  // namespace

TEST_CASE("speed of the channel") {
    for (const bool tls : {true, false}) {
        Run run(tls);
        for (const Load& load : kLoads) run.measure(load, tls ? "TLS 1.3" : "plain");
    }
    const Bytes data = pattern(1048576, 1);
    const Instant before = host::boot_now();
    uint32_t sum = 0;
    for (int i = 0; i < 200; ++i) sum ^= crc32c(data);
    std::printf("CRC32C of 1 MiB: %.1f us (%08x)\n", seconds(host::boot_now() - before) * 1e6 / 200, sum);
}
