#include "cluster-daemon/runtime/daemon/active_config.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "common/config/bundle.h"
#include "common/files.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/daemon/sample.h"

using namespace kagami;
using namespace kagami::runtime;
using kagami::testing::TemporaryDirectory;

namespace {

mode_t mode_of(const std::string& path) {
    struct stat found {};
    REQUIRE(::lstat(path.c_str(), &found) == 0);
    return found.st_mode & 07777U;
}

}  // namespace

TEST_CASE("the configuration in force lies on disk as text and private, executable scripts") {
    TemporaryDirectory state;
    REQUIRE(store_active_config(state.path(), kagami::testing::sample_packed()));
    const std::string script = active_script_directory(state.path()) + "/web/nginx/start.sh";
    CHECK(*read_file(script, 1000) == kagami::testing::sample_bundle().scripts.at("web/nginx/start.sh"));
    CHECK(*read_file(state / "active/cluster.toml", 10000) == kagami::testing::sample_bundle().text);
    CHECK(mode_of(script) == 0700);
    CHECK(mode_of(state / "active/scripts") == 0700);
    CHECK(mode_of(state / "active/cluster.toml") == 0600);
}

TEST_CASE("a new configuration replaces the old one as a whole") {
    TemporaryDirectory state;
    REQUIRE(store_active_config(state.path(), kagami::testing::sample_packed()));
    config::Bundle fewer = kagami::testing::sample_bundle();
    fewer.scripts["web/nginx/start.sh"] = "#!/bin/sh\nexit 0\n";
    fewer.scripts["web/nginx/other.sh"] = "#!/bin/sh\n";
    fewer.scripts.erase("web/nginx/stop.sh");
    REQUIRE(store_active_config(state.path(), *config::pack(fewer)));
    const std::string directory = active_script_directory(state.path()) + "/web/nginx";
    CHECK(*read_file(directory + "/start.sh", 1000) == "#!/bin/sh\nexit 0\n");
    CHECK(std::filesystem::exists(directory + "/other.sh"));
    CHECK_FALSE(std::filesystem::exists(directory + "/stop.sh"));
    CHECK_FALSE(std::filesystem::exists(state / "active.new"));
}

TEST_CASE("a configuration that is in force already is not written again, so that a full disk does not matter") {
    TemporaryDirectory state;
    REQUIRE(store_active_config(state.path(), kagami::testing::sample_packed()));
    const auto before = std::filesystem::last_write_time(state / "active/cluster.toml");
    REQUIRE(make_private_directory(state / "active.new"));  // what a write would remove first
    REQUIRE(store_active_config(state.path(), kagami::testing::sample_packed()));
    CHECK(std::filesystem::exists(state / "active.new"));
    CHECK(std::filesystem::last_write_time(state / "active/cluster.toml") == before);
}

TEST_CASE("what an interrupted write left behind does not disturb the next one") {
    TemporaryDirectory state;
    REQUIRE(make_private_directory(state / "active.new"));
    REQUIRE(write_file_atomically(state / "active.new/half", std::string_view("x")));
    REQUIRE(store_active_config(state.path(), kagami::testing::sample_packed()));
    CHECK_FALSE(std::filesystem::exists(state / "active/half"));
}

TEST_CASE("bytes that are no bundle, and a bundle that is no configuration, are not put in force") {
    TemporaryDirectory state;
    CHECK_FALSE(store_active_config(state.path(), Bytes{1, 2, 3}));
    CHECK_FALSE(std::filesystem::exists(state / "active"));
    CHECK(parse_packed(Bytes{}) == nullptr);
    config::Bundle broken = kagami::testing::sample_bundle();
    broken.text += "\n[cluster2]\n";
    CHECK(parse_packed(*config::pack(broken)) == nullptr);
    CHECK(parse_packed(kagami::testing::sample_packed()) != nullptr);
}
