#include "cluster-daemon/runtime/daemon/mirror_view.h"

#include <catch2/catch.hpp>

#include "proto/control.pb.h"
#include "tests/unit/daemon/sample.h"

using namespace kagami;
using namespace kagami::runtime;
using namespace kagami::mirror;
namespace proto = control::v1;

namespace {

constexpr Instant kNow{1000s};
constexpr NodeId kNode1{1}, kNode2{2};

std::shared_ptr<const config::Config> mirrored_config() {
    config::Bundle bundle;
    bundle.text = R"(
[cluster]
name = "sample"
[[network]]
name = "net1"
[[network]]
name = "link"
use = ["mirror"]
[[node]]
name = "node1"
address = { net1 = "10.0.1.1", link = "10.0.3.1" }
[[node]]
name = "node2"
address = { net1 = "10.0.1.2", link = "10.0.3.2" }
[arbitration]
option = "tie"
[[group]]
name = "db"
nodes = ["node1", "node2"]
[[group.resource]]
type = "md"
name = "md1"
data = "/dev/sdb1"
metadata = "/dev/sdb2"
mount = "/mnt/db"
)";
    const auto packed = config::pack(bundle);
    REQUIRE(packed);
    const auto config = parse_packed(*packed);
    REQUIRE(config != nullptr);
    return config;
}

Report report_of(Role role, uint64_t nonce) {
    Report report;
    report.mirror = "md1";
    report.role = role;
    report.disk = DiskState::kConsistent;
    report.mode = role == Role::kPrimary ? Mode::kConnected : Mode::kIdle;
    report.nonce = Nonce{nonce};
    report.generation = {7, Uuid{0x3f}};
    report.size_bytes = 1 << 20;
    report.connected = true;
    return report;
}

// Both copies current, in use on node1; node1 answers.
struct Sample {
    Sample() {
        engine::Snapshot& s = input.snapshot;
        input.now = kNow;
        s.config = mirrored_config();
        s.self = {kNode1, BootId{1}};
        s.quorum = true;
        record().uuid = Uuid{9};
        record().generation = {7, Uuid{0x3f}};
        record().replicas[kNode1] = {Nonce{11}, {}, Standing::kCurrent};
        record().replicas[kNode2] = {Nonce{22}, {}, Standing::kCurrent};
        reports[kNode1].mirrors = {report_of(Role::kPrimary, 11)};
        reports[kNode2].mirrors = {report_of(Role::kSecondary, 22)};
    }
    Record& record() { return input.snapshot.document.mirrors["md1"]; }
    Report& report(NodeId node) { return reports[node].mirrors[0]; }
    proto::Mirror shown() const {
        const config::Group& group = input.snapshot.config->groups[0];
        const auto find = [&](NodeId node) {
            const auto at = reports.find(node);
            return at == reports.end() ? nullptr : &at->second;
        };
        proto::Mirror mirror;
        fill_mirror(input, group, group.resources[0], find, mirror);
        return mirror;
    }
    StatusInput input;
    std::map<NodeId, engine::NodeReport> reports;
};

}  // namespace

TEST_CASE("two current copies are GREEN and the mirror is Normal, with everything the configuration says") {
    const proto::Mirror mirror = Sample().shown();
    CHECK(mirror.state() == "Normal");
    CHECK(mirror.message().empty());
    CHECK(mirror.generation().starts_with("7:3f"));
    CHECK(mirror.primary() == "node1");
    CHECK(mirror.connected());
    CHECK(mirror.mount() == "/mnt/db");
    CHECK(mirror.size_bytes() == 1 << 20);
    REQUIRE(mirror.copies_size() == 2);
    CHECK(mirror.copies(0).colour() == "GREEN");
    CHECK(mirror.copies(0).mode() == "connected");
    CHECK(mirror.copies(1).colour() == "GREEN");
    CHECK(mirror.copies(1).mode().empty());
    CHECK(mirror.copies(1).metadata() == "/dev/sdb2");
    REQUIRE(mirror.connects_size() == 1);  // the network with use = ["mirror"] alone
    CHECK(mirror.connects(0).addresses(1) == "10.0.3.2");
    CHECK(mirror.connects(0).state() == "Unknown");
    CHECK_FALSE(mirror.has_resync());
}

TEST_CASE("each state of a copy has its colour and its word") {
    Sample s;
    const char* colour = "";
    const char* state = "Abnormal";
    SECTION("its node is not heard") {
        s.reports.erase(kNode2);
        colour = "GRAY", state = "Unknown";
    }
    SECTION("its driver has nothing attached") {
        s.report(kNode2).disk = DiskState::kNone;
        colour = "GRAY", state = "Unknown";
    }
    SECTION("its driver has not reported it") {
        s.reports[kNode2].mirrors.clear();
        colour = "GRAY", state = "Unknown";
    }
    SECTION("behind, or not the disk that it was") {
        s.record().replicas[kNode2].standing = GENERATE(Standing::kStale, Standing::kSuspect);
        colour = "RED";
    }
    SECTION("failed, whatever the register still says") {
        s.report(kNode2).disk = DiskState::kFailed;
        colour = "RED";
    }
    SECTION("copied to") {
        s.record().replicas[kNode2].standing = Standing::kStale;
        s.report(kNode2).resync = Resync::kTarget;
        colour = "YELLOW", state = "Recovering";
    }
    SECTION("its disk is not the one of the register") {
        s.report(kNode2).nonce = Nonce{33};
        colour = "ORANGE", state = "Uncertain";
    }
    SECTION("the document may be an old one") {
        s.input.snapshot.quorum = false;
        colour = "ORANGE", state = "Uncertain";
    }
    SECTION("never built") {
        s.record().replicas[kNode2].standing = Standing::kUnbuilt;
        state = "No Construction";
    }
    const proto::Mirror mirror = s.shown();
    CHECK(mirror.copies(1).colour() == colour);
    CHECK(mirror.copies(1).state() == state);
    CHECK(mirror.state() == (mirror.has_resync() ? "Recovering" : "Abnormal"));
    CHECK_FALSE(mirror.message().empty());
}

TEST_CASE("a disk whose new nonce is about to be settled is the one of the register") {
    Sample s;
    s.record().replicas[kNode2] = {Nonce{22}, Nonce{23}, Standing::kCurrent};
    s.report(kNode2).nonce = Nonce{23};
    CHECK(s.shown().copies(1).colour() == "GREEN");
}

TEST_CASE("a mirror that was never constructed names the disk that it waits for") {
    Sample s;
    s.record().generation = {};
    s.report(kNode1).disk = DiskState::kNew;
    s.reports.erase(kNode2);
    const proto::Mirror mirror = s.shown();
    CHECK(mirror.state() == "No Construction");
    CHECK(mirror.message() == "has not been constructed: waits for node2's disk");
    CHECK(mirror.generation().empty());
    s.input.snapshot.document.mirrors.clear();  // the document does not even name it yet
    CHECK(s.shown().state() == "No Construction");
    CHECK(s.shown().uuid().empty());
}

TEST_CASE("a resync shows its direction from either side's report, and numbers where they are known") {
    Sample s;
    s.record().replicas[kNode2].standing = Standing::kStale;
    s.report(kNode1).percent = 43;
    SECTION("only the target's report is known") {
        s.report(kNode2).resync = Resync::kTarget;
        s.report(kNode2).percent = 42;
    }
    SECTION("both") {
        s.report(kNode1).resync = Resync::kSource;
        s.report(kNode2).resync = Resync::kTarget;
        s.report(kNode2).percent = 42;
    }
    proto::Mirror mirror = s.shown();
    REQUIRE(mirror.has_resync());
    CHECK(mirror.state() == "Recovering");
    CHECK(mirror.resync().from() == "node1");
    CHECK(mirror.resync().to() == "node2");
    CHECK(mirror.resync().percent() == (s.report(kNode1).resync == Resync::kSource ? 43 : 42));
    CHECK(mirror.resync().elapsed_ms() == -1);
    auto& detail = s.input.mirrors["md1"];
    detail.report.resync = Resync::kSource;
    detail.full = true;
    detail.done_bytes = 44;
    detail.total_bytes = 100;
    detail.elapsed = 4s;
    detail.remaining = -1s;
    detail.stall = "the peer's disk does not keep up";
    detail.network = "link";
    detail.front_end = "fuse-loop";
    mirror = s.shown();
    CHECK(mirror.resync().kind() == "full");
    CHECK(mirror.resync().done_bytes() == 44);
    CHECK(mirror.resync().percent() == 44);
    CHECK(mirror.resync().elapsed_ms() == 4000);
    CHECK(mirror.resync().remaining_ms() == -1);
    CHECK(mirror.resync().stall() == detail.stall);
    CHECK(mirror.connects(0).state() == "in use");
    CHECK(mirror.copies(0).front_end() == "fuse-loop");
    CHECK(mirror.copies(1).front_end().empty());  // of the other node nobody here knows it
}

TEST_CASE("what keeps a mirror from being Normal is said once, the most urgent first") {
    Sample s;
    SECTION("a person broke it") {
        s.record().hold = Hold::kBroken;
        s.record().replicas[kNode2].standing = Standing::kStale;
        CHECK(s.shown().message() == "broken by a person: nothing is replicated");
        CHECK(s.shown().remedy() == "kagami mirror rejoin md1");
    }
    SECTION("a person cancelled its resync") {
        s.record().hold = Hold::kCancelled;
        s.record().replicas[kNode2].standing = Standing::kStale;
        CHECK(s.shown().remedy() == "kagami mirror resync md1");
    }
    SECTION("writes wait") {
        s.report(kNode1).mode = Mode::kStalled;
        CHECK(s.shown().state() == "Abnormal");
        CHECK(s.shown().message().starts_with("node1 has lost the other copy"));
    }
    SECTION("the register decided against the primary") {
        s.report(kNode1).mode = Mode::kHalted;
        CHECK(s.shown().message().starts_with("node1 may acknowledge nothing any more"));
    }
    SECTION("a disk failed, in the driver's words") {
        s.report(kNode2).disk = DiskState::kFailed;
        s.report(kNode2).message = "data device /dev/sdb1: Input/output error";
        CHECK(s.shown().message() == "the disk of node2 failed: data device /dev/sdb1: Input/output error");
        CHECK(s.shown().remedy().find("kagami mirror init md1") != std::string::npos);
    }
    SECTION("no current copy is left") {
        s.record().replicas[kNode1].standing = Standing::kStale;
        s.reports.erase(kNode2);
        CHECK(s.shown().message() == "no current copy can be reached");
        CHECK(s.shown().remedy().find("kagami mirror force md1 --node NODE") != std::string::npos);
    }
}

TEST_CASE("words of a driver that are not UTF-8 do not cost the status") {
    Sample s;
    s.report(kNode2).message = "M\xfcller";
    s.input.mirrors["md1"].peer_message = "\xff";
    const proto::Mirror mirror = s.shown();
    CHECK(mirror.copies(1).message() == "M?ller");
    CHECK(proto::Mirror().ParseFromString(mirror.SerializeAsString()));
}

TEST_CASE("the status lists mirrors, why explains one, and what is wrong is an alert") {
    Sample s;
    proto::WhyAnswer well;
    explain_mirror(s.shown(), well);
    CHECK(well.state() == "Normal on node1");
    CHECK(well.sentence() == "Both copies are current; every write needs both.");
    s.record().replicas[kNode2].standing = Standing::kStale;
    s.input.snapshot.own_report = s.reports[kNode1];
    s.input.timing = engine::Timing::derive({});
    proto::Status status;
    build_status(s.input, status);
    REQUIRE(status.mirrors_size() == 1);
    CHECK(status.mirrors(0).copies(1).colour() == "GRAY");
    const auto about = [](const proto::Alert& alert) { return alert.subject() == "mirror md1"; };
    CHECK(std::any_of(status.alerts().begin(), status.alerts().end(), about));
    proto::WhyAnswer answer;
    REQUIRE(build_why(s.input, "md1", answer));
    CHECK(answer.subject() == "mirror md1");
    CHECK(answer.state() == "Abnormal on node1");
    REQUIRE(answer.candidates_size() == 2);
    CHECK(answer.candidates(0).eligible());
    CHECK(answer.candidates(0).reason() == "its copy is current");
    CHECK_FALSE(answer.candidates(1).eligible());
    CHECK(answer.candidates(1).reason().starts_with("its copy is stale"));
}
