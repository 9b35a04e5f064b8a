// Random lives of a machine from a seed, against what the protocol promises of the guard whatever the daemon does (I14,
// I15, I17).
#include <catch2/catch.hpp>
#include <random>

#include "tests/unit/guard/world.h"

using namespace kagami;
using namespace kagami::guard;
using namespace kagami::guard::test;

namespace {

class Life {
 public:
    explicit Life(uint32_t seed) : random_(seed) {
        for (int i = 0, n = pick(1, 4); i < n; ++i) {
            names_.push_back("g" + std::to_string(i));
            world_.add(names_.back().c_str(), chance(4) ? GroupKind::kStrict : GroupKind::kData);
        }
        world_.renew();
        world_.step();
        published();
    }

    void run(int events) {
        for (int i = 0; i < events; ++i) {
            event();
            live(std::chrono::milliseconds(pick(1, 600)));
        }
    }

 private:
    int pick(int least, int most) { return std::uniform_int_distribution<int>(least, most)(random_); }
    bool chance(int one_in) { return pick(1, one_in) == 1; }

    void event() {
        world_.freeze_takes = std::chrono::milliseconds(pick(0, 150));
        switch (pick(0, 9)) {
            case 0: return restart();
            case 1: return pause();
            case 2: return damage();
            case 3: return;  // the daemon hangs
            case 4: return start_again();
            default: return renew();
        }
    }
    void restart() {
        world_.restart();
        world_.step();  // its first sample of the clocks
        excused_ = world_.now;
        gap_ = Instant::min();  // a new guard has not seen it
        published();
    }
    void pause() {
        const auto length = std::chrono::milliseconds(pick(1, 3000));
        world_.now += length;
        excused_ = world_.now;  // nothing of this machine ran meanwhile
        if (length <= kHold / 4) return;
        gap_ = world_.now;
        published();
    }
    void damage() {
        world_.damage();
        lost_at_ = std::min(lost_at_, world_.now);
    }
    void renew() {
        for (auto& group : world_.plan.groups) group.verdict = static_cast<Verdict>(chance(8) ? 2 : pick(0, 1));
        const Instant sent = world_.now - std::chrono::milliseconds(chance(3) ? pick(0, 2500) : 0);
        world_.plan.terms.lease_sent_at = sent;
        world_.plan.terms.deadline = sent + kHold;
        world_.publish();
        published();
    }
    void start_again() {
        for (const auto& name : names_) {
            if (world_.machine(name).populated || !under_lease()) continue;
            world_.group(name).token.seq++;
            world_.machine(name).populated = true;
        }
        world_.publish();
        published();
    }
    // Until when the node has a lease; when it has none, since when.
    void published() {
        const auto& lease = world_.plan.terms;
        const bool good = lease.deadline > world_.now && lease.lease_sent_at > gap_;
        lost_at_ = good ? lease.deadline : std::min(lost_at_, world_.now);
    }
    bool under_lease() const { return world_.now < lost_at_; }

    void live(Duration length) {
        const Instant until = world_.now + length;
        while (world_.now < until) {
            const auto before = world_.report();
            world_.step();
            check(before);
            world_.now = std::min(until, world_.orders.wake_at);
        }
    }

    void check(const GuardReport& before) {
        const Instant limit = std::max(lost_at_, excused_) + kGuard;
        bool anything_runs = false;
        for (const auto& name : names_) {
            const bool runs = world_.runs(name);
            anything_runs |= runs;
            if (runs && world_.now > limit)
                FAIL(name << " runs " << milliseconds(world_.now - limit) << " ms too long");
            if (!under_lease() && world_.ordered(name).thaw) CHECK_FALSE(world_.machine(name).populated);
        }
        if (world_.orders.pet && anything_runs) CHECK(under_lease());
        CHECK(world_.report().condemned == 0);  // everything here freezes and dies in time
        for (const auto& was : before.groups) {
            const auto is = world_.reported(was.name.view());
            if (!is || is->state != GroupState::kResumed || was.state == GroupState::kResumed) continue;
            CHECK(world_.plan.terms.lease_sent_at > was.begun_at);
            CHECK(world_.group(was.name.view()).verdict == Verdict::kResume);
        }
    }

    std::mt19937 random_;
    World world_;
    std::vector<std::string> names_;
    Instant lost_at_ = kNever;
    Instant gap_ = Instant::min();  // the end of the last gap in the clocks
    Instant excused_{};             // before it the guard could not act
};

}  // namespace

TEST_CASE(
    "whatever the daemon publishes, nothing runs later than deadline + T_guard, resumes unasked or is petted wrongly") {
    for (uint32_t seed = 1; seed <= 400; ++seed) {
        INFO("seed " << seed);
        Life(seed).run(60);
    }
}
