// Persons' requests on their way to the leader and back.
#include "cluster-daemon/engine/requests.h"

#include <catch2/catch.hpp>

#include "tests/unit/engine/cluster_harness.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::testing;

namespace {

const Timing kTiming = Timing::derive({2s, 5s, 1s, 0s});
const Epoch kFive = Epoch::make(5, kTwo);
const Requests::Leader kNoLeader{};
const Requests::Leader kTwoLeads{kTwo, kFive, false};
const Requests::Leader kHere{kOne, Epoch::make(6, kOne), true};

OperatorRequest move_of(uint64_t id) {
    OperatorRequest request;
    request.id = id;
    request.verb = OperatorVerb::kGroupMove;
    request.subject = "web";
    return request;
}

OperatorReply reply_of(uint64_t id, OperatorOutcome outcome) {
    return {id, outcome, 0, "text", {}};
}

}  // namespace

TEST_CASE("a request goes to the leader, again every T_detect until it answers, and the answers go to the person") {
    Outbox out;
    Requests requests(kOne, out);
    const Instant t{100s};
    requests.ask(move_of(1), t);
    requests.advance(kTwoLeads, kTiming, t);
    requests.advance(kTwoLeads, kTiming, t + 1ms);
    REQUIRE(out.messages.size() == 1);
    CHECK(out.messages[0].to == kTwo);
    CHECK(std::get<OperatorRequest>(out.messages[0].message) == move_of(1));
    CHECK(requests.wake_at() == t + kTiming.detect);
    requests.advance(kTwoLeads, kTiming, t + kTiming.detect);
    CHECK(out.messages.size() == 2);
    requests.on_reply(kTwo, reply_of(1, OperatorOutcome::kAccepted));
    requests.advance(kTwoLeads, kTiming, t + 10s);
    CHECK(out.messages.size() == 2);
    CHECK(requests.wake_at() == kNever);
    requests.on_reply(kTwo, reply_of(1, OperatorOutcome::kDone));
    requests.on_reply(kTwo, reply_of(1, OperatorOutcome::kDone));  // a repetition
    CHECK(requests.take_answers().size() == 2);
}

TEST_CASE("the leader takes a repeated request once, and the same number from another node as another one") {
    Outbox out;
    Requests requests(kOne, out);
    requests.on_request(kTwo, move_of(1));
    requests.on_request(kTwo, move_of(1));
    requests.on_request(kThree, move_of(1));
    const auto taken = requests.take_incoming();
    REQUIRE(taken.size() == 2);
    CHECK(taken[0].origin == kTwo);
    CHECK(taken[1].origin == kThree);
    CHECK_FALSE(requests.waiting());
    requests.reply(kTwo, reply_of(1, OperatorOutcome::kDone));
    REQUIRE(out.messages.size() == 1);
    CHECK(out.messages[0].to == kTwo);
}

TEST_CASE("on the leader itself a request takes no detour") {
    Outbox out;
    Requests requests(kOne, out);
    requests.ask(move_of(7), Instant(1s));
    requests.advance(kHere, kTiming, Instant(1s));
    CHECK(out.messages.empty());
    REQUIRE(requests.take_incoming().size() == 1);
    requests.reply(kOne, reply_of(7, OperatorOutcome::kRefused));
    CHECK(requests.take_answers().size() == 1);
}

TEST_CASE("without a leader a request waits as long as a takeover lasts, then it is refused with a remedy") {
    Outbox out;
    Requests requests(kOne, out);
    const Instant t{100s};
    requests.ask(move_of(1), t);
    requests.advance(kNoLeader, kTiming, t + kTiming.grant);
    CHECK(requests.take_answers().empty());
    const Instant refused_at = requests.wake_at();
    CHECK(refused_at == t + 2 * kTiming.detect + kTiming.grant);
    requests.advance(kNoLeader, kTiming, refused_at);
    const auto answers = requests.take_answers();
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].outcome == OperatorOutcome::kRefused);
    CHECK(answers[0].code == static_cast<uint8_t>(ErrorCode::kNoQuorum));
    CHECK_FALSE(answers[0].remedy.empty());
}

TEST_CASE("when the leadership moves, what was accepted is told to go on, what was not answered is asked again") {
    Outbox out;
    Requests requests(kThree, out);
    const Instant t{100s};
    requests.ask(move_of(1), t);
    requests.ask(move_of(2), t);
    requests.advance(kTwoLeads, kTiming, t);
    requests.on_reply(kTwo, reply_of(1, OperatorOutcome::kAccepted));
    requests.take_answers();
    requests.advance(kNoLeader, kTiming, t + 1s);
    CHECK(requests.take_answers().empty());
    out.messages.clear();
    requests.advance({kOne, Epoch::make(6, kOne), false}, kTiming, t + 2s);
    const auto answers = requests.take_answers();
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].id == 1);
    CHECK(answers[0].outcome == OperatorOutcome::kDone);
    REQUIRE(out.messages.size() == 1);
    CHECK(std::get<OperatorRequest>(out.messages[0].message).id == 2);
}

TEST_CASE("an answer counts only from the leader that was asked") {
    Outbox out;
    Requests requests(kOne, out);
    requests.ask(move_of(1), Instant(100s));
    requests.on_reply(kTwo, reply_of(1, OperatorOutcome::kDone));  // nobody has been asked yet
    requests.advance(kTwoLeads, kTiming, Instant(100s));
    requests.on_reply(kThree, reply_of(1, OperatorOutcome::kDone));
    requests.on_reply(kWitnessId, reply_of(1, OperatorOutcome::kRefused));
    CHECK(requests.take_answers().empty());
    requests.on_reply(kTwo, reply_of(1, OperatorOutcome::kDone));
    CHECK(requests.take_answers().size() == 1);
}

TEST_CASE("what a leader has not looked at when it leads no more is forgotten, and taken when it is asked again") {
    Outbox out;
    Requests requests(kOne, out);
    requests.on_request(kTwo, move_of(1));
    REQUIRE(requests.take_incoming().size() == 1);
    requests.on_request(kTwo, move_of(2));
    requests.forget_incoming();
    CHECK_FALSE(requests.waiting());
    requests.on_request(kTwo, move_of(1));  // was looked at
    requests.on_request(kTwo, move_of(2));
    const auto taken = requests.take_incoming();
    REQUIRE(taken.size() == 1);
    CHECK(taken[0].request.id == 2);
}

TEST_CASE("a leadership that has moved is what was asked for") {
    Outbox out;
    Requests requests(kOne, out);
    OperatorRequest request = move_of(1);
    request.verb = OperatorVerb::kLeaderMove;
    requests.ask(request, Instant{100s});
    requests.advance(kTwoLeads, kTiming, Instant{100s});
    requests.on_reply(kTwo, reply_of(1, OperatorOutcome::kAccepted));
    requests.advance({kThree, Epoch::make(6, kThree), false}, kTiming, Instant{101s});
    const auto answers = requests.take_answers();
    REQUIRE(answers.size() == 2);
    CHECK(answers[1].outcome == OperatorOutcome::kDone);
    CHECK(answers[1].message.find("The leadership has moved to") == 0);
}

TEST_CASE("a leadership that does not go where a person wanted it is not told to have gone there") {
    Outbox out;
    const Instant t{100s};
    const auto answer = [&](NodeId wanted, NodeId leads) {
        Requests requests(kThree, out);
        OperatorRequest request = move_of(1);
        request.verb = OperatorVerb::kLeaderMove;
        request.node = wanted;
        requests.ask(request, t);
        requests.advance(kTwoLeads, kTiming, t);
        requests.on_reply(kTwo, reply_of(1, OperatorOutcome::kAccepted));
        requests.take_answers();
        requests.advance({leads, Epoch::make(6, leads), false}, kTiming, t + 2s);
        const auto answers = requests.take_answers();
        REQUIRE(answers.size() == 1);
        return answers[0].outcome;
    };
    CHECK(answer(kOne, kOne) == OperatorOutcome::kDone);
    CHECK(answer(kNobody, kOne) == OperatorOutcome::kDone);
    CHECK(answer(kOne, kTwo) == OperatorOutcome::kFailed);     // it came back
    CHECK(answer(kNobody, kTwo) == OperatorOutcome::kFailed);
    CHECK(answer(kOne, kThree) == OperatorOutcome::kFailed);
}
