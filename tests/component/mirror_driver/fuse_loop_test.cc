// The front end against a disk in memory: what the kernel sends, what comes back, and what happens when somebody dies.
#include "mirror-driver/frontends/fuse_loop/fuse_loop.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>
#include <thread>

#include "mirror-driver/frontends/fuse_loop/fuse_file.h"
#include "mirror-driver/io/mount_table.h"
#include "tests/component/mirror_driver/machine.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/wait_until.h"

using namespace kagami;
using namespace kagami::mirror;
using testing::wait_until;

namespace {

struct Disk {
    explicit Disk(size_t size) : bytes(size) {}
    std::vector<uint8_t> bytes;
    std::atomic<uint64_t> received = 0, writes = 0, flushes = 0, zeroes = 0, reads = 0;
    std::atomic<bool> failing = false;
    std::atomic<bool> holding = false;  // completes nothing
};

// The mirror's thread around the front end, with an engine that does at once what it is asked for.
class Server {
 public:
    Server(const std::string& directory, Disk& disk, int kept = -1)
        : disk_(disk), buffers_(std::move(*Buffers::make(128, 12))), event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        FrontEndSettings settings;
        settings.mirror = "md1";
        settings.size_bytes = disk.bytes.size();
        settings.directory = directory;
        settings.kept_descriptor = kept;
        settings.keep = [this](int descriptor) { kept_ = descriptor < 0 ? -1 : fcntl(descriptor, F_DUPFD_CLOEXEC, 3); };
        settings.wake = [this] { wake(); };
        settings.submit = [this](const ClientRequest& request) {
            requests_.push_back(request);
            ++disk_.received;
        };
        settings.buffers = &buffers_;
        auto opened = open_fuse_loop(std::move(settings));
        if (!opened) throw std::runtime_error(opened.error().message);
        front_ = std::move(*opened);
        thread_ = std::thread([this] { run(); });
    }
    ~Server() { stop(); }

    void stop() {
        if (!thread_.joinable()) return;
        stopping_ = true;
        wake();
        thread_.join();
        front_.reset();
    }
    FrontEndState state() const { return state_; }
    std::string open() {
        REQUIRE(wait_until([&] { return state_ != FrontEndState::kOpening; }));
        INFO(trouble());
        REQUIRE(state_ == FrontEndState::kOpen);
        return ask<std::string>([this] { return front_->device(); });
    }
    std::string trouble() {
        return ask<std::string>([this] { return front_->trouble(); });
    }
    Status idle() {
        return ask<Status>([this] { return front_->idle(); });
    }
    Status close() {
        return ask<Status>([this] { return front_->close(); });
    }
    bool closed() {
        return close().has_value() && wait_until([&] { return state_ == FrontEndState::kClosed; });
    }
    int kept() const { return kept_; }

 private:
    void wake() {
        const uint64_t one = 1;
        std::ignore = write(event_.get(), &one, sizeof one);
    }
    template <typename T>
    T ask(std::function<T()> question) {
        std::optional<T> answer;
        std::atomic<bool> done = false;
        {
            const std::lock_guard lock(mutex_);
            question_ = [&] {
                answer = question();
                done = true;
            };
        }
        wake();
        if (!wait_until([&] { return done.load(); }, 20s)) throw std::runtime_error("the server does not answer");
        return *answer;
    }
    void run() {
        while (!stopping_) {
            pollfd waits[] = {{event_.get(), POLLIN, 0}, {front_->descriptor(), POLLIN, 0}};
            poll(waits, 2, 50);
            uint64_t count = 0;
            std::ignore = read(event_.get(), &count, sizeof count);
            {
                const std::lock_guard lock(mutex_);
                if (question_) std::exchange(question_, nullptr)();
            }
            front_->advance();
            serve();
            state_ = front_->state();
        }
    }
    void serve() {
        while (!requests_.empty() && !disk_.holding) {
            const ClientRequest request = requests_.back();
            requests_.pop_back();
            front_->complete({request.id, disk_.failing ? EIO : carry_out(request), {}});
            front_->buffers_released();
        }
    }
    int carry_out(const ClientRequest& request) {
        uint8_t* const at = disk_.bytes.data() + request.extent.offset;
        switch (request.operation) {
            case Operation::kRead:
                std::memcpy(buffers_.bytes(request.buffer).data(), at, request.extent.length);
                ++disk_.reads;
                break;
            case Operation::kWrite:
                std::memcpy(at, buffers_.bytes(request.buffer).data(), request.extent.length);
                ++disk_.writes;
                break;
            case Operation::kZero:
                std::memset(at, 0, request.extent.length);
                ++disk_.zeroes;
                break;
            case Operation::kFlush: ++disk_.flushes; break;
        }
        return 0;
    }

    Disk& disk_;
    Buffers buffers_;
    UniqueFd event_;
    std::unique_ptr<FrontEnd> front_;
    std::vector<ClientRequest> requests_;
    std::mutex mutex_;
    std::function<void()> question_;
    std::atomic<FrontEndState> state_ = FrontEndState::kOpening;
    std::atomic<bool> stopping_ = false;
    std::atomic<int> kept_ = -1;
    std::thread thread_;
};

std::vector<uint8_t> pattern(size_t length, uint8_t seed) {
    std::vector<uint8_t> bytes(length);
    for (size_t i = 0; i < length; ++i) bytes[i] = static_cast<uint8_t>(i * 31 + i / 4096 + seed);
    return bytes;
}

struct AlignedBytes {
    explicit AlignedBytes(const std::vector<uint8_t>& from)
        : size(from.size()), data(static_cast<uint8_t*>(std::aligned_alloc(4096, from.size()))) {
        std::memcpy(data, from.data(), size);
    }
    ~AlignedBytes() { std::free(data); }
    AlignedBytes(const AlignedBytes&) = delete;
    AlignedBytes& operator=(const AlignedBytes&) = delete;
    size_t size;
    uint8_t* data;
};

UniqueFd open_direct(const std::string& device) {
    UniqueFd fd(::open(device.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
    REQUIRE(fd.valid());
    return fd;
}

bool usable() {
    if (auto status = fuse_loop_usable(); !status) {
        testing::skipped(status.error().message);
        return false;
    }
    mount_fusectl();
    return true;
}

}  // namespace

TEST_CASE("a device comes, takes reads and writes of all sizes, flushes and zeroes, and goes without a trace") {
    if (!usable()) return;
    testing::TemporaryDirectory directory;
    Disk disk(64 << 20);
    Server server(directory.path(), disk);
    const std::string device = server.open();
    {
        const UniqueFd fd = open_direct(device);
        int sector = 0;
        REQUIRE(ioctl(fd.get(), BLKSSZGET, &sector) == 0);
        CHECK(sector == 4096);
        uint64_t size = 0;
        REQUIRE(ioctl(fd.get(), BLKGETSIZE64, &size) == 0);
        CHECK(size == disk.bytes.size());
        for (const size_t length : {size_t{4096}, size_t{16384}, size_t{20480}, size_t{1} << 20U, size_t{8} << 20U}) {
            const AlignedBytes bytes(pattern(length, static_cast<uint8_t>(length >> 12U)));
            REQUIRE(pwrite(fd.get(), bytes.data, length, 1 << 20) == static_cast<ssize_t>(length));
            CHECK(std::memcmp(disk.bytes.data() + (1 << 20), bytes.data, length) == 0);
            const AlignedBytes back(std::vector<uint8_t>(length, 0));
            REQUIRE(pread(fd.get(), back.data, length, 1 << 20) == static_cast<ssize_t>(length));
            CHECK(std::memcmp(back.data, bytes.data, length) == 0);
        }
        const uint64_t before = disk.flushes;
        REQUIRE(fsync(fd.get()) == 0);
        CHECK(disk.flushes > before);
        for (const auto request : {BLKDISCARD, BLKZEROOUT}) {
            std::fill(disk.bytes.begin(), disk.bytes.end(), 0x77);
            uint64_t range[2] = {4096, 40 << 20};
            REQUIRE(ioctl(fd.get(), request, range) == 0);
            CHECK(disk.bytes[4095] == 0x77);
            CHECK(disk.bytes[4096] == 0);
            CHECK(disk.bytes[4096 + (40 << 20) - 1] == 0);
            CHECK(disk.bytes[4096 + (40 << 20)] == 0x77);
            CHECK(std::count(disk.bytes.begin() + 4096, disk.bytes.begin() + 4096 + (40 << 20), 0) == 40 << 20);
        }
        CHECK(disk.zeroes >= 20);  // in pieces
    }
    CHECK(server.idle());
    CHECK(server.closed());
    CHECK(mounted_at(directory / "disk") == 0);
    CHECK(server.kept() == -1);
}

TEST_CASE("ext4 and xfs live on it") {
    if (!usable()) return;
    const std::string type = GENERATE("ext4", "xfs");
    testing::TemporaryDirectory directory;
    Disk disk(320 << 20);
    Server server(directory.path(), disk);
    const std::string device = server.open();
    REQUIRE(testing::run_program({"/usr/sbin/mkfs." + type, "-q", type == "xfs" ? "-f" : "-F", device}) == 0);
    const auto content = pattern(20 << 20, 3);
    {
        testing::OwnMount mounted(device, directory / "mnt", type.c_str());
        REQUIRE(mounted.ok());
        const UniqueFd file(::open((directory / "mnt/file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        REQUIRE(write(file.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size()));
        REQUIRE(fsync(file.get()) == 0);
        const auto busy = server.idle();
        REQUIRE_FALSE(busy);
        CHECK(busy.error().message == device + " is mounted on " + directory.path() + "/mnt");
        CHECK(testing::run_program({"/usr/sbin/fstrim", directory / "mnt"}) == 0);
        CHECK(mounted.unmount() == EBUSY);  // the file is open
    }
    testing::OwnMount again(device, directory / "mnt", type.c_str());
    REQUIRE(again.ok());
    auto read = read_file(directory / "mnt/file", content.size());
    REQUIRE(read);
    CHECK(std::equal(read->begin(), read->end(), content.begin(), content.end(),
                     [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; }));
    REQUIRE(wait_until([&] { return again.unmount() == 0; }));
    REQUIRE(wait_until([&] { return server.idle().has_value(); }));
    CHECK(server.closed());
}

TEST_CASE("an open device is not closed, and dirty pages are written before it is") {
    if (!usable()) return;
    testing::TemporaryDirectory directory;
    Disk disk(16 << 20);
    Server server(directory.path(), disk);
    const std::string device = server.open();
    UniqueFd buffered(::open(device.c_str(), O_RDWR | O_CLOEXEC));
    const auto bytes = pattern(1 << 20, 9);
    REQUIRE(pwrite(buffered.get(), bytes.data(), bytes.size(), 4096) == static_cast<ssize_t>(bytes.size()));
    // Another process: our own descriptors do not count as somebody.
    const int sleeper =
        testing::start_program({"/usr/bin/dd", "if=" + device, "of=/dev/null", "bs=4096", "iflag=fullblock"});
    CHECK(testing::wait_for_program(sleeper, 20s) == 0);
    REQUIRE(server.close());
    REQUIRE(wait_until([&] { return server.state() == FrontEndState::kOpen; }));  // given up: it is still open here
    CHECK(server.trouble().find("is still open") != std::string::npos);
    buffered.reset();
    CHECK(server.closed());
    CHECK(std::memcmp(disk.bytes.data() + 4096, bytes.data(), bytes.size()) == 0);
}

TEST_CASE("errors of the engine are errors of the device") {
    if (!usable()) return;
    testing::TemporaryDirectory directory;
    Disk disk(16 << 20);
    Server server(directory.path(), disk);
    const std::string device = server.open();
    {
        const UniqueFd fd = open_direct(device);
        disk.failing = true;
        const AlignedBytes bytes(pattern(4096, 1));
        CHECK(pwrite(fd.get(), bytes.data, 4096, 0) == -1);
        CHECK(errno == EIO);
        uint64_t range[2] = {0, 8 << 20};
        CHECK(ioctl(fd.get(), BLKZEROOUT, range) == -1);
        disk.failing = false;
        CHECK(pwrite(fd.get(), bytes.data, 4096, 0) == 4096);
    }
    CHECK(server.closed());
}

TEST_CASE("requests past the end or not on block borders are refused at the file itself") {
    if (!usable()) return;
    testing::TemporaryDirectory directory;
    Disk disk(16 << 20);
    Server server(directory.path(), disk);
    server.open();
    {
        const UniqueFd file(::open((directory / "disk").c_str(), O_RDWR | O_CLOEXEC));
        REQUIRE(file.valid());
        const auto bytes = pattern(8192, 1);
        CHECK(pwrite(file.get(), bytes.data(), 512, 0) == -1);
        CHECK(pwrite(file.get(), bytes.data(), 4096, 512) == -1);
        CHECK(pwrite(file.get(), bytes.data(), 4096, 16 << 20) == -1);
        CHECK(pread(file.get(), const_cast<uint8_t*>(bytes.data()), 4096, 16 << 20) == 0);
        CHECK(ftruncate(file.get(), 8 << 20) == -1);
        CHECK(fallocate(file.get(), 0, 0, 4096) == -1);
        CHECK(pwrite(file.get(), bytes.data(), 4096, 4096) == 4096);
    }
    CHECK(server.closed());
}

TEST_CASE("an aborted connection is seen, what waits fails, and everything is cleared away") {
    if (!usable()) return;
    testing::TemporaryDirectory directory;
    Disk disk(16 << 20);
    Server server(directory.path(), disk);
    const std::string device = server.open();
    disk.holding = true;
    const uint64_t before = disk.received;
    std::atomic<int> outcome = -1;
    std::thread writer([&] {
        const UniqueFd fd(::open(device.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
        const AlignedBytes bytes(pattern(4096, 1));
        outcome = pwrite(fd.get(), bytes.data, 4096, 0) == -1 ? errno : 0;
    });
    REQUIRE(wait_until([&] { return disk.received > before; }));
    const dev_t connection = mounted_at(directory / "disk");
    REQUIRE(connection != 0);
    CHECK(outcome == -1);
    abort_fuse_connection(connection);
    writer.join();
    CHECK(outcome == EIO);
    REQUIRE(wait_until([&] { return server.state() == FrontEndState::kFailed; }));
    CHECK_FALSE(server.trouble().empty());
    disk.holding = false;
    CHECK(server.closed());
    CHECK(mounted_at(directory / "disk") == 0);
}

TEST_CASE("a successor goes on with the kept descriptor: requests without an answer come again") {
    if (!usable()) return;
    testing::TemporaryDirectory directory;
    Disk disk(16 << 20);
    auto first = std::make_unique<Server>(directory.path(), disk);
    const std::string device = first->open();
    if (first->kept() < 0) {
        drop_fuse_loop(directory.path());
        return testing::skipped("this kernel has no FUSE_NOTIFY_RESEND (Linux 6.9)");
    }
    disk.holding = true;
    const uint64_t before = disk.received;
    std::atomic<int> written = 0;
    const AlignedBytes bytes(pattern(64 << 10, 5));
    std::thread writer([&] {
        const UniqueFd fd(::open(device.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
        for (off_t i = 0; i < 16; ++i)
            written += pwrite(fd.get(), bytes.data + i * 4096, 4096, i * 4096) == 4096 ? 1 : 0;
    });
    // It has read the first write, and will never answer it.
    const int kept = first->kept();
    REQUIRE(wait_until([&] { return disk.received > before; }));
    first->stop();
    first.reset();
    disk.holding = false;
    Server second(directory.path(), disk, kept);
    CHECK(second.open() == device);
    writer.join();
    CHECK(written == 16);
    CHECK(std::memcmp(disk.bytes.data(), bytes.data, bytes.size) == 0);
    CHECK(second.closed());
}

TEST_CASE("left-overs of a driver that was killed without a store are swept") {
    if (!usable()) return;
    testing::TemporaryDirectory directory;
    Disk disk(16 << 20);
    {
        Server first(directory.path(), disk);
        first.open();
        close(first.kept());
        first.stop();
        REQUIRE(mounted_at(directory / "disk") != 0);
    }
    Server second(directory.path(), disk);
    second.open();
    CHECK(second.closed());
    CHECK(mounted_at(directory / "disk") == 0);
}
