#include "cluster-daemon/runtime/daemon/doctor.h"

#include <sys/stat.h>
#include <catch2/catch.hpp>

#include <algorithm>

#include "common/files.h"
#include "proto/control.pb.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/daemon/healthy.h"

using namespace kagami;
using namespace kagami::runtime;
using namespace kagami::testing;
namespace proto = control::v1;

namespace {

constexpr int64_t kWall = 1'700'000'000'000;
constexpr int64_t kYearMs = int64_t{365} * 24 * 60 * 60 * 1000;

DoctorFacts well() {
    DoctorFacts facts;
    facts.status = healthy();
    facts.status.unix_ms = kWall;
    facts.status.guard.watchdog = "hardware: iTCO_wdt";
    facts.status.guard.watchdog_tested = true;
    facts.machine.memory_total_mib = 8000;
    facts.machine.memory_free_mib = 4000;
    facts.machine.disk_total_mib = 20000;
    facts.machine.disk_free_mib = 10000;
    facts.machine.panic = 10;
    facts.machine.panic_on_oops = 1;
    facts.machine.files = {{"/etc/kagami/pki/node.key", true, true, 0600, 0}};
    facts.certificate_until_unix_ms = kWall + kYearMs;
    PeerHealth& other = facts.others[NodeId{2}];
    other.binary_version = KAGAMI_VERSION;
    const Hash& hash = facts.status.snapshot.document.config.hash;
    other.configuration_hash = to_hex(hash.data(), hash.size());
    other.guard_alive = other.guard_armed = true;
    other.unix_ms = kWall + 5;
    other.asked_unix_ms = kWall;
    other.answered_unix_ms = kWall + 10;
    other.certificate_until_unix_ms = kWall + kYearMs;
    return facts;
}

proto::DoctorAnswer examined(const DoctorFacts& facts) {
    proto::DoctorAnswer answer;
    examine(facts, answer);
    return answer;
}

// The one finding of a check that is not OK; its severity is empty when there is none.
proto::Finding finding(const DoctorFacts& facts, const std::string& check) {
    const proto::DoctorAnswer answer = examined(facts);
    for (const auto& each : answer.findings()) {
        if (each.check() == check && each.severity() != "OK") return each;
    }
    return {};
}

}  // namespace

TEST_CASE("where all is well the doctor says so, check by check") {
    const proto::DoctorAnswer answer = examined(well());
    for (const auto& each : answer.findings()) {
        INFO(each.check() << ": " << each.message());
        CHECK(each.severity() == "OK");
    }
    CHECK(answer.findings_size() >= 12);
}

TEST_CASE("what is worst stands first, and everything that is not OK has a remedy") {
    DoctorFacts facts = well();
    facts.machine.panic_on_oops = 0;
    facts.machine.memory_free_mib = 10;
    facts.machine.script_helper = false;
    const proto::DoctorAnswer answer = examined(facts);
    CHECK(answer.findings(0).severity() == "ERROR");
    CHECK(answer.findings(1).severity() == "WARN");
    CHECK(answer.findings(2).severity() == "INFO");
    for (const auto& each : answer.findings()) CHECK((each.severity() == "OK") == each.remedy().empty());
}

TEST_CASE("the alerts of the status are findings") {
    DoctorFacts facts = well();
    facts.status.snapshot.document.failover.on = false;
    CHECK(finding(facts, "cluster").severity() == "WARN");
    facts.status.guard.alive = false;
    CHECK(finding(facts, "guard").severity() == "ERROR");
}

TEST_CASE("a clock that is off is found, one that the answer's way explains is not") {
    DoctorFacts facts = well();
    facts.others[NodeId{2}].unix_ms = kWall + 7205;
    CHECK(finding(facts, "clock").message() ==
          "the clock of node2 is 7.2 s ahead of this node's: the order of their log lines is wrong");
    facts.others[NodeId{2}].unix_ms = kWall - 7205;
    CHECK(finding(facts, "clock").message().find("behind this node's") != std::string::npos);
    facts.others[NodeId{2}].unix_ms = kWall + 1800;
    facts.others[NodeId{2}].answered_unix_ms = kWall + 2000;
    CHECK(finding(facts, "clock").severity().empty());
    facts.machine.clock_kept = false;
    CHECK(finding(facts, "clock").severity() == "INFO");
}

TEST_CASE("another configuration, another version and a weak guard of another node are found by its name") {
    DoctorFacts facts = well();
    PeerHealth& other = facts.others[NodeId{2}];
    other.configuration_hash = "00";
    other.binary_version = "9.9.9";
    other.guard_armed = false;
    CHECK(finding(facts, "configuration").message().find("node2") == 0);
    CHECK(finding(facts, "version").message().find("node2 runs version 9.9.9") == 0);
    CHECK(finding(facts, "guard").severity() == "WARN");
    other.guard_alive = false;
    CHECK(finding(facts, "guard").severity() == "ERROR");
}

TEST_CASE("a node that does not answer is no node that is well") {
    DoctorFacts facts = well();
    facts.others.clear();
    facts.silent = {"node2"};
    CHECK(finding(facts, "node").message().find("node2 did not answer") == 0);
}

TEST_CASE("keys that others may read, and files that others may write, are errors") {
    DoctorFacts facts = well();
    facts.machine.files[0].mode = 0640;
    CHECK(finding(facts, "permissions").severity() == "ERROR");
    CHECK(finding(facts, "permissions").remedy() == "chmod go-rwx /etc/kagami/pki/node.key");
    facts.machine.files[0] = {"/etc/kagami/pki/ca.crt", false, true, 0644, 0};
    CHECK(finding(facts, "permissions").severity().empty());
    facts.machine.files[0].mode = 0664;
    CHECK(finding(facts, "permissions").remedy() == "chmod go-w /etc/kagami/pki/ca.crt");
    facts.machine.files[0] = {"/etc/kagami", false, true, 0755, 1000};
    CHECK(finding(facts, "permissions").remedy() == "chown root: /etc/kagami");
    facts.machine.files[0] = {"/etc/kagami", false, false, 0, 0};
    CHECK(finding(facts, "permissions").severity() == "WARN");
}

TEST_CASE("certificates are told in time, this node's and the others'") {
    DoctorFacts facts = well();
    facts.certificate_until_unix_ms = kWall + int64_t{10} * 24 * 60 * 60 * 1000;
    CHECK(finding(facts, "certificate").message() == "the certificate of this node expires in 10 days");
    facts.certificate_until_unix_ms = kWall - 1;
    CHECK(finding(facts, "certificate").severity() == "ERROR");
    facts = well();
    facts.others[NodeId{2}].certificate_until_unix_ms = kWall + 1;
    CHECK(finding(facts, "certificate").message().find("node2") != std::string::npos);
}

TEST_CASE("a machine that would stand still after a panic is worse without a watchdog") {
    DoctorFacts facts = well();
    facts.machine.panic = 0;
    CHECK(finding(facts, "kernel").severity() == "INFO");
    facts.status.guard.watchdog = "none";
    CHECK(finding(facts, "kernel").severity() == "WARN");
    facts.machine.panic.reset();
    CHECK(finding(facts, "kernel").severity().empty());
}

TEST_CASE("no sysrq matters only where a final action needs it") {
    DoctorFacts facts = well();
    facts.machine.sysrq_trigger = false;
    CHECK(finding(facts, "kernel").severity().empty());
    auto config = std::make_shared<config::Config>(*facts.status.snapshot.config);
    config->monitors[0].on_error.final = config::FinalAction::kReset;
    facts.status.snapshot.config = config;
    CHECK(finding(facts, "kernel").severity() == "WARN");
}

TEST_CASE("a disk that is nearly full is a danger before it is full") {
    DoctorFacts facts = well();
    facts.machine.disk_free_mib = 400;
    CHECK(finding(facts, "disk").severity() == "WARN");
    facts.machine.disk_free_mib = 3;
    CHECK(finding(facts, "disk").severity() == "ERROR");
    facts.machine.disk_total_mib = 0;  // not known
    CHECK(finding(facts, "disk").severity().empty());
}

TEST_CASE("the machine is looked at as it is") {
    const TemporaryDirectory directory;
    const std::string top = directory.path();
    REQUIRE(make_private_directory(top + "/pki").has_value());
    REQUIRE(write_file_atomically(top + "/pki/node.key", std::string_view("key"), 0644).has_value());
    const MachineFacts facts = look_at_machine({top, top, top});
    CHECK(facts.memory_total_mib > 0);
    CHECK(facts.disk_total_mib > 0);
    CHECK_FALSE(facts.script_helper);
    const auto key = std::find_if(facts.files.begin(), facts.files.end(),
                                  [&](const auto& f) { return f.path == top + "/pki/node.key"; });
    REQUIRE(key != facts.files.end());
    CHECK(key->exists);
    CHECK(key->mode == 0644);
    const auto store = std::find_if(facts.files.begin(), facts.files.end(),
                                    [&](const auto& f) { return f.path == top + "/voter.store"; });
    REQUIRE(store != facts.files.end());
    CHECK_FALSE(store->exists);
}
