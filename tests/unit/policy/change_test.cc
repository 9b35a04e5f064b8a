// A configuration that changes while the cluster runs: what restarts, what is refused, what goes back by itself.
#include "common/hash.h"
#include "tests/unit/policy/asking.h"
#include "tests/unit/policy/mirrored.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

// A scene whose register puts a chosen configuration in force. Bundles are names of configurations.
struct Changing : Scene {
    explicit Changing(int nodes = 2) : Scene(nodes, {"web", "db"}) {
        group("web").resources = {resource("app")};
        group("db").resources = {resource("base")};
        document.config.packed = {0};
        document.config.hash = sha256(document.config.packed);
        known[0] = config;
        parse_config = [this](const Bytes& packed) -> std::shared_ptr<const config::Config> {
            const auto at = known.find(packed.empty() ? uint8_t{255} : packed.front());
            return at == known.end() ? nullptr : std::make_shared<const config::Config>(at->second);
        };
        run_on(n1, "web");
        run_on(n2, "db");
        rest();
    }
    config::Config& draft() { return known.try_emplace(1, config).first->second; }
    void rest() {
        std::vector<Decision> said_before;
        std::vector<std::pair<NodeId, OperatorReply>> told;
        for (int i = 0; i < 20; ++i) {
            PolicyOutput out = plan();
            said_before.insert(said_before.end(), out.decisions.begin(), out.decisions.end());
            told.insert(told.end(), out.replies.begin(), out.replies.end());
            last = out;
            if (!out.next) break;
            choose(*out.next);
            config = known.at(document.config.packed.front());
        }
        decisions = said_before;
        replies = told;
    }
    OperatorReply apply(uint32_t confirm_within = 0, uint8_t which = 1, bool force = false) {
        OperatorRequest request = request_of(OperatorVerb::kConfigApply);
        request.bundle = {which};
        request.amount = confirm_within;
        request.force = force;
        return send(request);
    }
    OperatorReply send(OperatorRequest request) {
        ask(request.verb, request.subject, request.node);
        request.id = requests.back().request.id;
        request.person = "alice";
        requests.back().request = request;
        rest();
        return last_reply();
    }
    uint64_t version() const { return document.config.version; }

    std::map<uint8_t, config::Config> known;
    PolicyOutput last;
};

// The change restarts group web.
void touch_web(config::Config& config) {
    config.groups[0].resources.push_back(resource("more"));
}

config::Node node_called(const std::string& name, uint16_t id) {
    config::Node node;
    node.name = name;
    node.id = NodeId{id};
    return node;
}

}  // namespace

TEST_CASE("a change that restarts nothing is in force at once") {
    Changing s;
    s.draft().failovers_per_hour = 3;
    const OperatorReply reply = s.apply();
    CHECK(reply.outcome == OperatorOutcome::kDone);
    CHECK(s.replies.front().second.message == "Configuration 2 is accepted: nothing restarts.");
    CHECK(s.version() == 2);
    CHECK_FALSE(s.document.pending);
    CHECK(s.owner("web") == n1);
}

TEST_CASE("a change that restarts a group stops it, is installed as a whole, and starts it where it ran") {
    Changing s;
    touch_web(s.draft());
    config::Group fresh;
    fresh.name = "new";
    fresh.nodes = {n1};
    s.draft().groups.push_back(fresh);
    s.apply();
    CHECK(s.last_reply().message == "Configuration 2 is accepted: it restarts group web.");
    CHECK(s.said(Reason::kConfigChangeBegun));
    CHECK(s.version() == 1);
    CHECK(s.entry("web").goal == Goal::kStopped);
    CHECK(s.owner("db") == n2);
    CHECK_FALSE(s.document.groups.contains("new"));
    s.report_state(n1, GroupState::kStopped, "web");
    s.rest();
    CHECK(s.version() == 2);
    CHECK(s.owner("web") == n1);
    CHECK(s.owner("new") == n1);
    CHECK_FALSE(s.document.pending);
    CHECK(s.replies.empty());
    s.report_state(n1, GroupState::kActive, "web");
    s.rest();
    CHECK(s.last_reply().outcome == OperatorOutcome::kDone);
    CHECK(s.last_reply().message == "Configuration 2 is in force.");
}

TEST_CASE("it starts where it ran although another node comes first, and elsewhere when that node is gone") {
    Changing s;
    s.draft().groups[1].resources.push_back(resource("more"));
    s.apply();
    s.report_state(n2, GroupState::kStopped, "db");
    SECTION("where it ran") {
        s.rest();
        CHECK(s.owner("db") == n2);
    }
    SECTION("elsewhere") {
        s.rest();
        s.entry("db").owner.reset();
        s.entry("db").last_owner = n2;
        s.lose(n2);
        s.rest();
        CHECK(s.owner("db") == n1);
    }
}

TEST_CASE("another leader goes on with a change in the middle") {
    Changing s;
    touch_web(s.draft());
    s.apply();
    change_leader(s, n2);
    s.rest();
    CHECK(s.entry("web").goal == Goal::kStopped);
    s.report_state(n1, GroupState::kStopped, "web");
    s.rest();
    CHECK(s.version() == 2);
    CHECK(s.owner("web") == n1);
}

TEST_CASE("another leader starts the groups of a change that was installed") {
    Changing s;
    touch_web(s.draft());
    s.apply();
    s.report_state(n1, GroupState::kStopped, "web");
    while (!(s.document.pending && s.document.pending->installed)) {
        const PolicyOutput out = s.plan();
        REQUIRE(out.next);
        s.choose(*out.next);
        s.config = s.known.at(s.document.config.packed.front());
    }
    CHECK(s.document.pending->wanted.packed.empty());
    change_leader(s, n2);
    s.rest();
    CHECK(s.owner("web") == n1);
    CHECK_FALSE(s.document.pending);
}

TEST_CASE("a group that cannot be stopped gives the change up: nothing is applied and the others run again") {
    Changing s;
    touch_web(s.draft());
    s.draft().groups[1].resources.push_back(resource("more"));
    s.apply();
    s.report_state(n1, GroupState::kStopped, "web");
    s.rest();
    CHECK(s.version() == 1);
    s.report_state(n2, GroupState::kStopFailed, "db");
    s.rest();
    CHECK(s.version() == 1);
    CHECK_FALSE(s.document.pending);
    CHECK(s.said(Reason::kConfigRefused));
    CHECK(s.last_reply().outcome == OperatorOutcome::kFailed);
    CHECK(s.last_reply().message == "The configuration was not applied: group db could not be stopped on node2.");
    CHECK(s.owner("web") == n1);
    CHECK(s.entry("db").stop_failed);
    CHECK(s.apply().message == "group db could not be stopped on node2, and the change restarts it");
}

TEST_CASE("a group that does not stop in time gives the change up and starts again once it has stopped") {
    Changing s;
    touch_web(s.draft());
    s.apply();
    s.now += 1h;
    s.rest();
    CHECK(s.version() == 1);
    CHECK(s.last_reply().message == "The configuration was not applied: group web did not stop in time.");
    s.report_state(n1, GroupState::kStopped, "web");
    s.rest();
    CHECK(s.owner("web") == n1);
    CHECK(s.entry("web").goal == Goal::kStarted);
}

TEST_CASE("a group whose node is lost while it stops gives the change up, and fails over") {
    Changing s;
    s.draft().groups[1].resources.push_back(resource("more"));
    s.apply();
    s.lose(n2);
    s.rest();
    CHECK(s.version() == 1);
    CHECK_FALSE(s.document.pending);
    CHECK(s.last_reply().message == "The configuration was not applied: group db was lost with node2.");
    CHECK(s.owner("db") == n1);
}

TEST_CASE("a cluster that is being stopped gives the change up") {
    Changing s;
    touch_web(s.draft());
    s.apply();
    s.ask(OperatorVerb::kClusterStop);
    s.rest();
    CHECK_FALSE(s.document.pending);
    CHECK(s.version() == 1);
}

TEST_CASE("a removed group is stopped first, then removed") {
    Changing s;
    s.draft().groups.erase(s.draft().groups.begin());
    s.draft().monitors.clear();
    s.apply();
    CHECK(s.last_reply().message == "Configuration 2 is accepted: it stops group web for good.");
    CHECK(s.document.groups.contains("web"));
    s.report_state(n1, GroupState::kStopped, "web");
    s.rest();
    CHECK_FALSE(s.document.groups.contains("web"));
    CHECK(s.last_reply().outcome == OperatorOutcome::kDone);
}

TEST_CASE("a group that may no longer run on its node goes to one of its nodes") {
    Changing s;
    s.draft().groups[0].nodes = {n2};
    s.apply();
    CHECK(s.last_reply().message == "Configuration 2 is accepted: it restarts group web.");
    s.report_state(n1, GroupState::kStopped, "web");
    s.rest();
    CHECK(s.owner("web") == n2);
}

TEST_CASE("a stopped group is not started by a change") {
    Changing s;
    s.send(request_of(OperatorVerb::kGroupStop, "web"));
    s.report_state(n1, GroupState::kStopped, "web");
    s.rest();
    touch_web(s.draft());
    CHECK(s.apply().outcome == OperatorOutcome::kDone);
    CHECK(s.replies.front().second.message == "Configuration 2 is accepted: nothing restarts.");
    CHECK(s.owner("web") == kNobody);
    CHECK(s.entry("web").held);
}

TEST_CASE("while a change restarts groups, another change and commands about these groups are refused") {
    Changing s;
    touch_web(s.draft());
    s.apply();
    CHECK(s.apply().message == "another change of the configuration is being carried out");
    for (const OperatorVerb verb : {OperatorVerb::kGroupStart, OperatorVerb::kGroupMove}) {
        const OperatorReply reply = s.send(request_of(verb, "web"));
        CHECK(reply.outcome == OperatorOutcome::kRefused);
        CHECK(reply.message == "group web is being restarted for a new configuration");
    }
    s.send(request_of(OperatorVerb::kGroupStop, "web"));  // a person may hold it
    s.report_state(n1, GroupState::kStopped, "web");
    s.rest();
    CHECK(s.version() == 2);
    CHECK(s.owner("web") == kNobody);
    CHECK(s.entry("web").held);
}

TEST_CASE("a start that fails under the new configuration is told, with the way back") {
    Changing s;
    touch_web(s.draft());
    s.apply();
    s.report_state(n1, GroupState::kStopped, "web");
    s.rest();
    s.report_state(n1, GroupState::kStartFailed, "web");
    s.reported(n1, "web").cause = "resource more: exit status 1";
    s.rest();
    CHECK(s.last_reply().outcome == OperatorOutcome::kFailed);
    CHECK(s.last_reply().message.find("is in force, but group web could not be started again") != std::string::npos);
    CHECK(s.last_reply().remedy.find("kagami config rollback") != std::string::npos);
}

TEST_CASE("a change is refused while a group that it restarts is moving or not heard of") {
    Changing s;
    touch_web(s.draft());
    s.entry("web").goal = Goal::kStopped;
    s.entry("web").target = n2;
    CHECK(s.apply().message == "group web is being moved, and the change restarts it");
    s.entry("web").goal = Goal::kStarted;
    s.entry("web").target = kNobody;
    s.entry("web").owner = Incarnation{n2, s.boots[n2]};
    s.silence(n2);
    s.now += s.timing.detect;
    CHECK(s.apply().message == "group web may still run on node2, which is not heard, and the change restarts it");
}

TEST_CASE("what the daemons rest on is refused with its reason") {
    Changing s;
    s.draft().timing.hold = 9s;
    CHECK(s.apply().message ==
          "cluster.lease cannot be changed while the cluster runs: every lease that is in force was given under the "
          "present value");
    s.known.erase(1);
    s.draft().nodes[0].address["net1"] = "10.0.0.1";
    CHECK(s.apply().message.find("node.node1.address.net1 cannot be changed while the cluster runs: the nodes find") ==
          0);
    s.known.erase(1);
    s.draft().arbitration.option = config::ArbitrationOption::kTie;
    CHECK(s.apply().message.find("arbitration.") == 0);
    CHECK(s.last_reply().outcome == OperatorOutcome::kRefused);
    CHECK_FALSE(s.last_reply().remedy.empty());
}

// ---- confirmation ----

TEST_CASE("a configuration that is not confirmed goes back by itself") {
    Changing s;
    s.draft().failovers_per_hour = 3;
    CHECK(s.apply(20).message ==
          "Configuration 2 is in force. It goes back in 20 s unless you confirm it: `kagami config confirm`.");
    REQUIRE(s.document.unconfirmed);
    CHECK(s.document.unconfirmed->previous.version == 1);
    CHECK(s.said(Reason::kConfigUnconfirmed));
    CHECK(s.apply().message == "configuration 2 has not been confirmed yet");
    for (int i = 0; i < 3; ++i) {
        s.now += 5s;
        s.rest();
        CHECK(s.version() == 2);
        if (i == 1) change_leader(s, n2);
        if (i == 1) s.rest();
    }
    s.now += 5s;
    s.rest();
    CHECK(s.version() == 3);
    CHECK(s.document.config.packed == Bytes{0});
    CHECK(s.document.config.hash == sha256(Bytes{0}));
    CHECK_FALSE(s.document.unconfirmed);
    CHECK(s.sentence(Reason::kConfigWentBack) ==
          "Configuration 2 was not confirmed in time: configuration 1 is in force again, as 3.");
}

TEST_CASE("a confirmed configuration stays") {
    Changing s;
    s.draft().failovers_per_hour = 3;
    CHECK(s.send(request_of(OperatorVerb::kConfigConfirm)).message == "configuration 1 needs no confirmation");
    s.apply(60);
    CHECK(s.send(request_of(OperatorVerb::kConfigConfirm)).message == "Configuration 2 stays in force.");
    CHECK(s.said(Reason::kConfigConfirmed));
    s.now += 1h;
    s.rest();
    CHECK(s.version() == 2);
    CHECK(s.send(request_of(OperatorVerb::kConfigConfirm)).outcome == OperatorOutcome::kRefused);
}

TEST_CASE("what restarted a group restarts it again when it goes back") {
    Changing s;
    touch_web(s.draft());
    s.apply(10);
    s.report_state(n1, GroupState::kStopped, "web");
    s.rest();
    s.report_state(n1, GroupState::kActive, "web");
    s.rest();
    CHECK(s.version() == 2);
    for (int i = 0; i < 2; ++i) {
        s.now += 5s;
        s.rest();
    }
    REQUIRE(s.document.pending);
    CHECK(s.document.pending->goes_back);
    CHECK(s.send(request_of(OperatorVerb::kConfigConfirm)).message ==
          "it is too late: the former configuration comes back");
    s.report_state(n1, GroupState::kStopped, "web");
    s.rest();
    CHECK(s.version() == 3);
    CHECK(s.document.config.packed == Bytes{0});
    CHECK(s.owner("web") == n1);
    CHECK_FALSE(s.document.pending);
}

TEST_CASE("a person may go back at once, while another configuration waits for confirmation") {
    Changing s;
    s.draft().failovers_per_hour = 3;
    s.apply(60);
    CHECK(s.apply(0, 0).outcome == OperatorOutcome::kDone);
    CHECK(s.version() == 3);
    CHECK(s.document.config.packed == Bytes{0});
    CHECK_FALSE(s.document.unconfirmed);
}

TEST_CASE("times to confirm that are foolish are refused") {
    Changing s;
    s.draft().failovers_per_hour = 3;
    CHECK(s.apply(5).message == "the time to confirm a configuration is 10 s at least and a day at most");
    CHECK(s.apply(100000).code == static_cast<uint8_t>(ErrorCode::kUsage));
    CHECK(s.version() == 1);
}

TEST_CASE("a configuration that would not fit beside the former one is refused") {
    Changing s;
    s.draft().failovers_per_hour = 3;
    s.document.config.packed.resize(150000);
    OperatorRequest request = request_of(OperatorVerb::kConfigApply);
    request.bundle = Bytes(100000, 1);
    request.amount = 60;
    CHECK(s.send(request).remedy == "apply it without --confirm-within");
    request.amount = 0;
    CHECK(s.send(request).message == "Configuration 2 is in force.");
}

// ---- nodes ----

TEST_CASE("a node is added while the cluster runs: absent until it joins") {
    Changing s;
    s.draft().nodes.push_back(node_called("node3", 3));
    CHECK(s.apply(60).message.find("a change of the nodes cannot wait for a confirmation") == 0);
    CHECK(s.apply().outcome == OperatorOutcome::kDone);
    CHECK(s.said(Reason::kNodeAdded));
    REQUIRE(s.document.nodes.contains(n3));
    CHECK(s.node(n3).state == NodeState::kAbsent);
    s.boots[n3] = boot_of(n3);
    s.alive.insert(n3);
    s.rest();
    CHECK(s.node(n3).state == NodeState::kMember);
}

TEST_CASE("a node is removed once it has left; the others keep their numbers") {
    Changing s(3);
    s.draft().nodes.erase(s.draft().nodes.begin() + 1);
    s.draft().groups[0].nodes = s.draft().groups[1].nodes = {n1, n3};
    CHECK(s.apply().message == "node2 is still in the cluster and cannot be removed from it");
    s.send(request_of(OperatorVerb::kNodeShutdown, "node2"));
    s.leaving.insert(n2);
    s.report_state(n2, GroupState::kStopped, "db");
    s.rest();
    s.report_state(n1, GroupState::kActive, "db");
    s.silence(n2);
    s.rest();
    REQUIRE(s.node(n2).state == NodeState::kLeft);
    CHECK(s.apply().outcome == OperatorOutcome::kDone);
    CHECK_FALSE(s.document.nodes.contains(n2));
    CHECK(s.said(Reason::kNodeRemoved));
    CHECK(s.document.nodes.contains(n3));
    CHECK(s.owner("web") == n1);
}

TEST_CASE("a node that is lost is removed only on a person's word, and a group on it is asked about") {
    Changing s(3);
    s.draft().nodes.erase(s.draft().nodes.begin() + 2);
    s.draft().groups[0].nodes = s.draft().groups[1].nodes = {n1, n2};
    s.lose(n3);
    s.rest();
    const OperatorReply lost = s.apply();
    CHECK(lost.message == "node3 is still in the cluster and cannot be removed from it");
    CHECK(lost.remedy.find("--confirm-down node3") != std::string::npos);
    s.send(request_of(OperatorVerb::kConfirmDown, "node3"));
    CHECK(s.apply().outcome == OperatorOutcome::kDone);
    CHECK_FALSE(s.document.nodes.contains(n3));
}

TEST_CASE("a node that was confirmed down and is heard again is not removed") {
    Changing s(3);
    s.draft().nodes.erase(s.draft().nodes.begin() + 2);
    s.draft().groups[0].nodes = s.draft().groups[1].nodes = {n1, n2};
    s.node(n3).state = NodeState::kFenced;
    const OperatorReply refused = s.apply();
    CHECK(refused.message == "node3 was confirmed down and is heard all the same: it is not removed");
    CHECK(s.document.nodes.contains(n3));
}

TEST_CASE("a removed node must not renumber the others, and a number is not given to another node") {
    Changing s(3);
    s.node(n2).state = NodeState::kLeft;
    s.silence(n2);
    s.draft().nodes.erase(s.draft().nodes.begin() + 1);
    s.draft().nodes[1].id = n2;  // as the position says: node3 would become 2
    const OperatorReply reply = s.apply();
    CHECK(reply.outcome == OperatorOutcome::kRefused);
    s.known.erase(1);
    s.draft().nodes[1].name = "fresh";
    s.draft().nodes[1].id = n2;
    CHECK(s.apply().message == "node node2 has the number 2, which the change gives to fresh");
    CHECK(s.last_reply().remedy.find("`id = 2` for node2") != std::string::npos);
}

TEST_CASE("a change that needs a node which is away is refused, unless it goes without it") {
    Changing s(3);
    s.draft().failovers_per_hour = 3;
    s.lose(n3);
    s.rest();
    CHECK(s.apply().remedy == "bring it back, or apply with --without node3");
    CHECK(s.apply(0, 1, true).outcome == OperatorOutcome::kDone);
}

TEST_CASE("monitors that are gone leave nothing behind") {
    Changing s;
    config::Monitor monitor;
    monitor.type = "dummy";
    monitor.name = "m1";
    monitor.values[n1];
    s.config.monitors.push_back(monitor);
    s.known[0] = s.config;
    s.send(request_of(OperatorVerb::kMonitorSuspend, "m1"));
    REQUIRE(s.document.monitors.contains("m1"));
    s.draft().monitors.clear();
    s.apply();
    CHECK(s.version() == 2);
    CHECK(s.document.monitors.empty());
}
