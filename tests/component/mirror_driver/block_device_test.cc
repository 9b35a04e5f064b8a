// What is refused as a data or metadata device, and that the refusal names the device and a remedy.
#include "mirror-driver/io/block_device.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/component/mirror_driver/machine.h"
#include "tests/support/temporary_directory.h"

using namespace kagami;
using namespace kagami::mirror;
using testing::make_sized_file;

namespace {

void refused(const std::string& path, const std::string& because) {
    const auto opened = BlockDevice::open(path, DeviceUse::kData);
    REQUIRE_FALSE(opened);
    INFO(opened.error().message << ": " << opened.error().remedy);
    CHECK(opened.error().message.find("data device " + path) == 0);
    CHECK(opened.error().message.find(because) != std::string::npos);
    CHECK_FALSE(opened.error().remedy.empty());
}

}  // namespace

TEST_CASE("a file of a fixed size is taken, and held against others") {
    testing::TemporaryDirectory directory;
    make_sized_file(directory / "d", 4 << 20);
    const auto first = BlockDevice::open(directory / "d", DeviceUse::kData);
    REQUIRE(first);
    CHECK(first->size_bytes() == 4 << 20);
    struct stat file {};
    REQUIRE(fstat(first->fd(), &file) == 0);
    // without the number of its file system, which another boot may give to another one
    CHECK(first->identity() == "file=" + std::to_string(file.st_ino) + "+4194304");
    CHECK((fcntl(first->fd(), F_GETFL) & O_DIRECT) != 0);
    refused(directory / "d", "used by another program");
}

TEST_CASE("what is no usable device is refused by name") {
    testing::TemporaryDirectory directory;
    refused(directory / "missing", "does not exist");
    refused(directory.path(), "neither a block device nor a regular file");
    refused("/dev/null", "neither a block device nor a regular file");
    make_sized_file(directory / "odd", (4 << 20) + 512);
    refused(directory / "odd", "not a multiple of 4096");
    make_sized_file(directory / "small", 8192);
    refused(directory / "small", "too small");
    make_sized_file(directory / "empty", 0);
    refused(directory / "empty", "too small");
}

TEST_CASE("a file behind a loop device is refused") {
    testing::TemporaryDirectory directory;
    make_sized_file(directory / "d", 4 << 20);
    const testing::OwnLoop loop(directory / "d");
    refused(directory / "d", "is attached to " + loop.device());
}

TEST_CASE("a block device is refused while it is mounted, and cannot be mounted while it is held") {
    testing::TemporaryDirectory directory;
    make_sized_file(directory / "d", 16 << 20);
    REQUIRE(testing::run_program({"/usr/sbin/mkfs.ext4", "-q", "-F", directory / "d"}) == 0);
    const testing::OwnLoop loop(directory / "d");
    {
        testing::OwnMount mounted(loop.device(), directory / "m n", "ext4");  // the kernel's table says "m\040n"
        REQUIRE(mounted.ok());
        refused(loop.device(), "is mounted on " + directory.path() + "/m n");
        CHECK(mounted.unmount() == 0);
    }
    const auto held = BlockDevice::open(loop.device(), DeviceUse::kMetadata);
    REQUIRE(held);
    CHECK(held->size_bytes() == 16 << 20);
    CHECK(held->identity() == "unidentified");
    testing::OwnMount second(loop.device(), directory / "m", "ext4");
    CHECK_FALSE(second.ok());
    refused(loop.device(), "in use");
}

TEST_CASE("a device mapper's device is known by its uuid, not by its number") {
    testing::TemporaryDirectory directory;
    make_sized_file(directory / "d", 4 << 20);
    const testing::OwnLoop loop(directory / "d");
    const std::string name = "kagami-test-" + std::to_string(getpid());
    if (testing::run_program({"/usr/sbin/dmsetup", "create", name, "--noudevsync", "--uuid", "KAGAMI;" + name,
                              "--table", "0 8192 linear " + loop.device() + " 0"}) != 0) {
        return testing::skipped("the kernel has no device mapper (dmsetup create failed)");
    }
    {
        const auto device = BlockDevice::open("/dev/mapper/" + name, DeviceUse::kData);
        INFO((device ? device->identity() : device.error().message));
        CHECK(device);
        if (device) CHECK(device->identity() == "dm=KAGAMI_" + name);
    }
    CHECK(testing::run_program({"/usr/sbin/dmsetup", "remove", "--noudevsync", "--retry", name}) == 0);
}

TEST_CASE("a device is known again by any part of its identity, and by nothing when it has none") {
    CHECK(same_device("partuuid=a;wwid=b", "partuuid=a;wwid=b"));
    CHECK(same_device("partuuid=a;wwid=b", "wwid=b"));
    CHECK(same_device("partuuid=a", "partuuid=a;wwid=c"));
    CHECK(same_device("unidentified", "wwid=b"));
    CHECK(same_device("wwid=b", "unidentified"));
    CHECK_FALSE(same_device("partuuid=a;wwid=b", "partuuid=c;wwid=d"));
    CHECK_FALSE(same_device("wwid=b", "dm=b"));
    CHECK_FALSE(same_device("wwid=bb", "wwid=b"));
    CHECK_FALSE(same_device("file=1+4096", "wwid=b"));
}

TEST_CASE("a read-only block device is refused") {
    testing::TemporaryDirectory directory;
    make_sized_file(directory / "d", 16 << 20);
    const testing::OwnLoop loop(directory / "d", true);
    refused(loop.device(), "read-only");
}

TEST_CASE("one device in both places is refused, under two names too") {
    testing::TemporaryDirectory directory;
    make_sized_file(directory / "d", 4 << 20);
    make_sized_file(directory / "m", 4 << 20);
    REQUIRE(symlink((directory / "d").c_str(), (directory / "other").c_str()) == 0);
    CHECK(check_distinct(directory / "d", directory / "m"));
    CHECK_FALSE(check_distinct(directory / "d", directory / "d"));
    const auto same = check_distinct(directory / "d", directory / "other");
    REQUIRE_FALSE(same);
    CHECK(same.error().message.find("are the same") != std::string::npos);
}

TEST_CASE("blocks are read as they were written, and not over the end") {
    testing::TemporaryDirectory directory;
    make_sized_file(directory / "m", 2 << 20);
    const auto device = BlockDevice::open(directory / "m", DeviceUse::kMetadata);
    REQUIRE(device);
    std::vector<BlockWrite> blocks(2);
    blocks[0].offset = 4096;
    blocks[0].bytes.fill(1);
    blocks[1].offset = (2 << 20) - 4096;
    blocks[1].bytes.fill(2);
    REQUIRE(device->write_blocks(blocks));
    const auto read = device->reader();
    std::array<uint8_t, kMetadataBlockBytes> bytes{};
    CHECK(read(4096, bytes));
    CHECK(bytes == blocks[0].bytes);
    CHECK(read((2 << 20) - 4096, bytes));
    CHECK(bytes == blocks[1].bytes);
    CHECK(read(0, bytes));
    CHECK(bytes[0] == 0);
    CHECK_FALSE(read(2 << 20, bytes));
    CHECK_FALSE(read(100, bytes));
}
