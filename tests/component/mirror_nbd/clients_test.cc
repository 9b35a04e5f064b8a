// Clients that others wrote, against our server. What is not installed is skipped, aloud.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <iostream>
#include <random>

#include "common/files.h"
#include "tests/component/mirror_nbd/memory_disk.h"
#include "tests/support/wait_until.h"

using namespace kagami;
using namespace kagami::testing;

namespace {

constexpr uint64_t kSize = uint64_t{64} << 20U;

struct Outcome {
    int status = -1;
    std::string output;
};

Outcome run(const TemporaryDirectory& dir, const std::vector<std::string>& arguments) {
    const std::string log = dir / "output";
    std::vector<char*> argv;
    for (const std::string& one : arguments) argv.push_back(const_cast<char*>(one.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t files;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
    pid_t child = 0;
    REQUIRE(::posix_spawn(&child, argv[0], &files, nullptr, argv.data(), environ) == 0);
    ::posix_spawn_file_actions_destroy(&files);
    Outcome outcome;
    const bool ended = wait_until([&] { return ::waitpid(child, &outcome.status, WNOHANG) == child; }, 60s);
    if (!ended) ::kill(child, SIGKILL);
    if (!ended) ::waitpid(child, &outcome.status, 0);
    outcome.output = read_file(log, 1U << 20U).value_or("");
    return outcome;
}

bool installed(const std::string& program) {
    if (::access(program.c_str(), X_OK) == 0) return true;
    std::cerr << "SKIPPED: " << program << " is not installed\n";
    return false;
}

void works(const Outcome& outcome) {
    INFO(outcome.output);
    CHECK(outcome.status == 0);
}

void random_file(const std::string& path) {
    std::mt19937_64 random(7);
    std::vector<uint64_t> words(kSize / 8);
    for (uint64_t& word : words) word = random() % 4 == 0 ? 0 : random();
    std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(words.data()), kSize);
}

}  // namespace

TEST_CASE("nbdinfo sees the export as it is") {
    if (!installed("/usr/bin/nbdinfo")) return;
    const TemporaryDirectory dir;
    MemoryDisk disk(kSize);
    const Outcome info = run(dir, {"/usr/bin/nbdinfo", disk.uri()});
    works(info);
    CHECK_THAT(info.output, Catch::Contains("export-size: 67108864") && Catch::Contains("can_multi_conn: false") &&
                                Catch::Contains("can_flush: true") && Catch::Contains("can_fua: true") &&
                                Catch::Contains("can_trim: true") && Catch::Contains("can_zero: true") &&
                                Catch::Contains("is_read_only: false") && Catch::Contains("block_size_minimum: 4096") &&
                                Catch::Contains("block_size_maximum: 1048576"));
    const Outcome list = run(dir, {"/usr/bin/nbdinfo", "--list", disk.uri()});
    works(list);
    CHECK_THAT(list.output, Catch::Contains("export=\"md1\""));
    const Outcome named = run(dir, {"/usr/bin/nbdinfo", "--size", "nbd+unix:///md1?socket=" + disk.socket()});
    works(named);
    CHECK(named.output == "67108864\n");
    const Outcome foreign = run(dir, {"/usr/bin/nbdinfo", "--size", "nbd+unix:///md2?socket=" + disk.socket()});
    CHECK(foreign.status != 0);
}

TEST_CASE("nbdcopy copies there and back, several requests at a time") {
    if (!installed("/usr/bin/nbdcopy")) return;
    const TemporaryDirectory dir;
    MemoryDisk disk(kSize);
    random_file(dir / "source");
    works(run(dir, {"/usr/bin/nbdcopy", "--flush", "--requests=32", dir / "source", disk.uri()}));
    CHECK(disk.flushes() >= 1);
    works(run(dir, {"/usr/bin/nbdcopy", disk.uri(), dir / "copy"}));
    works(run(dir, {"/usr/bin/cmp", dir / "source", dir / "copy"}));
    CHECK(wait_until([&] { return disk.idle().has_value(); }));
}

TEST_CASE("qemu-img and qemu-io: compare, FUA, flush, discard, zeroes, requests in parallel") {
    if (!installed("/usr/bin/qemu-io") || !installed("/usr/bin/qemu-img") || !installed("/usr/bin/nbdcopy")) return;
    const TemporaryDirectory dir;
    MemoryDisk disk(kSize);
    random_file(dir / "source");
    works(run(dir, {"/usr/bin/nbdcopy", dir / "source", disk.uri()}));
    works(run(dir, {"/usr/bin/qemu-img", "compare", "-f", "raw", "-F", "raw", dir / "source", disk.uri()}));
    const uint64_t flushes = disk.flushes();
    std::vector<std::string> qemu_io{"/usr/bin/qemu-io", "-f", "raw", "-d", "unmap"};
    for (const char* command : {"write -P 0xab -f 1M 64k", "flush", "read -P 0xab 1M 64k", "write -z 2M 1M",
                                "read -P 0 2M 1M", "write -z -u -f 16M 32M", "read -P 0 16M 32M", "discard 4M 1M",
                                "read -P 0 4M 1M", "aio_write -P 0x11 8M 512k", "aio_write -P 0x12 9M 512k",
                                "aio_flush", "read -P 0x11 8M 512k", "read -P 0x12 9M 512k", "write -P 0x21 10M 3M",
                                "read -P 0x21 10M 3M", "write -P 0x31 1000 3000", "read -P 0x31 1000 3000"}) {
        qemu_io.insert(qemu_io.end(), {"-c", command});
    }
    qemu_io.push_back(disk.uri());
    const Outcome done = run(dir, qemu_io);
    works(done);
    CHECK_THAT(done.output, !Catch::Contains("failed") && !Catch::Contains("error"));
    CHECK(disk.flushes() >= flushes + 3);
    CHECK(disk.zeroed_bytes() >= (uint64_t{34} << 20U));
}

TEST_CASE("a foreign client is told of an error and goes on living") {
    if (!installed("/usr/bin/qemu-io")) return;
    const TemporaryDirectory dir;
    MemoryDisk disk(kSize);
    disk.fail_with(EIO);
    const Outcome failed =
        run(dir, {"/usr/bin/qemu-io", "-f", "raw", "-c", "write -P 1 0 4k", "-c", "read 0 4k", disk.uri()});
    CHECK_THAT(failed.output, Catch::Contains("write failed: Input/output error") &&
                                  Catch::Contains("read failed: Input/output error"));
    disk.fail_with(0);
    works(run(dir, {"/usr/bin/qemu-io", "-f", "raw", "-c", "write -P 1 0 4k", disk.uri()}));
}
