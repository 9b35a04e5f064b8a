#include "common/files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/support/temporary_directory.h"

using kagami::ErrorCode;
using kagami::FileAccess;
using kagami::read_file;
using kagami::write_file_atomically;
using kagami::testing::TemporaryDirectory;

namespace {

void put(const std::string& path, const std::string& text) {
    std::ofstream(path) << text;
}

size_t entries(const std::string& directory) {
    size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory)) ++count;
    return count;
}

}  // namespace

TEST_CASE("a file written atomically reads back, has the asked mode and leaves no temporary file") {
    const TemporaryDirectory dir;
    REQUIRE(write_file_atomically(dir / "key", std::string_view("first")));
    REQUIRE(write_file_atomically(dir / "key", std::string_view("second")));
    CHECK(read_file(dir / "key", 100).value() == "second");
    struct stat info{};
    REQUIRE(::stat((dir / "key").c_str(), &info) == 0);
    CHECK((info.st_mode & 07777U) == 0600);
    CHECK(entries(dir.path()) == 1);
}

TEST_CASE("a link in the target's place is replaced, not followed") {
    const TemporaryDirectory dir;
    put(dir / "victim", "untouched");
    REQUIRE(::symlink((dir / "victim").c_str(), (dir / "target").c_str()) == 0);
    REQUIRE(write_file_atomically(dir / "target", std::string_view("new")));
    CHECK(read_file(dir / "victim", 100).value() == "untouched");
    CHECK(read_file(dir / "target", 100).value() == "new");
}

TEST_CASE("a write that cannot happen names the file and leaves nothing behind") {
    const TemporaryDirectory dir;
    const auto missing = write_file_atomically(dir / "no/such", std::string_view("x"));
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == ErrorCode::kNotFound);
    CHECK_THAT(missing.error().message, Catch::Contains(dir / "no"));
    std::filesystem::create_directory(dir / "taken");
    put(dir / "taken/inside", "x");
    const auto in_the_way = write_file_atomically(dir / "taken", std::string_view("x"));
    REQUIRE_FALSE(in_the_way);
    CHECK_THAT(in_the_way.error().message, Catch::Contains("taken"));
    CHECK(entries(dir.path()) == 1);
}

TEST_CASE("reading refuses links, directories, FIFOs and files above the limit") {
    const TemporaryDirectory dir;
    put(dir / "file", "12345");
    REQUIRE(::symlink((dir / "file").c_str(), (dir / "link").c_str()) == 0);
    REQUIRE(::mkfifo((dir / "fifo").c_str(), 0600) == 0);
    CHECK(read_file(dir / "file", 5).value() == "12345");
    CHECK_FALSE(read_file(dir / "file", 4));
    CHECK_FALSE(read_file(dir / "link", 100));
    CHECK_FALSE(read_file(dir / "fifo", 100));
    CHECK_FALSE(read_file(dir.path(), 100));
    CHECK(read_file(dir / "none", 100).error().code == ErrorCode::kNotFound);
}

TEST_CASE("a private file that others may read or write is refused with the remedy") {
    const TemporaryDirectory dir;
    put(dir / "key", "secret");
    for (const unsigned mode : {0640U, 0604U, 0620U, 0602U}) {
        REQUIRE(::chmod((dir / "key").c_str(), mode) == 0);
        const auto refused = read_file(dir / "key", 100, FileAccess::kOwnerOnly);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::kRefused);
        CHECK_THAT(refused.error().remedy, Catch::Contains("chmod 600"));
    }
    REQUIRE(::chmod((dir / "key").c_str(), 0600) == 0);
    CHECK(read_file(dir / "key", 100, FileAccess::kOwnerOnly).value() == "secret");
}

TEST_CASE("a private directory is made once, and one that others may enter is refused") {
    const TemporaryDirectory dir;
    REQUIRE(kagami::make_private_directory(dir / "state"));
    REQUIRE(kagami::make_private_directory(dir / "state"));
    REQUIRE(::chmod((dir / "state").c_str(), 0755) == 0);
    CHECK(kagami::make_private_directory(dir / "state").error().code == ErrorCode::kRefused);
    put(dir / "file", "");
    CHECK_FALSE(kagami::make_private_directory(dir / "file"));
}
