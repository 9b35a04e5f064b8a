#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "mirror-driver/engine/metadata_blocks.h"
#include "mirror-driver/tools/offline.h"
#include "tests/component/cli/bench.h"
#include "tests/component/cli/fake_daemon.h"

using namespace kagami;
using namespace kagami::cli;

namespace {

constexpr uint64_t kDataBytes = 32 << 20;
constexpr uint64_t kMetadataBytes = 16 << 20;

pb::Progress accepted(const std::string& message) {
    pb::Progress progress;
    progress.mutable_accepted()->set_message(message);
    return progress;
}
pb::Progress no_dry_run() {
    pb::Progress progress;
    progress.mutable_refused()->set_code(2);
    return progress;
}

// Mirror md1 on node1 (which answers) and node2; its devices are files.
struct Stage {
    Stage() {
        data = bench.write("md1.data", "");
        metadata = bench.write("md1.meta", "");
        std::filesystem::resize_file(data, kDataBytes);
        std::filesystem::resize_file(metadata, kMetadataBytes);
        pb::Status& status = daemon.answers.status;
        status.set_answering_node("node1");
        status.set_quorum(true);
        status.set_cluster_uuid("01010101-0101-0101-0101-010101010101");
        pb::Mirror& mirror = *status.add_mirrors();
        mirror.set_name("md1");
        mirror.set_group("db");
        mirror.set_state("Normal");
        mirror.set_uuid("02020202-0202-0202-0202-020202020202");
        for (uint32_t id : {1U, 2U}) {
            pb::MirrorCopy& copy = *mirror.add_copies();
            copy.set_node("node" + std::to_string(id));
            copy.set_node_id(id);
            copy.set_colour(id == 1 ? "GREEN" : "RED");
            copy.set_standing(id == 1 ? "current" : "stale");
            copy.set_data(data);
            copy.set_metadata(metadata);
        }
        daemon.answers.dry_run_progress = {no_dry_run()};
        daemon.answers.progress = {accepted("done")};
    }
    void put_on_data(uint64_t offset, const std::string& text) const {
        std::fstream file(data, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>(offset));
        file << text;
    }
    std::string on_data(uint64_t offset, size_t length) const {
        std::ifstream file(data, std::ios::binary);
        file.seekg(static_cast<std::streamoff>(offset));
        std::string text(length, '\0');
        file.read(text.data(), static_cast<std::streamsize>(length));
        return text;
    }
    Bench bench;
    FakeDaemon daemon{bench.places.socket};
    std::string data, metadata;
};

const std::string kXfs = "XFSB";

}  // namespace

TEST_CASE("mirror status shows all mirrors or one, for people and as JSON") {
    Stage s;
    CHECK(s.bench.run({"mirror", "status"}) == 0);
    CHECK(s.bench.out.starts_with("Mirror md1  Normal  group db"));
    CHECK(s.bench.run({"mirror", "status", "md1", "--json"}) == 0);
    const auto json = nlohmann::json::parse(s.bench.out);
    CHECK(json["schema"] == "kagami.mirror-status/1");
    CHECK(json["mirrors"][0]["copies"][1]["colour"] == "RED");
    CHECK(s.bench.run({"mirror", "status", "md2"}) == 3);
    CHECK(s.bench.err == "kagami: there is no mirror \"md2\"\n  did you mean \"md1\"?\n");
    CHECK(s.bench.run({"mirror", "status", "--watch", "--json"}) == 7);  // until the daemon ends
    CHECK(std::count(s.bench.out.begin(), s.bench.out.end(), '\n') == 2);
    CHECK(s.bench.run({"mirror", "status", "--watch", "md2"}) == 3);
    s.daemon.answers.status.clear_mirrors();
    CHECK(s.bench.run({"mirror", "status"}) == 0);
    CHECK(s.bench.out == "No mirror disks are configured.\n");
}

TEST_CASE("resync, cancel and rejoin ask nobody; break asks") {
    Stage s;
    CHECK(s.bench.run({"mirror", "resync", "md1"}) == 0);
    CHECK_FALSE(s.daemon.asked.mirror.full());
    CHECK(s.bench.run({"mirror", "cancel", "md1"}) == 0);
    CHECK(s.bench.run({"mirror", "rejoin", "md1"}) == 0);
    CHECK(s.bench.run({"mirror", "break", "md1"}) == 2);
    CHECK(s.bench.run({"mirror", "break", "md1", "--yes"}) == 0);
    CHECK(s.daemon.asked.calls ==
          std::vector<std::string>{"MirrorResync", "MirrorCancel", "MirrorRejoin", "MirrorBreak"});
    CHECK(s.daemon.asked.mirror.mirror() == "md1");
}

TEST_CASE("what overwrites a copy wants its name typed, or given with --yes") {
    Stage s;
    const std::vector<std::string> command = {"mirror", "force", "md1", "--node", "node2"};
    const auto with_yes = [&](const std::string& name) {
        auto all = command;
        all.insert(all.end(), {"--yes", name});
        return all;
    };
    CHECK(s.bench.run(command) == 2);
    CHECK(s.bench.err.find("add --yes md1 ") != std::string::npos);
    CHECK(s.bench.run(with_yes("md2")) == 2);
    CHECK(s.bench.err.starts_with("kagami: --yes: \"md2\" is not \"md1\"\n"));
    CHECK(s.daemon.asked.calls.empty());
    CHECK(s.bench.run_typing(command, "y\n") == 1);
    CHECK(
        s.bench.err ==
        "The copy of node2 becomes the latest of mirror md1, and every other copy is overwritten with it. What it has "
        "not is lost.\nType \"md1\" to go on: Nothing was changed.\n");
    CHECK(s.daemon.asked.calls == std::vector<std::string>{"MirrorForce dry"});
    CHECK(s.bench.run_typing(command, "md1\n") == 0);
    CHECK(s.bench.run(with_yes("md1")) == 0);
    CHECK(s.daemon.asked.calls.back() == "MirrorForce");
    CHECK(s.daemon.asked.mirror.node() == "node2");
    CHECK(s.bench.run({"mirror", "force", "md1", "--yes", "md1"}) == 2);  // no node
    CHECK(s.bench.run({"mirror", "resync", "md1", "--full"}) == 2);
    CHECK(s.bench.run({"mirror", "resync", "md1", "--full", "--yes", "md1"}) == 0);
    CHECK(s.daemon.asked.mirror.full());
}

TEST_CASE("init makes metadata that check and dump then find sound") {
    Stage s;
    CHECK(s.bench.run({"mirror", "check", s.metadata}) == 1);
    CHECK(s.bench.run({"mirror", "dump", s.metadata}) == 1);
    CHECK(s.bench.out.find("blank: no metadata were ever made on it") != std::string::npos);
    CHECK(s.bench.run({"mirror", "init", "md1"}) == 2);
    CHECK(s.bench.run_typing({"mirror", "init", "md1"}, "no\n") == 1);
    CHECK(s.bench.run({"mirror", "init", "md1", "--yes", "md1"}) == 0);
    CHECK(s.bench.err == "metadata device " + s.metadata + " has new metadata of mirror md1.\n");
    CHECK(s.bench.run({"mirror", "check", s.metadata}) == 0);
    CHECK(s.bench.out == "metadata device " + s.metadata + " is sound.\n");
    CHECK(s.bench.run({"mirror", "dump", s.metadata}) == 0);
    CHECK(s.bench.out.find("mirror                02020202-0202-0202-0202-020202020202\n") != std::string::npos);
    CHECK(s.bench.out.find("copy of node          1\n") != std::string::npos);
    CHECK(s.bench.out.find("marked blocks         0 of 8192 (0 B)\n") != std::string::npos);
}

TEST_CASE("init touches no data that somebody may need, unless told to use or to wipe them") {
    Stage s;
    s.put_on_data(0, kXfs);
    CHECK(s.bench.run({"mirror", "init", "md1", "--yes", "md1"}) == 4);
    CHECK(s.bench.err.find("an xfs file system") != std::string::npos);
    CHECK(s.bench.err.find("--use-data") != std::string::npos);
    CHECK(s.bench.run({"mirror", "check", s.metadata}) == 1);  // nothing was written
    CHECK(s.bench.run({"mirror", "init", "md1", "--use-data", "--wipe", "--yes", "md1"}) == 2);
    SECTION("used") {
        CHECK(s.bench.run({"mirror", "init", "md1", "--use-data", "--yes", "md1"}) == 0);
        CHECK(s.bench.err.find("kagami mirror force md1 --node node1") != std::string::npos);
        CHECK(s.on_data(0, 4) == kXfs);
    }
    SECTION("wiped") {
        s.put_on_data(kDataBytes - 4, "tail");
        CHECK(s.bench.run({"mirror", "init", "md1", "--wipe", "--yes", "md1"}) == 0);
        CHECK(s.on_data(0, 4) == std::string(4, '\0'));
        CHECK(s.on_data(kDataBytes - 4, 4) == std::string(4, '\0'));
    }
    CHECK(s.bench.run({"mirror", "check", s.metadata}) == 0);
}

TEST_CASE("init is refused where it cannot know or must not write") {
    Stage s;
    pb::Mirror& mirror = *s.daemon.answers.status.mutable_mirrors(0);
    const std::vector<std::string> init = {"mirror", "init", "md1", "--yes", "md1"};
    SECTION("the cluster has not named the mirror yet") {
        mirror.clear_uuid();
        CHECK(s.bench.run(init) == 4);
        CHECK(s.bench.err.find("has not named mirror md1") != std::string::npos);
    }
    SECTION("no such mirror") {
        CHECK(s.bench.run({"mirror", "init", "md9", "--yes", "md9"}) == 3);
    }
    SECTION("a node without a copy") {
        s.daemon.answers.status.set_answering_node("node3");
        CHECK(s.bench.run(init) == 4);
    }
    SECTION("a metadata device that is too small") {
        std::filesystem::resize_file(s.metadata, 1 << 20);
        CHECK(s.bench.run(init) == 4);
        CHECK(s.bench.err.find("give it at least") != std::string::npos);
    }
    SECTION("one device for both") {
        mirror.mutable_copies(0)->set_metadata(s.data);
        CHECK(s.bench.run(init) == 4);
    }
    SECTION("something else on the metadata device") {
        std::fstream(s.metadata, std::ios::in | std::ios::out) << kXfs;
        CHECK(s.bench.run(init) == 4);
        CHECK(s.bench.err.find("an xfs file system") != std::string::npos);
    }
    SECTION("a missing device") {
        std::filesystem::remove(s.data);
        CHECK(s.bench.run(init) != 0);
        CHECK(s.bench.err.find(s.data) != std::string::npos);
    }
}

TEST_CASE("dump and check find the device by the configuration of this machine, without a daemon") {
    Stage s;
    REQUIRE(s.bench.run({"mirror", "init", "md1", "--yes", "md1"}) == 0);
    std::string toml = kValidToml;
    toml.insert(toml.find("[[monitor]]"), "[[group.resource]]\ntype = \"md\"\nname = \"md1\"\ndata = \"" + s.data +
                                              "\"\nmetadata = \"" + s.metadata + "\"\n");
    s.bench.write("etc/cluster.toml", toml);
    s.bench.places.socket = "/nonexistent";
    CHECK(s.bench.run({"mirror", "check", "md1", "--node", "node1"}) == 0);
    CHECK(s.bench.run({"mirror", "dump", "md1", "--node", "node1"}) == 0);
    CHECK(s.bench.run({"mirror", "check", "md2", "--node", "node1"}) == 3);
    CHECK(s.bench.err.find("did you mean \"md1\"?") != std::string::npos);
    CHECK(s.bench.run({"mirror", "check", "md1", "--node", "node7"}) == 3);
    CHECK(s.bench.run({"mirror", "check", "/nonexistent"}) == 3);
}

TEST_CASE("clpmdstat lists and shows, by long and short options, with one dash or two") {
    Stage s;
    CHECK(s.bench.run_as(run_clpmdstat, {"--list"}) == 0);
    CHECK(s.bench.out == "<md1>\n");
    CHECK(s.bench.run_as(run_clpmdstat, {"-l"}) == 0);
    for (const std::string option : {"--mirror", "-mirror", "-m"}) {
        CHECK(s.bench.run_as(run_clpmdstat, {option, "md1"}) == 0);
        CHECK(s.bench.out.starts_with(" Mirror Status: Normal\n"));
    }
    CHECK(s.bench.run_as(run_clpmdstat, {"-a", "md1"}) == 0);
    CHECK(s.bench.out.find("Active Status") != std::string::npos);
    CHECK(s.bench.run_as(run_clpmdstat, {"--connect", "md1"}) == 0);
    CHECK(s.bench.run_as(run_clpmdstat, {"-d", "md1"}) == 0);
    CHECK(s.bench.run_as(run_clpmdstat, {"-m", "md2"}) == 3);
    for (const std::vector<std::string>& wrong : {std::vector<std::string>{},
                                                  {"-m"},
                                                  {"-x", "md1"},
                                                  {"--m", "md1"},
                                                  {"-l", "md1"},
                                                  {"md1"},
                                                  {"-m", "md1", "md2"}}) {
        CHECK(s.bench.run_as(run_clpmdstat, wrong) == 2);
        CHECK(s.bench.err.find("Usage: clpmdstat") != std::string::npos);
    }
    CHECK(s.bench.run_as(run_clpmdstat, {"--help"}) == 0);
}

TEST_CASE("clpmdctrl --force takes its answer from a pipe and names this server when none is given") {
    Stage s;
    CHECK(s.bench.run_as(run_clpmdctrl, {"--force", "md1"}, "n\n") == 1);
    CHECK(s.bench.run_as(run_clpmdctrl, {"--force", "md1"}) == 1);
    CHECK(s.daemon.asked.calls.empty());
    CHECK(s.bench.run_as(run_clpmdctrl, {"--force", "md1"}, "y\n") == 0);
    CHECK(s.daemon.asked.mirror.node() == "node1");
    for (const std::string option : {"-force", "--force", "-f"}) {
        CHECK(s.bench.run_as(run_clpmdctrl, {option, "node2", "md1"}, "y\n") == 0);
        CHECK(s.daemon.asked.mirror.node() == "node2");
        CHECK(s.daemon.asked.mirror.mirror() == "md1");
    }
    CHECK(s.bench.run_as(run_clpmdctrl, {"-f", "md9"}, "y\n") == 3);
}

TEST_CASE("clpmdctrl recovers from a current copy only, cancels and breaks") {
    Stage s;
    CHECK(s.bench.run_as(run_clpmdctrl, {"--recovery", "md1"}) == 0);
    CHECK(s.bench.run_as(run_clpmdctrl, {"-r", "node1", "md1"}) == 0);
    CHECK(s.bench.run_as(run_clpmdctrl, {"-r", "node2", "md1"}) == 4);
    CHECK(s.bench.err.find("clpmdctrl --force node2 md1") != std::string::npos);
    CHECK(s.bench.run_as(run_clpmdctrl, {"-r", "node3", "md1"}) == 3);
    CHECK(s.bench.run_as(run_clpmdctrl, {"--cancel", "md1"}) == 0);
    CHECK(s.bench.run_as(run_clpmdctrl, {"-break", "md1"}) == 0);
    CHECK(s.daemon.asked.calls ==
          std::vector<std::string>{"MirrorResync", "MirrorResync", "MirrorCancel", "MirrorBreak"});
    for (const std::vector<std::string>& wrong :
         {std::vector<std::string>{}, {"-b"}, {"-b", "node1", "md1"}, {"--sync", "md1"}, {"md1"}}) {
        CHECK(s.bench.run_as(run_clpmdctrl, wrong) == 2);
    }
}

TEST_CASE("clpmdinit: normal refuses what is there, quick keeps the data, force makes anew") {
    Stage s;
    s.put_on_data(0, kXfs);
    CHECK(s.bench.run_as(run_clpmdinit, {"--create", "normal", "md1"}, "y\n") == 4);
    CHECK(s.bench.run_as(run_clpmdinit, {"--create", "quick", "md1"}, "n\n") == 1);
    CHECK(s.bench.run_as(run_clpmdinit, {"--create", "quick", "md1"}, "y\n") == 0);
    CHECK(s.on_data(0, 4) == kXfs);
    CHECK(s.bench.run_as(run_clpmdinit, {"--create", "normal", "md1"}, "y\n") == 4);
    CHECK(s.bench.err.find("holds the metadata of this copy of mirror md1") != std::string::npos);
    CHECK(s.bench.run_as(run_clpmdinit, {"-create", "force", "md1"}, "y\n") == 0);
    CHECK(s.on_data(0, 4) == kXfs);
    CHECK(s.bench.run_as(run_clpmdinit, {"--create", "slow", "md1"}) == 2);
    CHECK(s.bench.run_as(run_clpmdinit, {"--create", "md1"}) == 2);
}

TEST_CASE(
    "clpmdinit normal refuses any metadata and init asks about exactly these: of whom they are, or what is wrong") {
    Stage s;
    REQUIRE(s.bench.run({"mirror", "init", "md1", "--yes", "md1"}) == 0);
    pb::Status& status = s.daemon.answers.status;
    std::string holds;
    SECTION("of this copy") {
        holds = "the metadata of this copy of mirror md1";
    }
    SECTION("of another mirror") {
        status.mutable_mirrors(0)->set_uuid("03030303-0303-0303-0303-030303030303");
        holds = "the metadata of another mirror (02020202-0202-0202-0202-020202020202) of this cluster";
    }
    SECTION("of another cluster") {
        status.set_cluster_uuid("03030303-0303-0303-0303-030303030303");
        holds =
            "the metadata of mirror 02020202-0202-0202-0202-020202020202 of another cluster "
            "(01010101-0101-0101-0101-010101010101)";
    }
    SECTION("of another node") {
        status.mutable_mirrors(0)->mutable_copies(0)->set_node_id(7);
        holds = "the metadata of the copy of mirror md1 on node 1";
    }
    SECTION("damaged") {
        std::fstream file(s.metadata, std::ios::in | std::ios::out | std::ios::binary);
        for (const uint64_t place : mirror::blocks::superblock_places(kMetadataBytes)) {
            file.seekp(static_cast<std::streamoff>(place + 100));
            file << "scratch";
        }
        file.close();
        holds = "metadata that cannot be used (metadata of a mirror without a valid superblock)";
    }
    CHECK(s.bench.run_as(run_clpmdinit, {"--create", "normal", "md1"}, "y\n") == 4);
    CHECK_THAT(s.bench.err, Catch::Contains("metadata device " + s.metadata + " holds " + holds));
    CHECK_THAT(s.bench.err, Catch::Contains("kagami mirror init md1"));
    CHECK(s.bench.run_typing({"mirror", "init", "md1"}, "no\n") == 1);
    CHECK_THAT(s.bench.err, Catch::Contains("This overwrites " + holds + "."));
    CHECK(s.bench.run({"mirror", "init", "md1", "--yes", "md1"}) == 0);
}

TEST_CASE("metadata of another mirror say nothing about the data: those are looked at") {
    Stage s;
    REQUIRE(s.bench.run({"mirror", "init", "md1", "--yes", "md1"}) == 0);
    s.put_on_data(0, kXfs);
    CHECK(s.bench.run({"mirror", "init", "md1", "--yes", "md1"}) == 0);  // its own: the data are the mirror's
    s.daemon.answers.status.mutable_mirrors(0)->set_uuid("03030303-0303-0303-0303-030303030303");
    CHECK(s.bench.run({"mirror", "init", "md1", "--yes", "md1"}) == 4);
    CHECK_THAT(s.bench.err, Catch::Contains("an xfs file system"));
}

TEST_CASE("without a daemon the mirror commands say so") {
    Bench bench;
    CHECK(bench.run({"mirror", "status"}) == 7);
    CHECK(bench.run({"mirror", "cancel", "md1"}) == 7);
    CHECK(bench.run({"mirror", "init", "md1", "--yes", "md1"}) == 7);
    CHECK(bench.run_as(run_clpmdstat, {"-l"}) == 7);
    CHECK(bench.run_as(run_clpmdctrl, {"-b", "md1"}) == 7);
    CHECK(bench.run_as(run_clpmdinit, {"--create", "quick", "md1"}, "y\n") == 7);
    CHECK(bench.run({"mirror", "check", "md1"}) == 3);  // no configuration either
    CHECK(bench.err.find("there is no configuration on this machine") != std::string::npos);
}
