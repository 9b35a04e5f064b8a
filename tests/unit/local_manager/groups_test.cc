#include "tests/unit/local_manager/bench.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

TEST_CASE("resources start in the order of what they come after, independent ones in parallel, and stop in reverse") {
    Bench b;
    b.resource("md");
    b.resource("fip");
    b.resource("db", {"md", "fip"});
    b.resource("app", {"db"});
    b.start();
    CHECK(b.under_way() == "+md +fip");
    b.finish("md");
    CHECK(b.under_way() == "+fip");
    b.finish("fip");
    CHECK(b.under_way() == "+db");
    b.finish("db");
    CHECK(b.state() == GroupState::kStarting);
    b.finish("app");
    CHECK(b.state() == GroupState::kActive);
    CHECK(b.mark() == RunMark::kActive);
    b.order_stop();
    CHECK(b.under_way() == "-app");
    b.finish("app");
    CHECK(b.under_way() == "-db");
    b.finish("db");
    CHECK(b.running.size() == 2);
    b.finish("md");
    CHECK(b.state() == GroupState::kStopping);
    b.finish("fip");
    CHECK(b.state() == GroupState::kStopped);
    CHECK(b.report().token == b.document.groups["web"].token);
    CHECK(b.mark() == RunMark::kNone);
    CHECK_FALSE(b.manager.anything_active());
}

TEST_CASE(
    "the token and the mark are to be durable before the first activation, and the guard covers the group by then") {
    Bench b;
    b.resource("app");
    const StartGroup order = b.assign();
    b.manager.on_start(order, b.input());
    const LocalOutput out = b.manager.take_output();
    CHECK(out.durable_changed);
    CHECK(out.report_changed);
    REQUIRE(out.commands.size() == 1);
    CHECK(b.manager.groups().at("web").max_token == order.token);
    CHECK(b.manager.groups().at("web").mark == RunMark::kStarting);
    REQUIRE(b.manager.guarded().size() == 1);
    CHECK(b.manager.guarded()[0].token == order.token);
}

TEST_CASE("what the scripts are told comes from the orders") {
    Bench b;
    b.resource("app");
    StartGroup order = b.assign();
    order.failover = true;
    order.proven_stopped = true;
    order.previous = b.other.node;
    b.manager.on_start(order, b.input());
    b.take();
    CHECK(b.running[0].failover);
    CHECK(b.running[0].proven_stopped);
    CHECK(b.running[0].previous == b.other.node);
    CHECK(b.running[0].timeout == 60s);
    b.finish("app");
    StopGroup stop;
    stop.group = "web";
    stop.token = order.token;
    stop.reason = StopReason::kServerShutdown;
    stop.last_action = 2;
    b.manager.on_stop(stop, b.input());
    b.take();
    CHECK(b.running[0].stop_reason == StopReason::kServerShutdown);
    CHECK(b.running[0].last_action == 2);
}

namespace {

// Refused with `why`, without any step, and not said again when the order is repeated.
void check_refused_once(Bench& b, const StartGroup& order, const std::string& why) {
    b.history.clear();
    b.manager.on_start(order, b.input());
    b.take();
    CHECK(b.sentence(Reason::kStartRefused).find(why) != std::string::npos);
    CHECK(b.steps().empty());
    b.decisions.clear();
    b.manager.on_start(order, b.input());
    b.take();
    CHECK_FALSE(b.said(Reason::kStartRefused));
}

}  // namespace

TEST_CASE("a start is refused with its reason, once") {
    Bench b;
    b.resource("app");
    StartGroup order = b.assign();
    std::string why;
    SECTION("old token") {
        b.run();
        b.order_stop();
        b.finish_all();
        b.document.groups["web"].goal = Goal::kStarted;
        order.token = b.document.groups["web"].token;
        why = "is not newer than";
    }
    SECTION("no lease") {
        b.now = b.run_until;
        why = "holds no lease";
    }
    SECTION("guard") {
        b.guard.alive = false;
        b.manager.on_guard(b.guard, b.input());
        b.take();
        why = "guard";
    }
    SECTION("another owner in the document") {
        b.assign_elsewhere();
        why = "does not name this node";
    }
    SECTION("not a member in this boot") {
        b.document.nodes[b.self.node].boot = BootId{77};
        why = "does not name this node";
    }
    SECTION("another token in the document") {
        b.document.groups["web"].token.seq += 1;
        why = "does not name this node";
    }
    SECTION("configuration not stored") {
        b.config_stored = false;
        why = "not stored";
    }
    SECTION("unknown group") {
        b.config.groups.clear();
        why = "no such group";
    }
    SECTION("leaving") {
        b.document.nodes[b.self.node].leaving = Leaving::kHalt;
        b.advance();
        why = "leaving";
    }
    check_refused_once(b, order, why);
}

TEST_CASE("a start is refused while anything of an older start is left") {
    Bench b;
    b.resource("app");
    b.run();
    b.manager.on_start(b.assign(), b.input());
    b.take();
    CHECK(b.sentence(Reason::kStartRefused).find("not cleared up") != std::string::npos);
}

TEST_CASE(
    "a start that came before the lease is obeyed when the lease comes, unless a stop or another owner came in "
    "between") {
    Bench b;
    b.resource("app");
    b.now = b.run_until;
    b.start();
    CHECK(b.said(Reason::kStartRefused));
    CHECK(b.steps().empty());
    SECTION("lease") {
        b.renew();
        b.advance();
        CHECK(b.steps() == "+app");
    }
    SECTION("stop") {
        b.order_stop();
        b.renew();
        b.document.groups["web"].goal = Goal::kStarted;
        b.advance();
        CHECK(b.steps().empty());
    }
    SECTION("another owner") {
        b.assign_elsewhere();
        b.renew();
        b.advance();
        CHECK(b.steps().empty());
    }
}

TEST_CASE("a repeated start changes nothing") {
    Bench b;
    b.resource("app");
    const StartGroup order = b.assign();
    b.manager.on_start(order, b.input());
    b.take();
    b.manager.on_start(order, b.input());
    b.take();
    CHECK(b.under_way() == "+app");
    CHECK_FALSE(b.said(Reason::kStartRefused));
}

TEST_CASE("a stop for a token that never started here is acknowledged, and a later start of that token refused") {
    Bench b;
    b.resource("app");
    const StartGroup late = b.assign();
    b.order_stop();
    CHECK(b.state() == GroupState::kStopped);
    CHECK(b.report().token == late.token);
    CHECK(b.durable_changed);
    b.document.groups["web"].goal = Goal::kStarted;
    b.manager.on_start(late, b.input());
    b.take();
    CHECK(b.steps().empty());
    CHECK(b.said(Reason::kStartRefused));
}

TEST_CASE("a stop of a former leader for an older token does not stop what runs") {
    Bench b;
    b.resource("app");
    b.run();
    StopGroup old;
    old.group = "web";
    old.token = {Epoch::make(1, b.other.node), 1};
    b.manager.on_stop(old, b.input());
    b.take();
    CHECK(b.state() == GroupState::kActive);
}

TEST_CASE("a stop during the start waits for what is under way and stops what came up") {
    Bench b;
    b.resource("md");
    b.resource("app", {"md"});
    b.start();
    b.order_stop();
    CHECK(b.under_way() == "+md");
    b.finish("md");
    CHECK(b.under_way() == "-md");
    b.finish("md");
    CHECK(b.state() == GroupState::kStopped);
    CHECK(b.steps() == "+md -md");
}

TEST_CASE("a failed activation is tried again as often as configured") {
    Bench b;
    b.resource("app").on_activation_failure.retry = 2;
    b.start();
    b.finish("app", false, "exit status 1");
    CHECK(b.said(Reason::kRetrying));
    b.finish("app", false, "exit status 1");
    b.finish("app");
    CHECK(b.state() == GroupState::kActive);
}

TEST_CASE("a used up activation asks for a failover while the document counts fewer than allowed") {
    Bench b;
    b.resource("app").on_activation_failure.failover = 1;
    b.start();
    b.finish("app", false, "start.sh exited with status 1");
    CHECK(b.state() == GroupState::kStartFailed);
    CHECK(b.report().wants_failover);
    CHECK(b.report().cause == "resource app: start.sh exited with status 1");
    CHECK_FALSE(b.report().failed);
}

TEST_CASE("final actions of an activation") {
    Bench b;
    config::Resource& app = b.resource("app");
    b.resource("next", {"app"});
    app.on_activation_failure.failover = 1;
    SECTION("no operation: the next resource starts") {
        b.config.groups[0].resources[0].on_activation_failure.final = config::FinalAction::kNone;
        b.start();
        b.document.groups["web"].failovers = 1;
        b.finish("app", false);
        CHECK(b.under_way() == "+next");
        b.finish("next");
        CHECK(b.state() == GroupState::kStartFailed);
        CHECK(b.report().failed);
        CHECK_FALSE(b.report().wants_failover);
    }
    SECTION("stay: the next resource does not start") {
        b.config.groups[0].resources[0].on_activation_failure.final = config::FinalAction::kStay;
        b.start();
        b.document.groups["web"].failovers = 1;
        b.finish("app", false);
        CHECK(b.under_way().empty());
        CHECK(b.state() == GroupState::kStartFailed);
        CHECK(b.report().failed);
    }
    SECTION("stop the group") {
        b.config.groups[0].resources[0].on_activation_failure.final = config::FinalAction::kStopGroup;
        b.start();
        b.document.groups["web"].failovers = 1;
        b.finish("app", false);
        CHECK(b.under_way() == "-app");
        b.finish("app");
        CHECK(b.state() == GroupState::kStopped);
        CHECK(b.report().failed);
    }
    SECTION("shut down: the node asks to leave, and acts when it has left") {
        b.config.groups[0].resources[0].on_activation_failure.final = config::FinalAction::kStopAndShutdown;
        b.start();
        b.document.groups["web"].failovers = 1;
        b.finish("app", false);
        CHECK(b.manager.report().leaving);
        CHECK(b.acts.empty());
        b.order_stop(StopReason::kServerShutdown);
        b.finish_all();
        b.document.nodes[b.self.node].state = NodeState::kLeft;
        b.advance();
        b.pass(b.timing.renew);
        CHECK(b.acts == std::vector<SystemAction>{SystemAction::kHalt});
    }
}

TEST_CASE("a stop that fails for good is STOP_FAILED, never STOPPED") {
    Bench b;
    b.resource("md");
    config::Resource& app = b.resource("app", {"md"});
    app.on_deactivation_failure.retry = 1;
    SECTION("stay: nothing more is stopped, and a repeated order tries again") {
        b.config.groups[0].resources[1].on_deactivation_failure.final = config::FinalAction::kStay;
        b.run();
        b.order_stop();
        b.finish("app", false, "stop.sh exited with status 1");
        b.finish("app", false, "stop.sh exited with status 1");
        CHECK(b.state() == GroupState::kStopFailed);
        CHECK(b.report().cause == "resource app: stop.sh exited with status 1");
        CHECK(b.under_way().empty());
        CHECK(b.mark() == RunMark::kStopping);
        b.order_stop();
        CHECK(b.under_way() == "-app");
        b.finish_all();
        CHECK(b.state() == GroupState::kStopped);
    }
    SECTION("no operation: the next one is stopped, but it is no proof") {
        b.config.groups[0].resources[1].on_deactivation_failure.final = config::FinalAction::kNone;
        b.run();
        b.order_stop();
        b.finish("app", false);
        b.finish("app", false);
        CHECK(b.under_way() == "-md");
        b.finish("md");
        CHECK(b.state() == GroupState::kStopFailed);
    }
    SECTION("the default shuts the machine down once nothing else runs") {
        b.run();
        b.order_stop();
        b.finish("app", false);
        b.finish("app", false);
        CHECK(b.state() == GroupState::kStopFailed);
        CHECK(b.manager.report().leaving);
        b.advance();
        CHECK(b.acts == std::vector<SystemAction>{SystemAction::kHalt});
        b.advance();
        CHECK(b.acts.size() == 1);
    }
}

TEST_CASE("a new configuration that restarts nothing counts at once for what runs") {
    Bench b;
    b.resource("app");
    b.run();
    b.config.groups[0].resources[0].deactivate_timeout = 7s;
    ++b.document.config.hash[0];
    b.advance();
    b.order_stop();
    CHECK(b.running[0].timeout == 7s);
}

TEST_CASE("a report names every resource with its state") {
    Bench b;
    b.resource("md");
    b.resource("app", {"md"});
    b.start();
    b.finish("md");
    const GroupReport report = b.report();
    REQUIRE(report.resources.size() == 2);
    CHECK(report.resources[0].name == "app");
    CHECK(report.resources[0].state == ResourceState::kOnlinePending);
    CHECK(report.resources[1].state == ResourceState::kOnline);
}
