#include <random>

#include "tests/unit/local_manager/bench.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

// Random orders, answers, leases and guard reports; what must never happen is checked at each command.
class Story {
 public:
    explicit Story(uint32_t seed) : random_(seed) {
        b_.resource("md");
        b_.resource("fip");
        config::Resource& db = b_.resource("db", {"md"});
        db.on_activation_failure.retry = 1;
        db.scripts = {"before.sh", "after.sh", "prestop.sh", "poststop.sh", "final.sh", 30s};
        b_.resource("app", {"db", "fip"}).on_deactivation_failure.final = config::FinalAction::kStay;
        b_.monitor("alive", "db").interval = 1s;
    }
    void go_on() {
        size_t known = b_.running.size();
        const size_t scripts = b_.around.size();
        known -= happen();
        b_.advance();
        check_activations(known);
        check_scripts(scripts);
        check_stopped();
        std::set<std::string> busy;
        for (const RunResource& run : b_.running) CHECK(busy.insert(run.resource).second);  // one operation at a time
        for (const RunResourceScript& run : b_.around) CHECK(busy.insert(run.resource).second);
    }

 private:
    uint32_t pick(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
    bool has_group() const { return b_.document.groups.contains("web"); }

    // Something that can happen; how many running operations it ended.
    size_t happen() {
        const uint32_t what = pick(12);
        if (what == 0) b_.start();
        if (what == 1 && has_group()) b_.order_stop();
        if (what >= 2 && what <= 4) return finish_one();
        if (what == 5) b_.renew();
        if (what == 6) b_.pass(b_.timing.hold / 2);
        if (what == 7 && !b_.checks.empty())
            b_.check(b_.checks[0].monitor, pick(2) == 0 ? MonitorState::kNormal : MonitorState::kError);
        if (what == 8 && has_group() && pick(4) == 0) b_.assign_elsewhere();
        if (what == 9) guard_acts();
        if (what == 10 && !b_.around.empty()) b_.finish_script(b_.around[0].resource, pick(6) != 0);
        if (what == 11 && has_group()) person_stops();
        return 0;
    }
    size_t finish_one() {
        if (b_.running.empty()) return 0;
        const RunResource run = b_.running[pick(static_cast<uint32_t>(b_.running.size()))];
        const bool ok = pick(6) != 0;
        if (ok && run.action == ResourceAction::kActivate) up_[run.resource] = true;
        if (ok && run.action == ResourceAction::kDeactivate) up_[run.resource] = false;
        b_.finish(run.resource, ok, ok ? "" : "failed", up_[run.resource] ? ProbeResult::kActive : ProbeResult::kInactive);
        return 1;
    }
    void person_stops() {
        std::set<std::string>& stopped = b_.document.groups["web"].stopped_resources;
        if (!stopped.empty())
            stopped.clear();
        else if (pick(2) == 0)
            stopped = {"fip", "app"};
        else
            stopped = {"db", "app"};
    }
    void guard_acts() {
        const auto guarded = b_.manager.guarded();
        if (guarded.empty()) return;
        if (!(guarded[0].token == guard_token_)) guard_ = GuardGroupState::kRunning;
        guard_token_ = guarded[0].token;
        if (guarded[0].verdict == Verdict::kKill && guard_ != GuardGroupState::kKilled) {
            guard_ = GuardGroupState::kKilled;
            for (auto& [name, is] : up_) is = false;
        } else if (guard_ != GuardGroupState::kKilled && b_.now >= b_.run_until) {
            guard_ = GuardGroupState::kSuspended;
        } else if (guard_ == GuardGroupState::kSuspended && guarded[0].verdict == Verdict::kResume) {
            guard_ = GuardGroupState::kResumed;
        }
        b_.guard.groups = {{"web", guard_token_, guard_}};
        b_.manager.on_guard(b_.guard, b_.input());
        b_.take();
    }
    void check_activations(size_t known) {
        for (size_t r = known; r < b_.running.size(); ++r) {
            if (b_.running[r].action != ResourceAction::kActivate) continue;
            CHECK(b_.now < b_.run_until);  // under a lease
            CHECK(b_.document.groups["web"].owner == b_.self);
            CHECK(b_.document.groups["web"].goal == Goal::kStarted);
            CHECK(b_.manager.groups().at("web").running == b_.document.groups["web"].token);
            CHECK_FALSE(b_.manager.guarded().empty());
        }
    }
    void check_scripts(size_t known) {
        for (size_t s = std::min(known, b_.around.size()); s < b_.around.size(); ++s) {
            if (b_.around[s].moment == ScriptMoment::kBeforeActivation) CHECK(b_.now < b_.run_until);
            CHECK_FALSE(b_.manager.guarded().empty());
        }
    }
    void check_stopped() {
        if (b_.state() != GroupState::kStopped) return;  // STOPPED means that nothing is up
        for (const auto& [name, is] : up_) CHECK_FALSE(is);
        CHECK(b_.manager.guarded().empty());
    }

    std::mt19937 random_;
    Bench b_;
    std::map<std::string, bool> up_;
    GuardGroupState guard_ = GuardGroupState::kRunning;
    Token guard_token_;
};

}  // namespace

TEST_CASE("whatever happens: no activation without lease and document, STOPPED only when nothing is up") {
    for (uint32_t seed = 1; seed <= 300; ++seed) {
        INFO("seed " << seed);
        Story story(seed);
        for (int i = 0; i < 200; ++i) story.go_on();
    }
}
