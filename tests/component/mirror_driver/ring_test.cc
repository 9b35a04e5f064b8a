// io_uring on real files: what must come back as an error, and zeroing where the file system cannot.
#include "mirror-driver/io/ring.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <thread>

#include "common/files.h"
#include "common/host/boot_clock.h"
#include "mirror-driver/io/buffers.h"
#include "tests/support/temporary_directory.h"

using namespace kagami;
using namespace kagami::mirror;

namespace {

struct Bench {
    Buffers buffers = std::move(*Buffers::make(8, 4));
    std::unique_ptr<Ring> ring = std::move(*Ring::make(buffers.memory()));
    std::map<Ring::Tag, int> done;

    int wait_for(Ring::Tag tag) {
        const Instant end = host::boot_now() + 10s;
        while (done.count(tag) == 0 && host::boot_now() < end) {
            REQUIRE(ring->wait(end, [this](Ring::Tag t, int error) { done[t] = error; }));
        }
        REQUIRE(done.count(tag) == 1);
        const int error = done[tag];
        done.erase(tag);
        return error;
    }
    std::span<uint8_t> large(uint8_t fill) {
        const auto bytes = buffers.bytes(buffers.take(kMaxRequestBytes, Use::kPeer));
        std::fill(bytes.begin(), bytes.end(), fill);
        return bytes;
    }
};

UniqueFd make_file(const std::string& path, off_t size, int flags = O_RDWR) {
    UniqueFd fd(::open(path.c_str(), flags | O_CREAT | O_CLOEXEC, 0600));
    REQUIRE(fd.valid());
    REQUIRE(ftruncate(fd.get(), size) == 0);
    return fd;
}

uint8_t byte_at(int fd, off_t offset) {
    uint8_t value = 0xee;
    REQUIRE(pread(fd, &value, 1, offset) == 1);
    return value;
}

}  // namespace

TEST_CASE("what is written is read back, through pool memory and other memory") {
    testing::TemporaryDirectory directory;
    Bench bench;
    const UniqueFd file = make_file(directory / "f", 8 << 20);
    bench.ring->write(file.get(), bench.large(7), 1 << 20, false, 1);
    CHECK(bench.wait_for(1) == 0);
    alignas(4096) static uint8_t outside[4096];
    std::fill(std::begin(outside), std::end(outside), 9);
    bench.ring->write(file.get(), outside, 4096, true, 2);
    CHECK(bench.wait_for(2) == 0);
    bench.ring->flush(file.get(), 3);
    CHECK(bench.wait_for(3) == 0);
    const auto into = bench.large(0);
    bench.ring->read(file.get(), into, 1 << 20, 4);
    CHECK(bench.wait_for(4) == 0);
    CHECK(into.front() == 7);
    CHECK(into.back() == 7);
    CHECK(byte_at(file.get(), 4096) == 9);
    CHECK(bench.ring->under_way() == 0);
}

TEST_CASE("a read over the end is an error, never a short success") {
    testing::TemporaryDirectory directory;
    Bench bench;
    const UniqueFd file = make_file(directory / "f", 4096);
    bench.ring->read(file.get(), bench.large(1), 0, 5);
    CHECK(bench.wait_for(5) == EIO);
}

TEST_CASE("errors of the kernel arrive with their number") {
    Bench bench;
    const UniqueFd full(::open("/dev/full", O_RDWR | O_CLOEXEC));
    bench.ring->write(full.get(), bench.large(1), 0, false, 6);
    CHECK(bench.wait_for(6) == ENOSPC);
    bench.ring->write(-1, bench.buffers.memory().first(4096), 0, false, 7);
    CHECK(bench.wait_for(7) == EBADF);
    bench.ring->flush(-1, 8);
    CHECK(bench.wait_for(8) == EBADF);
}

TEST_CASE("zeroing zeroes, also where it must be written by hand") {
    testing::TemporaryDirectory directory;
    const std::string kind = GENERATE("plain", "tmpfs");
    const std::string folder = directory / kind;
    REQUIRE(mkdir(folder.c_str(), 0700) == 0);
    // tmpfs knows no ZERO_RANGE
    if (kind == "tmpfs") REQUIRE(mount("t", folder.c_str(), "tmpfs", 0, "size=16m") == 0);
    {
        Bench bench;
        const UniqueFd file = make_file(folder + "/f", 8 << 20);
        const std::vector<uint8_t> ones(8 << 20, 1);
        REQUIRE(pwrite(file.get(), ones.data(), ones.size(), 0) == static_cast<ssize_t>(ones.size()));
        for (const Ring::Tag tag : {9U, 10U}) {  // the second one knows already
            bench.ring->zero(file.get(), {4096, (uint64_t{3} << 20U) + 8192}, tag);
            CHECK(bench.wait_for(tag) == 0);
        }
        CHECK(byte_at(file.get(), 4095) == 1);
        CHECK(byte_at(file.get(), 4096) == 0);
        CHECK(byte_at(file.get(), 4096 + (3 << 20) + 8191) == 0);
        CHECK(byte_at(file.get(), 4096 + (3 << 20) + 8192) == 1);
    }
    if (kind == "tmpfs") CHECK(umount(folder.c_str()) == 0);
}

TEST_CASE("waiting ends at its limit, and when a descriptor becomes readable") {
    Bench bench;
    const UniqueFd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    bench.ring->when_readable(event.get(), 11);
    const Instant before = host::boot_now();
    REQUIRE(bench.ring->wait(before + 20ms, [](Ring::Tag, int) { FAIL("nothing has happened"); }));
    CHECK(host::boot_now() - before >= 19ms);
    const uint64_t one = 1;
    REQUIRE(write(event.get(), &one, sizeof one) == sizeof one);
    CHECK(bench.wait_for(11) == 0);
    bench.ring->when_readable(event.get(), 12);  // still readable: at once, again
    CHECK(bench.wait_for(12) == 0);
}

TEST_CASE("a ring settles when the last request has ended, and says when one does not end") {
    int ends[2] = {-1, -1};
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const UniqueFd from(ends[0]), to(ends[1]);
    const UniqueFd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    Bench bench;
    CHECK(bench.ring->settle(0ms));
    bench.ring->when_readable(event.get(), 13);  // no disk request
    CHECK(bench.ring->settle(0ms));
    bench.ring->read(from.get(), bench.buffers.memory().first(4096), 0, 14);
    const Instant before = host::boot_now();
    CHECK_FALSE(bench.ring->settle(50ms));
    CHECK(host::boot_now() - before >= 49ms);
    CHECK(bench.ring->under_way() == 1);
    const std::vector<uint8_t> block(4096, 5);
    std::thread writer([&] {
        const UniqueFd file(fcntl(to.get(), F_DUPFD_CLOEXEC, 0));
        if (::write(file.get(), block.data(), block.size()) != static_cast<ssize_t>(block.size())) std::abort();
    });
    CHECK(bench.ring->settle(10s));
    writer.join();
    CHECK(bench.ring->under_way() == 0);
    CHECK(bench.buffers.memory()[4095] == 5);
    CHECK(bench.done.empty());
}
