#include "tests/unit/local_manager/bench.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

// The daemon dies and comes back; `same_boot` false = the machine rebooted.
void restart(Bench& b, bool same_boot = true) {
    const auto durable = b.manager.groups();
    b.manager = LocalManager();
    b.manager.restore(durable, same_boot);
    b.running.clear();
    b.history.clear();
    b.run_until = Instant{};
    b.lease_sent_at = Instant{};
    b.manager.on_guard(b.guard, b.input());
    b.take();
}

}  // namespace

TEST_CASE("a restarted daemon finds its group running and touches nothing") {
    Bench b;
    b.resource("md");
    b.resource("app", {"md"});
    b.run();
    restart(b);
    CHECK(b.running.size() == 2);
    CHECK(b.state() == GroupState::kStarting);  // not STOPPED
    CHECK(b.manager.guarded().size() == 1);
    CHECK(b.verdict() == Verdict::kNone);
    b.finish_all(ProbeResult::kActive);
    CHECK(b.state() == GroupState::kActive);
    CHECK(b.said(Reason::kAdopted));
    CHECK(b.steps() == "?app ?md");
    b.renew();
    b.advance();
    CHECK(b.state() == GroupState::kActive);
}

TEST_CASE("a restarted daemon waits for its configuration before it probes, and does not report STOPPED") {
    Bench b;
    b.resource("app");
    b.run();
    b.has_config = false;
    restart(b);
    CHECK(b.running.empty());
    CHECK(b.state() != GroupState::kStopped);
    b.has_config = true;
    b.advance();
    CHECK(b.under_way() == "?app");
}

TEST_CASE("what died with the daemon is started again with what comes after it, once there is a lease") {
    Bench b;
    b.resource("fip");
    b.resource("db");
    b.resource("app", {"db"});
    b.run();
    restart(b);
    b.finish("fip", true, "", ProbeResult::kActive);
    b.finish("app", true, "", ProbeResult::kActive);
    b.finish("db", true, "", ProbeResult::kInactive);
    CHECK(b.under_way() == "-app");
    b.finish("app");
    CHECK(b.under_way().empty());  // no lease yet
    b.renew();
    b.advance();
    CHECK(b.under_way() == "+db");
    b.finish_all();
    CHECK(b.state() == GroupState::kActive);
}

TEST_CASE("a start that the daemon's death interrupted goes on where it was") {
    Bench b;
    b.resource("md");
    b.resource("app", {"md"});
    b.start();
    b.finish("md");
    restart(b);
    b.finish("md", true, "", ProbeResult::kActive);
    b.finish("app", true, "", ProbeResult::kInactive);
    b.renew();
    b.advance();
    CHECK(b.under_way() == "+app");
    b.finish("app");
    CHECK(b.state() == GroupState::kActive);
}

TEST_CASE("a stop that the daemon's death interrupted goes on") {
    Bench b;
    b.resource("md");
    b.resource("app", {"md"});
    b.run();
    b.order_stop();
    b.finish("app");
    restart(b);
    CHECK(b.state() == GroupState::kStopping);
    b.finish("app", true, "", ProbeResult::kInactive);
    b.finish("md", true, "", ProbeResult::kActive);
    CHECK(b.under_way() == "-md");
    b.finish("md");
    CHECK(b.state() == GroupState::kStopped);
}

TEST_CASE("a stop order during the probes is carried out after them") {
    Bench b;
    b.resource("app");
    b.run();
    restart(b);
    b.order_stop();
    CHECK(b.under_way() == "?app");
    b.finish("app", true, "", ProbeResult::kActive);
    CHECK(b.under_way() == "-app");
}

TEST_CASE("after a reboot the marks are void and the highest token stays") {
    Bench b;
    b.resource("app");
    const StartGroup old = b.assign();
    b.manager.on_start(old, b.input());
    b.take();
    b.finish_all();
    restart(b, false);
    CHECK(b.running.empty());
    CHECK(b.state() == GroupState::kStopped);
    CHECK(b.mark() == RunMark::kNone);
    b.renew();
    b.manager.on_start(old, b.input());
    b.take();
    CHECK(b.sentence(Reason::kStartRefused).find("is not newer") != std::string::npos);
}

TEST_CASE("a restarted daemon whose group was given away meanwhile has it killed") {
    Bench b;
    b.resource("app");
    b.run();
    b.assign_elsewhere();
    restart(b);
    CHECK(b.verdict() == Verdict::kKill);
    b.finish_all(ProbeResult::kActive);
    CHECK(b.verdict() == Verdict::kKill);
    CHECK(b.steps() == "?app");
    b.guard_says(GuardGroupState::kKilled);
    b.finish_all(ProbeResult::kInactive);
    CHECK(b.state() == GroupState::kStopped);
}
