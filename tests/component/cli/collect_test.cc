// `logs collect`: what is in the archive, and what must never be.
#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <map>

#include "cli/redact.h"
#include "tests/component/cli/bench.h"
#include "tests/component/cli/fake_daemon.h"

using namespace kagami::cli;

namespace {

std::map<std::string, std::string> files_in(const std::string& path) {
    std::map<std::string, std::string> files;
    archive* in = archive_read_new();
    archive_read_support_filter_gzip(in);
    archive_read_support_format_tar(in);
    REQUIRE(archive_read_open_filename(in, path.c_str(), 65536) == ARCHIVE_OK);
    for (archive_entry* entry = nullptr; archive_read_next_header(in, &entry) == ARCHIVE_OK;) {
        const std::string name = archive_entry_pathname(entry);
        std::string content(static_cast<size_t>(archive_entry_size(entry)), '\0');
        CHECK(archive_read_data(in, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
        files[name.substr(name.find('/') + 1)] = content;
    }
    archive_read_free(in);
    return files;
}

std::string path_in(const std::string& out) {
    return out.substr(0, out.find('\n'));
}

struct Machine {
    Bench bench;
    Machine() {
        bench.write("etc/pki/node.key", "PRIVATE-KEY-OF-THE-NODE");
        bench.write("etc/pki/ca.key", "PRIVATE-KEY-OF-THE-CA");
        bench.write("state/voter.store", "MEMORY-OF-THE-VOTER");
        bench.write("state/active/cluster.toml", kValidToml + "password = \"HORSE-BATTERY\"\n");
        bench.write("state/active/scripts/web/thing/start.sh", "#!/bin/sh\nPGPASSWORD=STAPLE\n");
        bench.write("state/log/web.thing.log", "the service says hello\n");
        std::filesystem::create_directories(bench.root / "out");
    }
    std::map<std::string, std::string> collect(std::vector<std::string> more = {}) {
        more.insert(more.begin(), {"logs", "collect", "-o", bench.root / "out"});
        REQUIRE(bench.run(more) == 0);
        return files_in(path_in(bench.out));
    }
};

void check_no_secret(const std::map<std::string, std::string>& files) {
    for (const auto& [name, content] : files) {
        INFO(name);
        for (const char* secret : {"PRIVATE-KEY", "MEMORY-OF-THE-VOTER", "HORSE-BATTERY"})
            CHECK(content.find(secret) == std::string::npos);
    }
}

}  // namespace

TEST_CASE("an archive holds what the daemon and the machine tell, and no secret") {
    Machine machine;
    FakeDaemon daemon(machine.bench.places.socket);
    daemon.answers.status.set_cluster_name("demo");
    pb::LogEntry entry;
    entry.set_message("is lost");
    daemon.answers.log = {entry};
    const auto files = machine.collect();
    check_no_secret(files);
    CHECK(files.at("status.json").find("\"demo\"") != std::string::npos);
    CHECK(files.at("status.txt").starts_with("Cluster demo"));
    CHECK(files.at("events.txt").find("is lost") != std::string::npos);
    CHECK(files.at("services/web.thing.log") == "the service says hello\n");
    CHECK(files.at("configuration/in-force/cluster.toml").find("password = \"(removed)\"") != std::string::npos);
    CHECK(files.at("configuration/in-force/scripts.txt").find("web/thing/start.sh") != std::string::npos);
    CHECK_FALSE(files.contains("configuration/in-force/scripts/web/thing/start.sh"));
    CHECK(files.at("machine/proc-version").starts_with("Linux"));
    CHECK(files.at("files/etc.txt").find("pki/node.key") != std::string::npos);
    CHECK(files.at("contents.txt").find("statistics.json: not there: ") != std::string::npos);
    struct stat about{};
    REQUIRE(::stat(path_in(machine.bench.out).c_str(), &about) == 0);
    CHECK((about.st_mode & 0777U) == 0600U);
}

TEST_CASE("without a daemon the archive holds what is there") {
    Machine machine;
    const auto files = machine.collect();
    check_no_secret(files);
    CHECK(files.at("contents.txt").find("status.json: not there: the cluster daemon does not run") !=
          std::string::npos);
    CHECK(files.at("doctor.txt").find("ERROR  daemon: ") != std::string::npos);
    CHECK(files.contains("services/web.thing.log"));
}

TEST_CASE("scripts go in only when they are asked for") {
    Machine machine;
    const auto files = machine.collect({"--with-scripts"});
    CHECK(files.at("configuration/in-force/scripts/web/thing/start.sh").find("STAPLE") != std::string::npos);
}

TEST_CASE("an archive that cannot be written is a failure, and nothing is left") {
    Machine machine;
    CHECK(machine.bench.run({"logs", "collect", "-o", machine.bench.root / "missing"}) == 3);
    CHECK(machine.bench.err.find("is not a directory") != std::string::npos);
    CHECK(machine.bench.out.empty());
}

TEST_CASE("a link in the place of a log is not followed") {
    Machine machine;
    std::filesystem::create_symlink(machine.bench.root / "etc/pki/node.key", machine.bench.root / "state/log/x.log");
    check_no_secret(machine.collect());
}

TEST_CASE("secrets of a configuration are removed, whatever form they have") {
    CHECK(without_secrets("user = \"me\"\npassword = \"a\\\"b\" # comment\nx = 1\n") ==
          "user = \"me\"\npassword = \"(removed)\" # comment\nx = 1\n");
    CHECK(without_secrets("mail = { user = \"me\", smtp_password = 'word', port = 25 }") ==
          "mail = { user = \"me\", smtp_password = \"(removed)\", port = 25 }");
    CHECK(without_secrets("secret = \"\"\"one\ntwo\"\"\"\nx = 1") == "secret = \"(removed)\"\nx = 1");
    CHECK(without_secrets("tokens = [\"a]\", \"b\"]\nx = 1") == "tokens = \"(removed)\"\nx = 1");
    CHECK(without_secrets("\"bmc-Password\"=word\nx = 1") == "\"bmc-Password\"=\"(removed)\"\nx = 1");
    CHECK(without_secrets("bmc.password = \"unfinished\nx = 1") == "bmc.password = \"(removed)\"\nx = 1");
    CHECK(without_secrets("password =") == "password =\"(removed)\"");
    CHECK(without_secrets("#password = \"old\"\n") == "#password = \"(removed)\"\n");
    CHECK(without_secrets("url = \"https://me:word@host:8080/hook/T0P?x=1\"") ==
          "url = \"https://(removed)@host:8080/(removed)\"");
    CHECK(without_secrets("url = \"http://host/\"") == "url = \"http://host/\"");
    CHECK(without_secrets(kValidToml) == kValidToml);
}

TEST_CASE("the doctor looks at this machine's files when no daemon answers") {
    Machine machine;
    CHECK(machine.bench.run({"doctor"}) == 7);
    for (const char* text :
         {"ERROR  daemon: ", "ca.crt is not there", "OK     store: ", "guard.page is not there", "1 warning"}) {
        INFO(text << "\n" << machine.bench.out);
        CHECK(machine.bench.out.find(text) != std::string::npos);
    }
    CHECK(machine.bench.run({"doctor", "--json"}) == 7);
    CHECK(machine.bench.out.find("kagami.doctor/1") != std::string::npos);
}
