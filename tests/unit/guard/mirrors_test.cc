#include "cluster-daemon/guard/mirrors.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "common/files.h"

using namespace kagami;
using namespace kagami::guard;

namespace {

const std::string kDisk = "/run/kagami/mirror/md1/disk";

std::vector<uint32_t> found_in(const std::string& text) {
    const UniqueFd file(memfd_create("mountinfo", MFD_CLOEXEC));
    REQUIRE(write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    REQUIRE(lseek(file.get(), 0, SEEK_SET) == 0);
    std::array<uint32_t, 2> connections{};
    const size_t count = fuse_connections(file.get(), kDisk, connections);
    REQUIRE(count <= connections.size());
    return {connections.begin(), connections.begin() + static_cast<ptrdiff_t>(count)};
}

std::string mount_of(const std::string& point, const std::string& type = "fuse.kagami",
                     const std::string& device = "0:61") {
    return "412 27 " + device + " / " + point + " rw,nosuid shared:5 master:1 - " + type + " md1 rw,user_id=0\n";
}

const std::string kOthers =
    "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
    "30 27 0:24 / /run rw shared:2 - tmpfs tmpfs rw,mode=755\n";

}  // namespace

TEST_CASE("the connection of a mirror disk is the minor device number of its mount") {
    CHECK(found_in(kOthers + mount_of(kDisk) + kOthers) == std::vector<uint32_t>{61});
    CHECK(found_in(mount_of(kDisk, "fuse")) == std::vector<uint32_t>{61});
    CHECK(found_in("9 8 0:7 / " + kDisk + " rw - fuse disk rw\n") == std::vector<uint32_t>{7});  // no optional field
}

TEST_CASE("of disks mounted one over another every connection is found, as many as there is room for") {
    const std::string two = mount_of(kDisk) + mount_of(kDisk, "fuse", "0:99");
    CHECK(found_in(two) == std::vector<uint32_t>{61, 99});
    CHECK(found_in(two + mount_of(kDisk, "fuse", "0:100")) == std::vector<uint32_t>{61, 99});
}

TEST_CASE("other mounts are left alone") {
    const std::string others[] = {kOthers,
                                  mount_of(kDisk + "2"),
                                  mount_of("/run/kagami/mirror/md1"),
                                  mount_of(kDisk, "fuseblk"),
                                  mount_of(kDisk, "tmpfs"),
                                  mount_of(kDisk, "fuse", "8:61"),
                                  mount_of(kDisk, "fuse", "0:"),
                                  mount_of(kDisk, "fuse", "0:0"),
                                  mount_of(kDisk, "fuse", "0:6x"),
                                  mount_of(kDisk, "fuse", "0:99999999999"),
                                  "1 2 0:61 / /x rw - fuse " + kDisk + " rw\n",
                                  "\n\n   \n",
                                  "412 27 0:61 /",
                                  ""};
    for (const auto& other : others) {
        CAPTURE(other);
        CHECK(found_in(other).empty());
    }
}

TEST_CASE("words and lines of any length may stand before it") {
    const std::string longest(9000, 'x');
    const std::string overlay = "31 27 0:25 / /" + longest + " rw - overlay overlay rw,lowerdir=/" + longest + "\n";
    CHECK(found_in(overlay + mount_of(kDisk)) == std::vector<uint32_t>{61});
    CHECK(found_in(overlay + mount_of("/" + longest) + mount_of(kDisk)) == std::vector<uint32_t>{61});
    for (size_t shift = 0; shift < 160; ++shift) {  // the line lies anywhere across the reader's buffer of 4096 bytes
        const std::string before = "1 2 0:3 / /" + std::string(3950 + shift, 'y') + " rw - tmpfs x rw\n";
        CHECK(found_in(before + mount_of(kDisk)) == std::vector<uint32_t>{61});
    }
}
