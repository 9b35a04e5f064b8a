// The order of promotion and demotion, with a front end and an engine that do what the test says.
#include "mirror-driver/driver/promotion.h"

#include <catch2/catch.hpp>

using namespace kagami;
using namespace kagami::mirror;

namespace {

struct Fake final : FrontEnd {
    struct Knobs {
        FrontEndState state = FrontEndState::kOpening;
        std::string trouble;
        Status idle;
        int closes = 0;
        bool alive = false;
    };
    explicit Fake(Knobs& k) : knobs(k) { knobs.alive = true; }
    ~Fake() override { knobs.alive = false; }
    int descriptor() const override { return -1; }
    void advance() override {}
    void complete(const Completion&) override {}
    std::string device() const override { return "/dev/loop9"; }
    Status idle() const override { return knobs.idle; }
    Status close() override {
        ++knobs.closes;
        knobs.state = FrontEndState::kClosing;
        return {};
    }
    FrontEndState state() const override { return knobs.state; }
    std::string trouble() const override { return knobs.trouble; }
    Knobs& knobs;
};

struct Answers {
    std::vector<Status> given;
    std::vector<bool> not_yet;
    Promotion::Reply reply() {
        return [this](const Status& status, bool later) {
            given.push_back(status);
            not_yet.push_back(later);
        };
    }
};

struct Stage {
    Fake::Knobs front;
    bool refuse_front = false;
    int kept = -2;
    std::vector<Order> orders;
    Instant now{};
    Promotion promotion{{[this](const Order& order) { orders.push_back(order); },
                         [this](int descriptor) -> Result<std::unique_ptr<FrontEnd>> {
                             kept = descriptor;
                             if (refuse_front) return fail("no loop device");
                             front.state = FrontEndState::kOpening;
                             return std::make_unique<Fake>(front);
                         },
                         [](const std::string&) {}}};

    void done(const Status& status = {}) { promotion.order_done({orders.back().id, status}); }
    OrderKind last() const { return orders.back().kind; }
    void become(FrontEndState state) {
        front.state = state;
        promotion.look(now);
    }
    void serve() {
        Answers a;
        promotion.promote(a.reply(), now);
        done();
        become(FrontEndState::kOpen);
        REQUIRE(a.given.size() == 1);
        REQUIRE(a.given[0]);
    }
};

}  // namespace

TEST_CASE("promotion: the engine, then the device, then the answer; asked twice, answered twice") {
    Stage s;
    Answers a;
    s.promotion.promote(a.reply(), s.now);
    CHECK(s.last() == OrderKind::kPromote);
    CHECK_FALSE(s.front.alive);
    s.promotion.promote(a.reply(), s.now);
    CHECK(s.orders.size() == 1);
    s.done();
    CHECK(s.front.alive);
    CHECK(a.given.empty());
    s.become(FrontEndState::kOpen);
    REQUIRE(a.given.size() == 2);
    CHECK(a.given[0]);
    s.promotion.promote(a.reply(), s.now);
    CHECK(a.given.size() == 3);
    CHECK(s.orders.size() == 1);
}

TEST_CASE("a refused promotion opens nothing") {
    Stage s;
    Answers a;
    s.promotion.promote(a.reply(), s.now);
    s.done(fail("its copy is stale"));
    REQUIRE(a.given.size() == 1);
    CHECK(a.given[0].error().message == "its copy is stale");
    CHECK(s.promotion.secondary());
    CHECK_FALSE(s.front.alive);
}

TEST_CASE("a device that cannot be opened demotes the engine again, and the answer says why") {
    Stage s;
    Answers a;
    const bool at_once = GENERATE(true, false);
    s.refuse_front = at_once;
    s.promotion.promote(a.reply(), s.now);
    s.done();
    if (!at_once) {
        s.front.trouble = "no loop device";
        s.become(FrontEndState::kFailed);
        CHECK(s.front.closes == 1);
        s.become(FrontEndState::kClosed);
    }
    CHECK(s.last() == OrderKind::kDemote);
    CHECK(a.given.empty());
    s.done();
    REQUIRE(a.given.size() == 1);
    CHECK(a.given[0].error().message == "no loop device");
    CHECK(s.promotion.secondary());
}

TEST_CASE("demotion: idle, closed, then the engine; who uses the device is in the refusal") {
    Stage s;
    s.serve();
    Answers a;
    s.front.idle = fail("mounted on /srv");
    s.promotion.demote(a.reply(), s.now);
    REQUIRE(a.given.size() == 1);
    CHECK(a.given[0].error().message == "mounted on /srv");
    CHECK(s.front.closes == 0);
    s.front.idle = {};
    s.promotion.demote(a.reply(), s.now);
    s.promotion.demote(a.reply(), s.now);
    CHECK(s.front.closes == 1);
    CHECK(s.last() == OrderKind::kPromote);
    s.become(FrontEndState::kClosed);
    CHECK_FALSE(s.front.alive);
    CHECK(s.last() == OrderKind::kDemote);
    s.done();
    REQUIRE(a.given.size() == 3);
    CHECK(a.given[1]);
    CHECK(a.given[2]);
    CHECK(s.promotion.secondary());
    s.promotion.demote(a.reply(), s.now);
    CHECK(a.given.size() == 4);
}

TEST_CASE("a close that is given up leaves the mirror serving") {
    Stage s;
    s.serve();
    Answers a;
    s.promotion.demote(a.reply(), s.now);
    s.front.trouble = "/dev/loop9 is still open";
    s.become(FrontEndState::kOpen);
    REQUIRE(a.given.size() == 1);
    CHECK(a.given[0].error().message == "/dev/loop9 is still open");
    CHECK(s.front.alive);
    s.promotion.promote(a.reply(), s.now);
    CHECK(a.given.back());
}

TEST_CASE("a lost device fails what is under way; then it is opened anew, or demoted") {
    Stage s;
    s.serve();
    s.front.trouble = "aborted";
    s.become(FrontEndState::kFailed);
    CHECK(s.last() == OrderKind::kFailAll);
    CHECK(s.promotion.trouble() == "aborted");
    Answers a;
    s.promotion.demote(a.reply(), s.now);  // still being cleared away
    REQUIRE(a.given.size() == 1);
    CHECK(a.not_yet[0]);
    s.become(FrontEndState::kClosed);
    CHECK_FALSE(s.promotion.secondary());
    if (GENERATE(true, false)) {
        s.promotion.demote(a.reply(), s.now);
        CHECK(s.last() == OrderKind::kDemote);
        s.done();
        CHECK(a.given.back());
        CHECK(s.promotion.secondary());
        CHECK(s.promotion.trouble().empty());
    } else {
        s.promotion.promote(a.reply(), s.now);
        CHECK(s.front.alive);
        s.become(FrontEndState::kOpen);
        CHECK(a.given.back());
        CHECK(s.promotion.trouble().empty());
    }
}

TEST_CASE("an old order's end changes nothing") {
    Stage s;
    Answers a;
    s.promotion.promote(a.reply(), s.now);
    s.promotion.order_done({s.orders.back().id + 7, {}});
    CHECK_FALSE(s.front.alive);
    CHECK(a.given.empty());
}

TEST_CASE("every question is answered at its limit, and an opening that takes too long is given up") {
    Stage s;
    Answers a;
    s.promotion.promote(a.reply(), s.now);
    s.done();
    s.now += Promotion::kLimit;
    s.promotion.look(s.now);
    REQUIRE(a.given.size() == 1);
    CHECK(a.given[0].error().code == ErrorCode::kTimedOut);
    CHECK(s.front.closes == 1);
    s.become(FrontEndState::kClosed);
    CHECK(s.last() == OrderKind::kDemote);
    s.done();
    CHECK(s.promotion.secondary());
}

TEST_CASE("a kept device is gone on with without an order to the engine") {
    Stage s;
    s.promotion.resume(5);
    CHECK(s.kept == 5);
    CHECK(s.orders.empty());
    s.become(FrontEndState::kOpen);
    CHECK_FALSE(s.promotion.secondary());
    CHECK_FALSE(s.promotion.changing());
}
