// The conversation of a change, with an engine that answers what the test says.
#include "cluster-daemon/runtime/daemon/control_changes.h"

#include <catch2/catch.hpp>

#include "cluster-daemon/runtime/daemon/control_steps.h"
#include "cluster-daemon/runtime/daemon/journal.h"
#include "proto/control.pb.h"
#include "tests/unit/daemon/healthy.h"

using namespace kagami;
using namespace kagami::runtime;
using engine::OperatorOutcome;
namespace proto = control::v1;

namespace {

engine::OperatorReply reply(OperatorOutcome outcome, std::string message) {
    engine::OperatorReply all;
    all.outcome = outcome;
    all.message = std::move(message);
    all.remedy = "do something";
    all.code = outcome == OperatorOutcome::kRefused ? 4 : 0;
    return all;
}

struct Scene {
    Scene() {
        backend.own_name = "node1";
        backend.status = [this] { return status; };
        backend.ask = [this](const engine::OperatorRequest& request, const ControlBackend::ReplyHandler& handler) {
            asked.push_back(request);
            for (const auto& each : replies) {
                if (on_reply) on_reply(each);
                handler(each);
            }
            return uint64_t{7};
        };
        backend.forget = [this](uint64_t id) { forgotten.push_back(id); };
        backend.notify = [this](const UserMessage& message) -> Status {
            noted.push_back(message);
            return {};
        };
        caller.write = [this](const proto::Progress& progress) {
            written.push_back(progress);
            return true;
        };
        caller.gone = [this] { return gone; };
    }
    void run() { carry_out(backend, caller, engine::OperatorRequest{}, options); }

    ControlBackend backend;
    Caller caller;
    StatusInput status = kagami::testing::healthy();
    proto::ChangeOptions options;
    std::vector<engine::OperatorReply> replies;
    std::function<void(const engine::OperatorReply&)> on_reply;
    std::vector<engine::OperatorRequest> asked;
    std::vector<uint64_t> forgotten;
    std::vector<UserMessage> noted;
    std::vector<proto::Progress> written;
    bool gone = false;
};

}  // namespace

TEST_CASE("without wait a change ends with its acceptance, with wait when it is done") {
    Scene scene;
    scene.replies = {reply(OperatorOutcome::kAccepted, "group web stops"),
                     reply(OperatorOutcome::kDone, "group web is stopped")};
    scene.run();
    REQUIRE(scene.written.size() == 1);
    CHECK(scene.written[0].accepted().message() == "group web stops");
    scene.options.set_wait(true);
    scene.run();
    REQUIRE(scene.written.size() == 3);
    CHECK(scene.written[2].done().message() == "group web is stopped");
    CHECK(scene.forgotten == std::vector<uint64_t>{7, 7});
}

TEST_CASE("further lines of an answer are consequences") {
    Scene scene;
    scene.replies = {reply(OperatorOutcome::kAccepted, "it is accepted\ngroup web restarts\nmonitor x starts anew")};
    scene.run();
    const auto& accepted = scene.written.at(0).accepted();
    CHECK(accepted.message() == "it is accepted");
    REQUIRE(accepted.consequences_size() == 2);
    CHECK(accepted.consequences(0) == "group web restarts");
    CHECK(accepted.consequences(1) == "monitor x starts anew");
    CHECK_FALSE(accepted.dry_run());
}

TEST_CASE("a dry run is accepted as one, and refused like the change itself") {
    Scene scene;
    scene.options.set_dry_run(true);
    scene.replies = {reply(OperatorOutcome::kDone, "group web would move\nthe service pauses")};
    scene.run();
    CHECK(scene.written.at(0).accepted().dry_run());
    CHECK(scene.written.at(0).accepted().consequences(0) == "the service pauses");
    scene.replies = {reply(OperatorOutcome::kRefused, "no")};
    scene.run();
    CHECK(scene.written.at(1).refused().code() == 4);
    CHECK(scene.written.at(1).refused().remedy() == "do something");
}

TEST_CASE("a request that cannot be read is refused without asking anybody") {
    Scene scene;
    carry_out(scene.backend, scene.caller, fail(ErrorCode::kUsage, "wrong", "right"), scene.options);
    CHECK(scene.asked.empty());
    CHECK(scene.written.at(0).refused().code() == 2);
}

TEST_CASE("the wait has an end, and one whose caller is gone ends at once") {
    Scene scene;
    scene.options.set_timeout_ms(1);
    scene.run();
    CHECK(scene.written.at(0).refused().code() == 6);
    scene.gone = true;
    scene.run();
    CHECK(scene.written.size() == 1);
    CHECK(scene.forgotten.size() == 2);
}

TEST_CASE("a first step that is refused ends the change, one that is accepted is not told") {
    Scene scene;
    scene.replies = {reply(OperatorOutcome::kAccepted, "recorded")};
    CHECK(carry_out_first(scene.backend, scene.caller, engine::OperatorRequest{}));
    CHECK(scene.written.empty());
    scene.replies = {reply(OperatorOutcome::kRefused, "node2 is alive")};
    CHECK_FALSE(carry_out_first(scene.backend, scene.caller, engine::OperatorRequest{}));
    CHECK(scene.written.at(0).refused().message() == "node2 is alive");
}

TEST_CASE("who waits is told what happens meanwhile, before the end") {
    Scene scene;
    scene.options.set_wait(true);
    scene.replies = {reply(OperatorOutcome::kAccepted, "group web stops"), reply(OperatorOutcome::kDone, "stopped")};
    scene.on_reply = [&](const engine::OperatorReply& each) {
        if (each.outcome == OperatorOutcome::kDone)
            scene.status.snapshot.own_report.groups[0].resources[1].state = engine::ResourceState::kOffline;
    };
    scene.run();
    REQUIRE(scene.written.size() == 3);
    CHECK(scene.written[1].step().subject() == "resource nginx");
    CHECK(scene.written[1].step().state() == "Offline");
    CHECK(scene.written[2].has_done());
}

TEST_CASE("steps tell each change of state once") {
    proto::Status status;
    status.add_nodes()->set_name("node1");
    status.mutable_nodes(0)->set_state("Online");
    ControlSteps steps(status);
    CHECK(steps.since_last(status).empty());
    status.mutable_nodes(0)->set_state("Offline Pending");
    REQUIRE(steps.since_last(status).size() == 1);
    CHECK(steps.since_last(status).empty());
}

TEST_CASE("a person's message needs a text, a known level and known channels") {
    Scene scene;
    proto::NotifyRequest in;
    const auto refused = [&] {
        proto::NotifyAnswer answer;
        notify(scene.backend, in, answer);
        return answer.has_refused() ? answer.refused().remedy() : "";
    };
    CHECK(refused() == "say what has to be told");
    in.set_message("backup done");
    in.set_level("WARNING");
    CHECK(refused() == "levels: INFO, WARN, ERROR");
    in.set_level("WARN");
    in.add_channels("mial");
    CHECK(refused() == "did you mean \"mail\"?");
    in.set_channels(0, "mail");
    CHECK(refused().empty());
    REQUIRE(scene.noted.size() == 1);
    CHECK(scene.noted[0].mail);
    CHECK_FALSE(scene.noted[0].syslog);
    CHECK(scene.noted[0].level == engine::Level::kWarning);
}
