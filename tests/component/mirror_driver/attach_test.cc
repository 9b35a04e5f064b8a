// Attaching: each reason for a refusal, and that a refused pair is left as it was.
#include "mirror-driver/driver/attach.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/component/mirror_driver/machine.h"
#include "tests/support/temporary_directory.h"

using namespace kagami;
using namespace kagami::mirror;
using testing::make_sized_file;

namespace {

constexpr Uuid kCluster{1};
constexpr Uuid kMirror{2};
constexpr NodeId kSelf{1};

struct Pair {
    testing::TemporaryDirectory directory;
    mirror_link::MirrorConfig config;
    Pair() {
        config.name = "md1";
        config.group = "web";
        config.peer = NodeId{2};
        config.peer_name = "node2";
        config.data = directory / "data";
        config.metadata = directory / "meta";
        make_sized_file(config.data, 8 << 20);
        make_sized_file(config.metadata, 32 << 20);
    }
    Result<Attachment> attach(std::optional<Uuid> mirror = kMirror, const Uuid& cluster = kCluster,
                              NodeId self = kSelf) const {
        return mirror::attach(config, cluster, self, mirror);
    }
    void refused(const std::string& because, std::optional<Uuid> mirror = kMirror, const Uuid& cluster = kCluster,
                 NodeId self = kSelf) const {
        const auto attached = attach(mirror, cluster, self);
        REQUIRE_FALSE(attached);
        INFO(attached.error().message << ": " << attached.error().remedy);
        CHECK(attached.error().message.find(because) != std::string::npos);
        CHECK_FALSE(attached.error().remedy.empty());
    }
    void fill(const std::string& path, uint8_t byte, off_t offset, size_t length) const {
        const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
        const std::vector<uint8_t> bytes(length, byte);
        REQUIRE(pwrite(fd.get(), bytes.data(), length, offset) == static_cast<ssize_t>(length));
    }
};

}  // namespace

TEST_CASE("a blank pair gets metadata once the register has named the mirror, and keeps them") {
    const Pair pair;
    pair.refused("has not named mirror md1", std::nullopt);
    {
        const auto first = pair.attach();
        REQUIRE(first);
        CHECK(first->created);
        CHECK(first->loaded.context.size_bytes == 8 << 20);
        CHECK(first->loaded.context.mirror == kMirror);
        CHECK_FALSE(first->loaded.context.flags.constructed);
    }
    const auto second = pair.attach(std::nullopt);
    REQUIRE(second);
    CHECK_FALSE(second->created);
    CHECK(second->loaded.context.self == kSelf);
}

TEST_CASE("data that somebody may need are not mirrored over") {
    const Pair pair;
    REQUIRE(testing::run_program({"/usr/sbin/mkfs.ext4", "-q", "-F", pair.config.data}) == 0);
    pair.refused("ext4");
    const auto again = pair.attach();
    REQUIRE_FALSE(again);
    CHECK(again.error().remedy.find("kagami mirror init md1 --use-data") != std::string::npos);
}

TEST_CASE("data of an unknown kind are not mirrored over, at the beginning or at the end") {
    for (const off_t offset : {off_t{70000}, (off_t{1} << 20) - 1, (off_t{8} << 20) - (64 << 10), (off_t{8} << 20) - 1}) {
        const Pair pair;
        pair.fill(pair.config.data, 0x5a, offset, 1);
        pair.refused("holds data of an unknown kind");
        CHECK(pair.attach().error().remedy.find("kagami mirror init md1 --wipe") != std::string::npos);
        pair.fill(pair.config.data, 0, offset, 1);
        CHECK(pair.attach());
        pair.fill(pair.config.data, 0x5a, offset, 1);
        CHECK(pair.attach());  // its own data, by now
    }
}

TEST_CASE("a file system on the metadata device is not overwritten") {
    const Pair pair;
    REQUIRE(testing::run_program({"/usr/sbin/mkfs.ext4", "-q", "-F", pair.config.metadata}) == 0);
    pair.refused("ext4");
}

TEST_CASE("swapped devices are seen") {
    Pair pair;
    make_sized_file(pair.config.data, 32 << 20);
    REQUIRE(pair.attach());
    std::swap(pair.config.data, pair.config.metadata);
    pair.refused("swapped");
}

TEST_CASE("metadata of somebody else are not used") {
    const Pair pair;
    REQUIRE(pair.attach());
    pair.refused("another cluster", kMirror, Uuid{9});
    pair.refused("another mirror", Uuid{9});
    pair.refused("is the copy of node 1", kMirror, kCluster, NodeId{3});
    Pair other;
    other.config.metadata = pair.config.metadata;
    other.refused("is another device");
    CHECK(other.attach().error().remedy.find("if this is the same disk") != std::string::npos);
}

TEST_CASE("another peer or another size than the pair was made with is refused") {
    Pair pair;
    REQUIRE(pair.attach());
    pair.config.peer = NodeId{3};
    pair.config.peer_name = "node3";
    pair.refused("not node3");
    pair.config.peer = NodeId{2};
    make_sized_file(pair.config.data, 12 << 20);
    pair.refused("8388608");
}

TEST_CASE("too small a metadata device is refused with the size that it needs") {
    Pair pair;
    pair.config.metadata = pair.directory / "small";
    make_sized_file(pair.config.metadata, 4 << 20);
    pair.refused("too small for data device");
}

TEST_CASE("destroyed metadata are refused, and a damaged block is not") {
    const Pair pair;
    REQUIRE(pair.attach());
    pair.fill(pair.config.metadata, 0x5a, 8 << 20, 4096);  // a page of the bitmap: more resync work
    {
        const auto attached = pair.attach();
        REQUIRE(attached);
        CHECK_FALSE(attached->loaded.findings.empty());
    }
    pair.fill(pair.config.metadata, 0x5a, 0, 2 << 20);
    pair.fill(pair.config.metadata, 0x5a, (32 << 20) - (64 << 10), 64 << 10);
    CHECK_FALSE(pair.attach());
}
