#include <random>

#include "tests/unit/local_manager/bench.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

// Random orders, answers, leases and guard reports; what must never happen is checked at each command.
void tell_story(uint32_t seed) {
    std::mt19937 random(seed);
    const auto pick = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    Bench b;
    b.resource("md");
    b.resource("fip");
    b.resource("db", {"md"}).on_activation_failure.retry = 1;
    b.resource("app", {"db", "fip"}).on_deactivation_failure.final = config::FinalAction::kStay;
    b.monitor("alive", "db").interval = 1s;
    std::map<std::string, bool> up;
    GuardGroupState guard = GuardGroupState::kRunning;
    Token guard_token;
    for (int i = 0; i < 200; ++i) {
        size_t known = b.running.size();
        switch (pick(10)) {
            case 0: b.start(); break;
            case 1:
                if (b.document.groups.contains("web")) b.order_stop();
                break;
            case 2:
            case 3:
            case 4: {
                if (b.running.empty()) break;
                const RunResource run = b.running[pick(static_cast<uint32_t>(b.running.size()))];
                const bool ok = pick(6) != 0;
                if (ok && run.action == ResourceAction::kActivate) up[run.resource] = true;
                if (ok && run.action == ResourceAction::kDeactivate) up[run.resource] = false;
                b.finish(run.resource, ok, ok ? "" : "failed",
                         up[run.resource] ? ProbeResult::kActive : ProbeResult::kInactive);
                --known;
                break;
            }
            case 5: b.renew(); break;
            case 6: b.pass(b.timing.hold / 2); break;
            case 7:
                if (!b.checks.empty())
                    b.check(b.checks[0].monitor, pick(2) == 0 ? MonitorState::kNormal : MonitorState::kError);
                break;
            case 8:
                if (b.document.groups.contains("web") && pick(4) == 0) b.assign_elsewhere();
                break;
            case 9: {
                const auto guarded = b.manager.guarded();
                if (guarded.empty()) break;
                if (!(guarded[0].token == guard_token)) guard = GuardGroupState::kRunning;
                guard_token = guarded[0].token;
                if (guarded[0].verdict == Verdict::kKill && guard != GuardGroupState::kKilled) {
                    guard = GuardGroupState::kKilled;
                    for (auto& [name, is] : up) is = false;
                } else if (guard != GuardGroupState::kKilled && b.now >= b.run_until) {
                    guard = GuardGroupState::kSuspended;
                } else if (guard == GuardGroupState::kSuspended && guarded[0].verdict == Verdict::kResume) {
                    guard = GuardGroupState::kResumed;
                }
                b.guard.groups = {{"web", guard_token, guard}};
                b.manager.on_guard(b.guard, b.input());
                b.take();
                break;
            }
        }
        b.advance();
        for (size_t r = known; r < b.running.size(); ++r) {
            if (b.running[r].action != ResourceAction::kActivate) continue;
            CHECK(b.now < b.run_until);  // under a lease
            CHECK(b.document.groups["web"].owner == b.self);
            CHECK(b.document.groups["web"].goal == Goal::kStarted);
            CHECK(b.manager.groups().at("web").running == b.document.groups["web"].token);
            CHECK_FALSE(b.manager.guarded().empty());
        }
        if (b.state() == GroupState::kStopped) {  // STOPPED means that nothing is up
            for (const auto& [name, is] : up) CHECK_FALSE(is);
            CHECK(b.manager.guarded().empty());
        }
        std::set<std::string> busy;
        for (const RunResource& run : b.running) CHECK(busy.insert(run.resource).second);  // one operation at a time
    }
}

}  // namespace

TEST_CASE("whatever happens: no activation without lease and document, STOPPED only when nothing is up") {
    for (uint32_t seed = 1; seed <= 300; ++seed) {
        INFO("seed " << seed);
        tell_story(seed);
    }
}
