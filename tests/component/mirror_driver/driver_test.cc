// kagami-mirrord as a process, on files, with the kernel's real FUSE and loop: a mirror without its peer.
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <thread>

#include "common/host/boot_clock.h"
#include "mirror-driver/frontends/fuse_loop/fuse_file.h"
#include "mirror-driver/frontends/fuse_loop/fuse_loop.h"
#include "mirror-driver/io/loop_devices.h"
#include "mirror-driver/io/mount_table.h"
#include "tests/component/mirror_driver/driven_node.h"
#include "tests/component/mirror_driver/machine.h"
#include "tests/support/wait_until.h"

using namespace kagami;
using testing::DrivenNode;
using testing::wait_until;

namespace {

bool usable() {
    if (auto status = mirror::fuse_loop_usable(); !status) {
        testing::skipped(status.error().message);
        return false;
    }
    return true;
}

std::string promoted(DrivenNode& node) {
    node.own(true);
    const auto device = node.promote();
    INFO((device ? *device : device.error().message));
    REQUIRE(device);
    return *device;
}

std::vector<uint8_t> block_of(uint64_t number) {
    std::vector<uint8_t> bytes(4096);
    for (size_t i = 0; i < bytes.size(); i += 8) std::memcpy(bytes.data() + i, &number, 8);
    return bytes;
}

struct AlignedBlock {
    alignas(4096) uint8_t bytes[4096];
};

bool write_block(int fd, uint64_t at, uint64_t number) {
    static thread_local AlignedBlock block;
    const auto content = block_of(number);
    std::memcpy(block.bytes, content.data(), content.size());
    return pwrite(fd, block.bytes, 4096, static_cast<off_t>(at * 4096)) == 4096;
}

}  // namespace

TEST_CASE("a file system lives on a mirror: written, unmounted, demoted, there again after a restart") {
    if (!usable()) return;
    DrivenNode node;
    node.start_driver();
    std::string device = promoted(node);
    CHECK(node.status().report.role == mirror::Role::kPrimary);
    REQUIRE(testing::run_program({"/usr/sbin/mkfs.ext4", "-q", "-F", device}) == 0);
    {
        testing::OwnMount mounted(device, node.mount_point(), "ext4");
        REQUIRE(mounted.ok());
        const UniqueFd file(::open((node.mount_point() + "/file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        for (uint64_t i = 0; i < 2000; ++i) REQUIRE(write(file.get(), block_of(i).data(), 4096) == 4096);
        REQUIRE(fsync(file.get()) == 0);
        const auto busy = node.demote();
        REQUIRE_FALSE(busy);
        CHECK(busy.error().message.find("is mounted on " + node.mount_point()) != std::string::npos);
        CHECK(node.stop_driver() == -1);  // promoted: it goes on
    }
    REQUIRE(wait_until([&] { return node.demote().has_value(); }));
    CHECK(testing::wait_for_program(node.driver_pid(), 10s) == 0);
    CHECK(mirror::mounted_at(node.disk_path()) == 0);
    node.start_driver();
    node.new_token();
    device = promoted(node);
    testing::OwnMount mounted(device, node.mount_point(), "ext4", "");
    REQUIRE(mounted.ok());
    const UniqueFd file(::open((node.mount_point() + "/file").c_str(), O_RDONLY | O_CLOEXEC));
    for (uint64_t i = 0; i < 2000; ++i) {
        std::vector<uint8_t> bytes(4096);
        REQUIRE(read(file.get(), bytes.data(), 4096) == 4096);
        REQUIRE(bytes == block_of(i));
    }
}

TEST_CASE("what is written lies on the data device, discards and zeroes too") {
    if (!usable()) return;
    DrivenNode node;
    node.start_driver();
    const std::string device = promoted(node);
    const auto data_block = [&](uint64_t at) {
        std::vector<uint8_t> bytes(4096);
        const UniqueFd data(::open(node.config.data.c_str(), O_RDONLY | O_CLOEXEC));
        REQUIRE(pread(data.get(), bytes.data(), 4096, static_cast<off_t>(at * 4096)) == 4096);
        return bytes;
    };
    {
        const UniqueFd fd(::open(device.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
        for (uint64_t i = 0; i < 64; ++i) REQUIRE(write_block(fd.get(), i * 997, i + 1));
        REQUIRE(fsync(fd.get()) == 0);
        CHECK(data_block(63 * 997) == block_of(64));
        uint64_t range[2] = {0, uint64_t{40} << 20U};
        REQUIRE(ioctl(fd.get(), BLKDISCARD, range) == 0);
        CHECK(data_block(997) == block_of(0));
        CHECK(data_block(63 * 997) == block_of(64));
        range[1] = uint64_t{512} << 20U;
        REQUIRE(ioctl(fd.get(), BLKZEROOUT, range) == 0);
        CHECK(data_block(63 * 997) == block_of(0));
    }
    REQUIRE(node.demote());
    CHECK(node.report().role == mirror::Role::kSecondary);
}

namespace {

// Threads that each write their part of the disk, block by block. Made before the node, so that whatever they wait for
// has ended with it before they are joined.
struct Writers {
    static constexpr uint64_t kRange = 4096;
    std::atomic<uint64_t> written = 0;
    std::atomic<int> failed = 0;
    std::atomic<bool> stop = false;
    std::vector<std::thread> threads;

    void start(const std::string& device) {
        for (uint64_t from = 0; from < 4 * kRange; from += kRange) {
            threads.emplace_back([this, device, from] {
                const UniqueFd fd(::open(device.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
                for (uint64_t at = from; at < from + kRange && !stop; ++at, ++written)
                    failed += write_block(fd.get(), at, at + 1) ? 0 : 1;
            });
        }
    }
    void join() {
        for (auto& thread : threads) thread.join();
        threads.clear();
    }
    ~Writers() {
        stop = true;
        join();
    }
};

}  // namespace

TEST_CASE("the driver is killed under a writer and a second one goes on: no error, nothing lost") {
    if (!usable()) return;
    Writers writers;
    DrivenNode node;
    node.start_driver();
    const std::string device = promoted(node);
    REQUIRE(wait_until(
        [&] {
            node.collect_kept();
            return node.kept() == 1;
        },
        3s));
    writers.start(device);
    for (const uint64_t moment : {2000U, 6000U, 11000U}) {
        REQUIRE(wait_until([&] { return writers.written >= moment || writers.failed > 0; }, 20s));
        node.kill_driver();
        REQUIRE(node.kept() == 1);
        node.start_driver();
    }
    REQUIRE(wait_until([&] { return writers.written == 4 * Writers::kRange || writers.failed > 0; }, 30s));
    writers.join();
    CHECK(writers.failed == 0);
    REQUIRE(wait_until([&] { return node.demote().has_value(); }));
    const UniqueFd data(::open(node.config.data.c_str(), O_RDONLY | O_CLOEXEC));
    uint64_t wrong = 0;
    for (uint64_t at = 0; at < 4 * Writers::kRange; ++at) {
        std::vector<uint8_t> bytes(4096);
        REQUIRE(pread(data.get(), bytes.data(), 4096, static_cast<off_t>(at * 4096)) == 4096);
        wrong += bytes == block_of(at + 1) ? 0U : 1U;
    }
    CHECK(wrong == 0);
}

TEST_CASE("a kept descriptor is given up when the group has been started anew") {
    if (!usable()) return;
    DrivenNode node;
    node.start_driver();
    const std::string device = promoted(node);
    REQUIRE(wait_until(
        [&] {
            node.collect_kept();
            return node.kept() == 1;
        },
        3s));
    node.kill_driver();
    node.new_token();
    node.start_driver();
    REQUIRE(wait_until([&] {
        node.collect_kept();
        return node.kept() == 0;
    }));
    CHECK(wait_until([&] { return mirror::mounted_at(node.disk_path()) == 0; }));
    const auto again = node.promote();
    INFO((again ? *again : again.error().message));
    CHECK(again);
}

namespace {

// A driver was killed while it was primary, and a writer waits for its successor.
struct LeftAlone {
    Writers writers;
    DrivenNode node;

    LeftAlone() {
        node.start_driver();
        const std::string device = promoted(node);
        REQUIRE(wait_until(
            [&] {
                node.collect_kept();
                return node.kept() == 1;
            },
            3s));
        writers.start(device);
        REQUIRE(wait_until([&] { return writers.written > 100; }));
        node.kill_driver();
    }
    void given_up(Duration within) {
        REQUIRE(wait_until([&] { return writers.failed > 0; }, within));
        CHECK(wait_until([&] {
            node.collect_kept();
            return node.kept() == 0;
        }));
        writers.stop = true;
        writers.join();
    }
};

}  // namespace

TEST_CASE("a kept descriptor whose disk cannot be attached is given up, and its writers see errors") {
    if (!usable()) return;
    LeftAlone left;
    const std::string aside = left.node.config.metadata + ".aside";
    REQUIRE(rename(left.node.config.metadata.c_str(), aside.c_str()) == 0);
    left.node.start_driver();
    CHECK_FALSE(wait_until([&] { return left.writers.failed > 0; }, 2s));
    left.given_up(15s);
    CHECK(left.node.report().message.find("does not exist") != std::string::npos);
}

TEST_CASE("a kept descriptor is given up when its mirror is stopped before it was attached") {
    if (!usable()) return;
    LeftAlone left;
    const std::string aside = left.node.config.metadata + ".aside";
    REQUIRE(rename(left.node.config.metadata.c_str(), aside.c_str()) == 0);
    left.node.start_driver();
    REQUIRE(wait_until([&] { return left.node.status().report.mirror == "md1"; }));
    CHECK(left.node.stop_driver() == 0);
    left.given_up(5s);
}

TEST_CASE("nothing is acknowledged without a lease, and what waited goes on with the next one") {
    if (!usable()) return;
    DrivenNode node;
    node.start_driver();
    const std::string device = promoted(node);
    const UniqueFd fd(::open(device.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
    REQUIRE(write_block(fd.get(), 1, 1));
    node.lease(-1s);
    std::atomic<bool> done = false;
    std::thread writer([&] { done = write_block(fd.get(), 2, 2); });
    CHECK_FALSE(wait_until([&] { return done.load(); }, 500ms));
    node.lease(1h);
    CHECK(wait_until([&] { return done.load(); }, 5s));
    writer.join();
}

TEST_CASE("the guard aborts the connection: writers fail, and the mirror is demoted and promoted again") {
    if (!usable()) return;
    Writers writers;
    DrivenNode node;
    node.start_driver();
    const std::string device = promoted(node);
    writers.start(device);
    REQUIRE(wait_until([&] { return writers.written > 100; }));
    const dev_t connection = mirror::mounted_at(node.disk_path());
    REQUIRE(connection != 0);
    mirror::abort_fuse_connection(connection);
    REQUIRE(wait_until([&] { return writers.failed > 0; }));
    writers.stop = true;
    writers.join();
    REQUIRE(wait_until([&] { return node.status().report.message.find("was aborted") != std::string::npos; }));
    REQUIRE(wait_until([&] { return node.demote().has_value(); }));
    CHECK(node.report().role == mirror::Role::kSecondary);
    node.collect_kept();
    CHECK(node.kept() == 0);
    node.new_token();
    const UniqueFd fd(::open(promoted(node).c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
    CHECK(write_block(fd.get(), 1, 1));
}

TEST_CASE("a refused device is reported with its reason, and comes by itself once it is repaired") {
    if (!usable()) return;
    DrivenNode node;
    {
        const testing::OwnLoop loop(node.config.data);
        node.start_driver();
        REQUIRE(wait_until(
            [&] { return node.report().message.find("is attached to " + loop.device()) != std::string::npos; }));
        node.own(true);
        CHECK(node.report().role == mirror::Role::kDetached);
    }
    CHECK(wait_until([&] { return node.report().role == mirror::Role::kSecondary; }, 10s));
    CHECK(node.report().message.empty());
}

namespace {

// 192 MiB for the driver and its writer; gone with the test. Empty: there is no such controller here.
class MemoryCgroup {
 public:
    MemoryCgroup() {
        for (const auto& [root, limit] :
             {std::pair{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, std::pair{"/sys/fs/cgroup", "memory.max"}}) {
            const std::string folder = std::string(root) + "/kagami-mirror-test-" + std::to_string(getpid());
            if (mkdir(folder.c_str(), 0755) != 0) continue;
            std::ofstream file(folder + "/" + limit);
            if (file << (192U << 20U) << std::flush) {
                path = folder;
                return;
            }
            rmdir(folder.c_str());
        }
    }
    ~MemoryCgroup() {
        if (!path.empty()) wait_until([&] { return rmdir(path.c_str()) == 0; }, 5s);
    }
    std::string path;
};

}  // namespace

TEST_CASE("buffered writes of three times the memory finish in seconds") {
    if (!usable()) return;
    const MemoryCgroup cgroup;
    if (cgroup.path.empty()) return testing::skipped("no memory cgroup controller that we may use");
    DrivenNode node(uint64_t{1} << 30U);
    node.start_driver(cgroup.path);
    const std::string device = promoted(node);
    REQUIRE(testing::run_program({"/usr/sbin/mkfs.ext4", "-q", "-F", "-E", "nodiscard", device}) == 0);
    testing::OwnMount mounted(device, node.mount_point(), "ext4");
    REQUIRE(mounted.ok());
    const Instant begun = host::boot_now();
    const int writer = fork();
    if (writer == 0) {
        const int procs = ::open((cgroup.path + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
        if (procs < 0 || ::write(procs, "0", 1) != 1) _exit(120);
        const std::string to = "of=" + node.mount_point() + "/x";
        execl("/usr/bin/dd", "dd", "if=/dev/zero", to.c_str(), "bs=1M", "count=600", "conv=fsync", "status=none",
              nullptr);
        _exit(121);
    }
    const int outcome = testing::wait_for_program(writer, 60s);
    const double took = seconds(host::boot_now() - begun);
    if (outcome == -1) {  // frees whoever waits
        node.kill_driver();
        node.forget_kept();
        kill(writer, SIGKILL);
        testing::wait_for_program(writer, 10s);
    }
    CHECK(outcome == 0);
    WARN("600 MiB took " << took << " s");
    CHECK(took < 45);
    CHECK(wait_until([&] { return mounted.unmount() == 0; }, 30s));
}
