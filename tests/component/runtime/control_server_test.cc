// The control service over its real socket, with an engine that accepts everything.
#include "cluster-daemon/runtime/daemon/control_server.h"

#include <grpcpp/grpcpp.h>
#include <sys/stat.h>
#include <catch2/catch.hpp>

#include <atomic>
#include <mutex>
#include <thread>

#include "cluster-daemon/runtime/daemon/doctor.h"
#include "cluster-daemon/runtime/daemon/journal.h"
#include "proto/control.grpc.pb.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/wait_until.h"
#include "tests/unit/daemon/healthy.h"

using namespace kagami;
using namespace kagami::runtime;
using namespace kagami::testing;
using engine::OperatorVerb;
namespace proto = control::v1;

namespace {

class Bench {
 public:
    Bench() : socket_(directory_ / "control.sock") {
        auto started = ControlServer::start(socket_, backend());
        REQUIRE(started.has_value());
        server_ = std::move(*started);
        stub = proto::Control::NewStub(grpc::CreateChannel("unix:" + socket_, grpc::InsecureChannelCredentials()));
    }

    // The first answer of a change.
    template <typename Call, typename Request>
    proto::Progress change(Call call, const Request& request) {
        grpc::ClientContext context;
        const auto reader = (*stub.*call)(&context, request);
        proto::Progress progress;
        CHECK(reader->Read(&progress));
        CHECK(reader->Finish().ok());
        return progress;
    }
    std::vector<engine::OperatorRequest> asked() const {
        const std::lock_guard lock(mutex_);
        return asked_;
    }
    void end_server() { server_.reset(); }
    const std::string& socket() const { return socket_; }

    std::unique_ptr<proto::Control::Stub> stub;
    std::atomic<bool> answers = true;
    std::vector<ConfigVerdict> verdicts;

 private:
    ControlBackend backend() {
        ControlBackend all;
        all.own_name = "node1";
        all.status = [] { return healthy(); };
        all.snapshot = [] { return healthy().snapshot; };
        all.ask = [this](const engine::OperatorRequest& request, const ControlBackend::ReplyHandler& handler) {
            return ask(request, handler);
        };
        all.forget = [](uint64_t) {};
        all.log = [](const LogQuery& query, const std::map<std::string, int64_t>&) { return log(query); };
        all.config_history = [](size_t) -> Result<std::vector<ConfigRecord>> { return fail("the history is damaged"); };
        all.config_version = [](uint64_t version) -> Result<Bytes> {
            return fail("there is no configuration " + std::to_string(version));
        };
        all.create_token = [](const std::string& node, Duration) -> Result<IssuedToken> {
            return IssuedToken{"secret", node, 5};
        };
        all.confirm_config = [this](const Bytes&) { return verdicts; };
        all.notify = [](const UserMessage&) -> Status { return {}; };
        all.statistics = [](proto::Statistics& out) { out.add_groups()->set_group("web"); };
        all.doctor = [] {
            DoctorFacts facts;
            facts.status = healthy();
            return facts;
        };
        return all;
    }

    uint64_t ask(const engine::OperatorRequest& request, const ControlBackend::ReplyHandler& handler) {
        {
            const std::lock_guard lock(mutex_);
            asked_.push_back(request);
        }
        engine::OperatorReply reply;
        reply.outcome = engine::OperatorOutcome::kAccepted;
        reply.message = "accepted";
        if (answers) handler(reply);
        return 1;
    }

    static GatheredLog log(const LogQuery&) {
        LogLine line;
        line.node = "node2";
        line.unix_ms = 10;
        line.subject = "group web";
        line.code = "group-placed";
        line.message = "Group web is placed on node1.";
        line.inputs = {"node2: isolated"};
        return {{line}, {"node3"}};
    }

    TemporaryDirectory directory_;
    std::string socket_;
    mutable std::mutex mutex_;
    std::vector<engine::OperatorRequest> asked_;
    std::unique_ptr<ControlServer> server_;
};

proto::MaintenanceRequest maintenance() {
    proto::MaintenanceRequest in;
    in.set_scope("cluster");
    in.set_kind("observe");
    in.set_minutes(5);
    return in;
}

proto::TimeoutRatioRequest ratio() {
    proto::TimeoutRatioRequest in;
    in.set_ratio(2);
    in.set_minutes(5);
    return in;
}

}  // namespace

TEST_CASE("the socket is for root alone") {
    const Bench bench;
    struct stat found{};
    REQUIRE(::stat(bench.socket().c_str(), &found) == 0);
    CHECK((found.st_mode & 0777U) == 0600);
}

TEST_CASE("every call that changes something reaches the engine as its own verb") {
    using Stub = proto::Control::Stub;
    Bench bench;
    bench.change(&Stub::GroupStart, proto::GroupRequest{});
    bench.change(&Stub::GroupStop, proto::GroupRequest{});
    bench.change(&Stub::GroupMove, proto::GroupMoveRequest{});
    bench.change(&Stub::NodeShutdown, proto::NodeRequest{});
    bench.change(&Stub::NodeReturn, proto::NodeRequest{});
    bench.change(&Stub::ClusterStart, proto::ClusterStartRequest{});
    bench.change(&Stub::ClusterStop, proto::ClusterStopRequest{});
    bench.change(&Stub::MirrorResync, proto::MirrorRequest{});
    bench.change(&Stub::MirrorForce, proto::MirrorRequest{});
    bench.change(&Stub::MirrorCancel, proto::MirrorRequest{});
    bench.change(&Stub::MirrorBreak, proto::MirrorRequest{});
    bench.change(&Stub::MirrorRejoin, proto::MirrorRequest{});
    bench.change(&Stub::ResourceStart, proto::ResourceRequest{});
    bench.change(&Stub::ResourceStop, proto::ResourceRequest{});
    bench.change(&Stub::MonitorControl, proto::MonitorRequest{});
    bench.change(&Stub::FailoverControl, proto::FailoverRequest{});
    bench.change(&Stub::MaintenanceControl, maintenance());
    bench.change(&Stub::LeaderMove, proto::NodeRequest{});
    bench.change(&Stub::SetTimeoutRatio, ratio());
    bench.change(&Stub::ClearFinalActions, proto::NodeRequest{});
    bench.change(&Stub::ConfigConfirm, proto::ConfigConfirmRequest{});
    std::vector<OperatorVerb> verbs;
    for (const auto& request : bench.asked()) verbs.push_back(request.verb);
    const std::vector<OperatorVerb> expected{
        OperatorVerb::kGroupStart,    OperatorVerb::kGroupStop,         OperatorVerb::kGroupMove,
        OperatorVerb::kNodeShutdown,  OperatorVerb::kNodeReturn,        OperatorVerb::kClusterStart,
        OperatorVerb::kClusterStop,   OperatorVerb::kMirrorResync,      OperatorVerb::kMirrorForce,
        OperatorVerb::kMirrorCancel,  OperatorVerb::kMirrorBreak,       OperatorVerb::kMirrorRejoin,
        OperatorVerb::kResourceStart, OperatorVerb::kResourceStop,      OperatorVerb::kMonitorSuspend,
        OperatorVerb::kFailoverOn,    OperatorVerb::kMaintenanceBegin,  OperatorVerb::kLeaderMove,
        OperatorVerb::kTimeoutRatio,  OperatorVerb::kFinalActionsClear, OperatorVerb::kConfigConfirm};
    CHECK(verbs == expected);
}

TEST_CASE("a configuration is applied as the person wants it, and not when it has errors") {
    Bench bench;
    proto::ConfigApplyRequest in;
    in.mutable_bundle()->set_text("[cluster]\nname = 3\n");
    CHECK(bench.change(&proto::Control::Stub::ConfigApply, in).refused().problems_size() > 0);
    CHECK(bench.asked().empty());
    const config::Bundle sample = sample_bundle();
    in.mutable_bundle()->set_text(sample.text);
    for (const auto& [name, content] : sample.scripts) (*in.mutable_bundle()->mutable_scripts())[name] = content;
    in.set_confirm_within_seconds(120);
    in.mutable_options()->set_dry_run(true);
    const proto::Progress progress = bench.change(&proto::Control::Stub::ConfigApply, in);
    CHECK(progress.accepted().dry_run());
    REQUIRE(bench.asked().size() == 1);
    CHECK(bench.asked()[0].amount == 120);
    CHECK(bench.asked()[0].dry_run);
}

TEST_CASE("a configuration has to be good on every member, or the person does without its word by name") {
    Bench bench;
    const auto apply = [&bench](const std::string& without) {
        proto::ConfigApplyRequest in;
        in.mutable_bundle()->set_text(sample_bundle().text);
        const config::Bundle sample = sample_bundle();
        for (const auto& [name, content] : sample.scripts) (*in.mutable_bundle()->mutable_scripts())[name] = content;
        if (!without.empty()) in.add_without(without);
        return bench.change(&proto::Control::Stub::ConfigApply, in);
    };
    bench.verdicts = {{"node2", false, {}}};
    CHECK(apply("").refused().remedy() == "bring it back, or do without its word: --without node2");
    CHECK(apply("node3").refused().code() == 3);
    bench.verdicts = {{"node2", true, {"cluster.toml:3: unknown key"}}};
    CHECK(apply("").refused().message() == "the configuration is not good on node2: cluster.toml:3: unknown key");
    CHECK(bench.asked().empty());
    CHECK(apply("node2").has_accepted());
    CHECK(bench.asked()[0].force);  // the leader need not insist on node2
    bench.verdicts = {{"node2", true, {}}};
    CHECK(apply("").has_accepted());
    REQUIRE(bench.asked().size() == 2);
    CHECK_FALSE(bench.asked()[1].force);
}

TEST_CASE("nodes that a person declares to be off are asked about first, in a dry run dryly") {
    Bench bench;
    proto::ClusterStartRequest in;
    in.set_alone(true);
    in.add_confirm_down("node2");
    in.mutable_options()->set_dry_run(true);
    bench.change(&proto::Control::Stub::ClusterStart, in);
    REQUIRE(bench.asked().size() == 2);
    CHECK(bench.asked()[0].verb == OperatorVerb::kConfirmDown);
    CHECK(bench.asked()[0].dry_run);
    CHECK(bench.asked()[1].alone);
}

TEST_CASE("why and log come from all nodes and name who is missing") {
    Bench bench;
    grpc::ClientContext why_context;
    proto::WhyRequest why;
    why.set_subject("web");
    proto::WhyAnswer answer;
    REQUIRE(bench.stub->Why(&why_context, why, &answer).ok());
    CHECK(answer.sentence() == "Group web is placed on node1.");
    CHECK(answer.decisions(0).node() == "node2");
    CHECK(answer.decisions(0).inputs(0) == "node2: isolated");
    CHECK(answer.silent_nodes(0) == "node3");
    grpc::ClientContext log_context;
    const auto reader = bench.stub->GetLog(&log_context, proto::LogRequest{});
    proto::LogEntry entry;
    REQUIRE(reader->Read(&entry));
    CHECK(entry.node() == "node2");
    REQUIRE(reader->Read(&entry));
    CHECK(entry.code() == "log-missing");
    CHECK(entry.node() == "node3");
    CHECK_FALSE(reader->Read(&entry));
}

TEST_CASE("what is not there is an error with words") {
    Bench bench;
    grpc::ClientContext why_context;
    proto::WhyRequest why;
    why.set_subject("nothing");
    proto::WhyAnswer answer;
    CHECK(bench.stub->Why(&why_context, why, &answer).error_code() == grpc::StatusCode::NOT_FOUND);
    grpc::ClientContext history_context;
    proto::ConfigHistoryAnswer history;
    CHECK(bench.stub->ConfigHistory(&history_context, proto::ConfigHistoryRequest{}, &history).error_message() ==
          "the history is damaged");
    grpc::ClientContext show_context;
    proto::ConfigShowRequest show;
    show.set_version(9);
    proto::ConfigVersion version;
    CHECK(bench.stub->ConfigShow(&show_context, show, &version).error_code() == grpc::StatusCode::NOT_FOUND);
}

TEST_CASE("the reading calls answer") {
    Bench bench;
    grpc::ClientContext a;
    proto::Status status;
    REQUIRE(bench.stub->GetStatus(&a, proto::StatusRequest{}, &status).ok());
    CHECK(status.failover().state() == "Active");
    grpc::ClientContext b;
    proto::DoctorAnswer doctor;
    REQUIRE(bench.stub->Doctor(&b, proto::DoctorRequest{}, &doctor).ok());
    CHECK(doctor.findings_size() > 0);
    grpc::ClientContext c;
    proto::Statistics statistics;
    REQUIRE(bench.stub->GetStatistics(&c, proto::StatisticsRequest{}, &statistics).ok());
    CHECK(statistics.groups(0).group() == "web");
    grpc::ClientContext d;
    proto::NotifyRequest message;
    message.set_message("hello");
    proto::NotifyAnswer noted;
    REQUIRE(bench.stub->Notify(&d, message, &noted).ok());
    CHECK_FALSE(noted.has_refused());
}

TEST_CASE("a watcher gets the status at once, and again at least as often as it wants") {
    Bench bench;
    grpc::ClientContext context;
    proto::WatchRequest request;
    request.set_keepalive_ms(1);
    const auto reader = bench.stub->WatchStatus(&context, request);
    proto::Status status;
    CHECK(reader->Read(&status));
    CHECK(reader->Read(&status));
    context.TryCancel();
    while (reader->Read(&status)) continue;
    CHECK(reader->Finish().error_code() == grpc::StatusCode::CANCELLED);
}

TEST_CASE("who still waits when the daemon ends is let go") {
    Bench bench;
    bench.answers = false;
    std::atomic<bool> ended = false;
    std::thread waiting([&] {
        grpc::ClientContext context;
        proto::GroupRequest in;
        in.mutable_options()->set_wait(true);
        const auto reader = bench.stub->GroupStop(&context, in);
        proto::Progress progress;
        while (reader->Read(&progress)) continue;
        std::ignore = reader->Finish();
        ended = true;
    });
    REQUIRE(wait_until([&] { return !bench.asked().empty(); }));
    bench.end_server();
    waiting.join();
    CHECK(ended);
}
