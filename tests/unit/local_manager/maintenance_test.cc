#include "tests/unit/local_manager/bench.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

constexpr Maintenance kObserve{MaintenanceKind::kObserve, 30};

size_t count(const Bench& b, Reason reason) {
    return static_cast<size_t>(std::count_if(b.decisions.begin(), b.decisions.end(),
                                             [&](const Decision& d) { return d.reason == reason; }));
}

void restart_daemon(Bench& b) {
    const auto durable = b.manager.groups();
    b.manager = LocalManager();
    b.manager.restore(durable, true);
    b.running.clear();
    b.checks.clear();
    b.history.clear();
    b.manager.on_guard(b.guard, b.input());
    b.take();
}

}  // namespace

TEST_CASE("under maintenance a monitor's recovery is told once, not done, and done afterwards") {
    Bench b;
    b.resource("app");
    b.monitor("alive", "app");
    b.run();
    b.run_until = kNever;
    std::string scope;
    SECTION("of the cluster") {
        b.document.maintenance = kObserve;
        scope = "the cluster";
    }
    SECTION("of the node") {
        b.document.nodes[b.self.node].maintenance = kObserve;
        scope = "node1";
    }
    SECTION("of the group") {
        b.document.groups["web"].maintenance = kObserve;
        scope = "group web";
    }
    for (int i = 0; i < 3; ++i) {
        b.check("alive", MonitorState::kError, "dead");
        b.pass(5s);
    }
    CHECK(b.under_way().empty());
    CHECK(count(b, Reason::kRecoveryObserved) == 1);
    CHECK(b.sentence(Reason::kRecoveryObserved) ==
          "Monitor alive would restart group web on node1, but " + scope + " is under maintenance.");
    CHECK(b.monitor_report("alive").restarts == 0);
    CHECK(b.monitor_report("alive").state == MonitorState::kError);
    b.document.maintenance = b.document.nodes[b.self.node].maintenance = b.document.groups["web"].maintenance = {};
    b.check("alive", MonitorState::kError, "dead");
    CHECK(b.under_way() == "-app");
}

TEST_CASE("a later error is told again") {
    Bench b;
    b.resource("app");
    b.monitor("alive", "app");
    b.run();
    b.run_until = kNever;
    b.document.maintenance = kObserve;
    for (const MonitorState state : {MonitorState::kError, MonitorState::kNormal, MonitorState::kError}) {
        b.check("alive", state);
        b.pass(5s);
    }
    CHECK(count(b, Reason::kRecoveryObserved) == 2);
}

TEST_CASE("under maintenance no final action is taken, and no group is stopped by one") {
    Bench b;
    config::Resource& app = b.resource("app");
    b.start();
    b.document.groups["web"].maintenance = kObserve;
    SECTION("of the node") {
        b.config.groups[0].resources[0].on_activation_failure.final = config::FinalAction::kStopAndShutdown;
    }
    SECTION("of the group") {
        b.config.groups[0].resources[0].on_activation_failure.final = config::FinalAction::kStopGroup;
    }
    (void)app;
    ++b.document.config.hash[0];
    b.advance();
    b.finish("app", false, "start.sh ended with 1");
    CHECK(b.state() == GroupState::kStartFailed);
    CHECK(b.under_way().empty());
    CHECK_FALSE(b.manager.report().leaving);
    CHECK(count(b, Reason::kRecoveryObserved) == 1);
}

TEST_CASE("a daemon that restarts under maintenance leaves an incomplete group so, until the maintenance ends") {
    Bench b;
    b.resource("app");
    b.run();
    b.document.maintenance = kObserve;
    restart_daemon(b);
    b.finish("app", true, "", ProbeResult::kInactive);
    CHECK(b.under_way().empty());
    CHECK(b.state() == GroupState::kActive);
    CHECK(b.sentence(Reason::kRecoveryObserved).find("app would be started again, but the cluster") !=
          std::string::npos);
    b.document.maintenance = {};
    b.advance();
    CHECK(b.under_way() == "?app");
    b.finish("app", true, "", ProbeResult::kInactive);
    CHECK(b.under_way() == "+app");
}

namespace {

// A node that runs `web` and that a person has taken out of the cluster's hands an hour ago.
struct Unmanaged : Bench {
    Unmanaged() {
        resource("app");
        monitor("alive", "app");
        run();
        document.nodes[self.node].maintenance = {MaintenanceKind::kUnmanaged, 90};
        unmanaged = true;
        advance();
        pass(1h);
    }
    void managed_again() {
        renew();
        unmanaged = false;
        document.nodes[self.node].maintenance = {};
        advance();
    }
};

}  // namespace

TEST_CASE("an unmanaged node guards nothing, a lease that ends ends nothing, and an error is told, not repaired") {
    Unmanaged b;
    CHECK(b.manager.guarded().empty());
    CHECK(b.state() == GroupState::kActive);
    CHECK(b.under_way().empty());
    b.check("alive", MonitorState::kError, "dead");
    CHECK(b.under_way().empty());
    CHECK(count(b, Reason::kRecoveryObserved) == 1);
}

TEST_CASE("a node that is managed again finds out by probing what runs") {
    Unmanaged b;
    b.managed_again();
    CHECK(b.manager.guarded().size() == 1);
    CHECK(b.under_way() == "?app");
    SECTION("it goes on") {
        b.finish("app");
        CHECK(b.state() == GroupState::kActive);
    }
    SECTION("what a person ended is started") {
        b.finish("app", true, "", ProbeResult::kInactive);
        CHECK(b.under_way() == "+app");
    }
}

TEST_CASE("a daemon that restarts on an unmanaged node touches nothing") {
    Unmanaged b;
    restart_daemon(b);
    const bool runs = GENERATE(true, false);
    b.finish("app", true, "", runs ? ProbeResult::kActive : ProbeResult::kInactive);
    CHECK(b.under_way().empty());
    CHECK(b.state() == GroupState::kActive);
    CHECK(b.manager.guarded().empty());
}

TEST_CASE("a person may stop a group on an unmanaged node, but none is started there") {
    Unmanaged b;
    b.renew();
    b.order_stop();
    b.finish_all();
    CHECK(b.state() == GroupState::kStopped);
    b.start();
    CHECK(b.under_way().empty());
    CHECK(b.sentence(Reason::kStartRefused).find("unmanaged") != std::string::npos);
}

TEST_CASE("what the document gives away is stopped the ordinary way on an unmanaged node: nobody would kill it") {
    Unmanaged b;
    b.assign_elsewhere();
    b.advance();
    CHECK(b.under_way() == "-app");
}

TEST_CASE("a start that was under way stays where it is while the node is unmanaged") {
    Bench b;
    b.resource("db");
    b.resource("app", {"db"});
    b.start();
    b.document.nodes[b.self.node].maintenance = {MaintenanceKind::kUnmanaged, 30};
    b.unmanaged = true;
    b.finish("db");
    CHECK(b.under_way().empty());
    b.unmanaged = false;
    b.document.nodes[b.self.node].maintenance = {};
    b.advance();
    CHECK(b.under_way() == "+app");
}
