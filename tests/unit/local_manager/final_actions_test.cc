#include "tests/unit/local_manager/bench.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

// A monitor whose only recovery is the final action.
void only_final(Bench& b, config::FinalAction action) {
    b.resource("app");
    config::Monitor& monitor = b.monitor("alive", "app");
    monitor.on_error.restart = 0;
    monitor.on_error.failover = 0;
    monitor.on_error.final = action;
    b.run();
    b.run_until = kNever;
    b.durable_changed = false;
}

void restart(Bench& b) {
    const LocalCounts counts = b.manager.counts();
    b.manager = LocalManager();
    b.manager.restore(counts);
    b.running.clear();
    b.checks.clear();
    b.acts.clear();
    b.document.groups.clear();
    b.manager.on_guard(b.guard, b.input());
    b.take();
}

}  // namespace

TEST_CASE("an action that ends the machine at once does so without stopping anything, and is counted before it") {
    const std::vector<std::pair<config::FinalAction, SystemAction>> all = {
        {config::FinalAction::kSysrqPanic, SystemAction::kSysrqPanic},
        {config::FinalAction::kReset, SystemAction::kReset},
        {config::FinalAction::kBmcReset, SystemAction::kBmcReset},
        {config::FinalAction::kBmcPowerOff, SystemAction::kBmcPowerOff},
        {config::FinalAction::kBmcPowerCycle, SystemAction::kBmcPowerCycle},
        {config::FinalAction::kBmcNmi, SystemAction::kBmcNmi}};
    for (const auto& [action, system] : all) {
        INFO(config::word(action));
        Bench b;
        only_final(b, action);
        b.check("alive", MonitorState::kError, "dead");
        CHECK(b.acts == std::vector<SystemAction>{system});
        CHECK(b.durable_changed);  // commands of this step wait for it
        CHECK(b.manager.counts().final_actions == 1);
        CHECK(b.manager.report().final_actions == 1);
        CHECK(b.under_way().empty());
        CHECK_FALSE(b.manager.report().leaving);
    }
}

TEST_CASE("an action that needs a clean end has the node leave first, and is counted once") {
    Bench b;
    only_final(b, config::FinalAction::kStopAndReboot);
    b.check("alive", MonitorState::kError, "dead");
    CHECK(b.acts.empty());
    CHECK(b.manager.report().leaving);
    CHECK(b.manager.counts().final_actions == 1);
    b.pass(5s);
    b.check("alive", MonitorState::kError, "dead");
    CHECK(b.manager.counts().final_actions == 1);
}

TEST_CASE("the last healthy node is not ended") {
    Bench b;
    only_final(b, config::FinalAction::kReset);
    SECTION("nobody is heard") {
        b.healthy.clear();
    }
    SECTION("the other one leaves") {
        b.document.nodes[b.other.node].leaving = Leaving::kReboot;
    }
    SECTION("the other one is isolated") {
        b.document.nodes[b.other.node].isolated = true;
    }
    SECTION("the other one is under maintenance") {
        b.document.nodes[b.other.node].maintenance = {MaintenanceKind::kObserve, 5};
    }
    b.check("alive", MonitorState::kError, "dead");
    CHECK(b.acts.empty());
    CHECK(b.manager.counts().final_actions == 0);
    CHECK(b.sentence(Reason::kFinalActionSuppressed) ==
          "Final action reset is not taken on node1 (monitor alive: dead): no other node is healthy "
          "(last_node_survives).");
    CHECK(b.state() == GroupState::kActive);
}

TEST_CASE("the last healthy node is ended where the configuration wants it") {
    Bench b;
    b.config.last_node_survives = false;
    only_final(b, config::FinalAction::kReset);
    b.healthy.clear();
    b.check("alive", MonitorState::kError);
    CHECK(b.acts.size() == 1);
}

TEST_CASE("past the limit in a row no final action is taken, whatever the boots between them") {
    Bench b;
    b.config.final_action_limit = 2;
    only_final(b, config::FinalAction::kReset);
    for (uint32_t i = 1; i <= 2; ++i) {
        b.check("alive", MonitorState::kError, "dead");
        CHECK(b.acts.size() == 1);
        restart(b);
        CHECK(b.manager.counts().final_actions == i);
        b.start();
        b.finish_all();
    }
    b.check("alive", MonitorState::kError, "dead");
    CHECK(b.acts.empty());
    CHECK(b.sentence(Reason::kFinalActionSuppressed) ==
          "Final action reset is not taken on node1 (monitor alive: dead): it was ended in this way 2 times in a row "
          "(final_action_limit = 2).");
}

TEST_CASE("the count begins anew after a time of calm, and by the word of a person") {
    Bench b;
    only_final(b, config::FinalAction::kReset);
    b.check("alive", MonitorState::kError);
    restart(b);
    REQUIRE(b.manager.counts().final_actions == 1);
    b.durable_changed = false;
    SECTION("calm") {
        REQUIRE(b.wake_at);
        b.pass(b.config.final_action_reset - 1s);
        CHECK(b.manager.counts().final_actions == 1);
        b.pass(1s);
    }
    SECTION("a person") {
        b.document.nodes[b.self.node].final_actions_cleared = 1;
        b.advance();
        CHECK(b.manager.counts().final_actions_cleared == 1);
    }
    CHECK(b.manager.counts().final_actions == 0);
    CHECK(b.durable_changed);
    b.durable_changed = false;
    b.pass(1s);
    CHECK_FALSE(b.durable_changed);
}

TEST_CASE("a limit of 0 is no limit") {
    Bench b;
    b.config.final_action_limit = 0;
    only_final(b, config::FinalAction::kReset);
    b.manager.restore(LocalCounts{99, 0});
    b.check("alive", MonitorState::kError);
    CHECK(b.acts.size() == 1);
}

TEST_CASE("a node that is ended by a final action starts nothing more") {
    Bench b;
    only_final(b, config::FinalAction::kReset);
    b.check("alive", MonitorState::kError);
    b.order_stop();
    b.finish_all();
    b.start();
    CHECK(b.under_way().empty());
    CHECK(b.said(Reason::kStartRefused));
}
