#include "cluster-daemon/runtime/daemon/control_server.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "cluster-daemon/runtime/daemon/control_changes.h"
#include "cluster-daemon/runtime/daemon/control_config.h"
#include "cluster-daemon/runtime/daemon/control_reads.h"
#include "cluster-daemon/runtime/daemon/control_requests.h"
#include "cluster-daemon/runtime/daemon/control_simulate.h"
#include "cluster-daemon/runtime/daemon/doctor.h"
#include "common/config/bundle.h"
#include "proto/control.grpc.pb.h"

namespace kagami::runtime {
namespace {

namespace proto = control::v1;
using engine::OperatorVerb;
using grpc::ServerContext;
using ProgressWriter = grpc::ServerWriter<proto::Progress>;

constexpr Duration kWatchPeriod = 250ms;  // how soon a change shows in `status --watch`

grpc::Status to_grpc(const Status& status) {
    if (status) return grpc::Status::OK;
    const bool unknown = status.error().code == ErrorCode::kNotFound;
    return {unknown ? grpc::StatusCode::NOT_FOUND : grpc::StatusCode::UNAVAILABLE, status.error().message,
            status.error().remedy};
}

class Service final : public proto::Control::Service {
 public:
    explicit Service(ControlBackend backend) : backend_(std::move(backend)) {}
    void end() { ending_ = true; }

    grpc::Status GetStatus(ServerContext*, const proto::StatusRequest*, proto::Status* answer) override {
        build_status(backend_.status(), *answer);
        return grpc::Status::OK;
    }

    grpc::Status WatchStatus(ServerContext* context, const proto::WatchRequest* request,
                             grpc::ServerWriter<proto::Status>* writer) override {
        const auto keepalive = std::chrono::milliseconds(request->keepalive_ms() == 0 ? 1000 : request->keepalive_ms());
        std::string last;
        auto sent_at = std::chrono::steady_clock::time_point{};
        while (!gone(context)) {
            proto::Status status;
            build_status(backend_.status(), status);
            std::string now = essence(status);
            if (now != last || std::chrono::steady_clock::now() - sent_at >= keepalive) {
                if (!writer->Write(status)) break;
                last = std::move(now);
                sent_at = std::chrono::steady_clock::now();
            }
            std::this_thread::sleep_for(kWatchPeriod);
        }
        return grpc::Status::OK;
    }

    grpc::Status GetPaths(ServerContext*, const proto::PathsRequest*, proto::Paths* answer) override {
        build_paths(backend_.status(), *answer);
        return grpc::Status::OK;
    }

    grpc::Status Why(ServerContext*, const proto::WhyRequest* in, proto::WhyAnswer* answer) override {
        return to_grpc(answer_why(backend_, *in, *answer));
    }

    grpc::Status GetLog(ServerContext* context, const proto::LogRequest* in,
                        grpc::ServerWriter<proto::LogEntry>* writer) override {
        read_log(backend_, *in,
                 {[writer](const proto::LogEntry& entry) { return writer->Write(entry); },
                  [this, context] { return gone(context); }});
        return grpc::Status::OK;
    }

    grpc::Status GroupStart(ServerContext* context, const proto::GroupRequest* in, ProgressWriter* out) override {
        return change(context, reader().group_start(*in), in->options(), out);
    }
    grpc::Status GroupStop(ServerContext* context, const proto::GroupRequest* in, ProgressWriter* out) override {
        return change(context, reader().group_stop(*in), in->options(), out);
    }
    grpc::Status GroupMove(ServerContext* context, const proto::GroupMoveRequest* in, ProgressWriter* out) override {
        return change(context, reader().group_move(*in), in->options(), out);
    }
    grpc::Status NodeShutdown(ServerContext* context, const proto::NodeRequest* in, ProgressWriter* out) override {
        return change(context, reader().node_shutdown(*in), in->options(), out);
    }
    grpc::Status NodeReturn(ServerContext* context, const proto::NodeRequest* in, ProgressWriter* out) override {
        return change(context, reader().node_return(*in), in->options(), out);
    }
    grpc::Status ClusterStart(ServerContext* context, const proto::ClusterStartRequest* in,
                              ProgressWriter* out) override {
        for (const std::string& node : in->confirm_down()) {
            if (!carry_out_first(backend_, caller(context, out), reader().confirm_down(node, in->options())))
                return grpc::Status::OK;
        }
        return change(context, reader().cluster_start(*in), in->options(), out);
    }
    grpc::Status ClusterStop(ServerContext* context, const proto::ClusterStopRequest* in,
                             ProgressWriter* out) override {
        return change(context, reader().cluster_stop(*in), in->options(), out);
    }

    grpc::Status MirrorResync(ServerContext* context, const proto::MirrorRequest* in, ProgressWriter* out) override {
        return change(context, reader().mirror(OperatorVerb::kMirrorResync, *in), in->options(), out);
    }
    grpc::Status MirrorForce(ServerContext* context, const proto::MirrorRequest* in, ProgressWriter* out) override {
        return change(context, reader().mirror(OperatorVerb::kMirrorForce, *in), in->options(), out);
    }
    grpc::Status MirrorCancel(ServerContext* context, const proto::MirrorRequest* in, ProgressWriter* out) override {
        return change(context, reader().mirror(OperatorVerb::kMirrorCancel, *in), in->options(), out);
    }
    grpc::Status MirrorBreak(ServerContext* context, const proto::MirrorRequest* in, ProgressWriter* out) override {
        return change(context, reader().mirror(OperatorVerb::kMirrorBreak, *in), in->options(), out);
    }
    grpc::Status MirrorRejoin(ServerContext* context, const proto::MirrorRequest* in, ProgressWriter* out) override {
        return change(context, reader().mirror(OperatorVerb::kMirrorRejoin, *in), in->options(), out);
    }

    grpc::Status ResourceStart(ServerContext* context, const proto::ResourceRequest* in, ProgressWriter* out) override {
        return change(context, reader().resource(OperatorVerb::kResourceStart, *in), in->options(), out);
    }
    grpc::Status ResourceStop(ServerContext* context, const proto::ResourceRequest* in, ProgressWriter* out) override {
        return change(context, reader().resource(OperatorVerb::kResourceStop, *in), in->options(), out);
    }
    grpc::Status MonitorControl(ServerContext* context, const proto::MonitorRequest* in, ProgressWriter* out) override {
        return change(context, reader().monitor(*in), in->options(), out);
    }
    grpc::Status FailoverControl(ServerContext* context, const proto::FailoverRequest* in,
                                 ProgressWriter* out) override {
        return change(context, reader().failover(*in), in->options(), out);
    }
    grpc::Status MaintenanceControl(ServerContext* context, const proto::MaintenanceRequest* in,
                                    ProgressWriter* out) override {
        return change(context, reader().maintenance(*in), in->options(), out);
    }
    grpc::Status LeaderMove(ServerContext* context, const proto::NodeRequest* in, ProgressWriter* out) override {
        return change(context, reader().leader_move(*in), in->options(), out);
    }
    grpc::Status SetTimeoutRatio(ServerContext* context, const proto::TimeoutRatioRequest* in,
                                 ProgressWriter* out) override {
        return change(context, reader().timeout_ratio(*in), in->options(), out);
    }
    grpc::Status ClearFinalActions(ServerContext* context, const proto::NodeRequest* in, ProgressWriter* out) override {
        return change(context, reader().clear_final_actions(*in), in->options(), out);
    }

    grpc::Status ConfigConfirm(ServerContext* context, const proto::ConfigConfirmRequest* in,
                               ProgressWriter* out) override {
        return change(context, reader().config_confirm(in->options()), in->options(), out);
    }

    grpc::Status ConfigCheck(ServerContext*, const proto::ConfigCheckRequest* in,
                             proto::ConfigCheckAnswer* answer) override {
        check_config(backend_.snapshot(), *in, *answer);
        return grpc::Status::OK;
    }
    grpc::Status ConfigApply(ServerContext* context, const proto::ConfigApplyRequest* in,
                             ProgressWriter* out) override {
        apply_config(backend_, caller(context, out), *in);
        return grpc::Status::OK;
    }
    grpc::Status ConfigShow(ServerContext*, const proto::ConfigShowRequest* in, proto::ConfigVersion* answer) override {
        return to_grpc(show_config(backend_, in->version(), *answer));
    }
    grpc::Status ConfigHistory(ServerContext*, const proto::ConfigHistoryRequest* in,
                               proto::ConfigHistoryAnswer* answer) override {
        return to_grpc(config_history(backend_, in->limit() == 0 ? 20 : in->limit(), *answer));
    }

    grpc::Status Simulate(ServerContext*, const proto::SimulateRequest* in, proto::SimulateAnswer* answer) override {
        simulate(backend_.status(), in->what(), *answer);
        return grpc::Status::OK;
    }

    grpc::Status Doctor(ServerContext*, const proto::DoctorRequest*, proto::DoctorAnswer* answer) override {
        examine(backend_.doctor(), *answer);
        return grpc::Status::OK;
    }

    grpc::Status GetStatistics(ServerContext*, const proto::StatisticsRequest*, proto::Statistics* answer) override {
        backend_.statistics(*answer);
        return grpc::Status::OK;
    }

    grpc::Status Notify(ServerContext*, const proto::NotifyRequest* in, proto::NotifyAnswer* answer) override {
        notify(backend_, *in, *answer);
        return grpc::Status::OK;
    }

    grpc::Status CreateToken(ServerContext*, const proto::TokenRequest* in, proto::TokenAnswer* answer) override {
        const auto token = backend_.create_token(
            in->node(), std::chrono::seconds(in->valid_seconds() == 0 ? 900 : in->valid_seconds()));
        if (!token) {
            fill_refused(*answer->mutable_refused(), token.error());
            return grpc::Status::OK;
        }
        answer->mutable_token()->set_text(token->text);
        answer->mutable_token()->set_node(token->node);
        answer->mutable_token()->set_expires_unix_ms(token->expires_unix_ms);
        return grpc::Status::OK;
    }

 private:
    bool gone(const ServerContext* context) const { return context->IsCancelled() || ending_; }

    Caller caller(ServerContext* context, ProgressWriter* out) {
        return {[out](const proto::Progress& progress) { return out->Write(progress); },
                [this, context] { return gone(context); }};
    }

    RequestReader reader() const {
        const engine::Snapshot present = backend_.snapshot();
        return {present.config, present.self.node};
    }

    grpc::Status change(ServerContext* context, Result<engine::OperatorRequest> request,
                        const proto::ChangeOptions& options, ProgressWriter* out) {
        carry_out(backend_, caller(context, out), std::move(request), options);
        return grpc::Status::OK;
    }

    ControlBackend backend_;
    std::atomic<bool> ending_ = false;
};

}  // namespace

struct ControlServer::Impl {
    explicit Impl(ControlBackend backend) : service(std::move(backend)) {}
    Service service;
    std::unique_ptr<grpc::Server> server;
};

ControlServer::ControlServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ControlServer::~ControlServer() {
    impl_->service.end();
    impl_->server->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(500));
}

Result<std::unique_ptr<ControlServer>> ControlServer::start(const std::string& socket_path, ControlBackend backend) {
    auto impl = std::make_unique<Impl>(std::move(backend));
    ::unlink(socket_path.c_str());
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + socket_path, grpc::InsecureServerCredentials());
    builder.RegisterService(&impl->service);
    builder.SetMaxReceiveMessageSize(static_cast<int>(2 * config::kMaxBundleBytes));
    builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
    impl->server = builder.BuildAndStart();
    if (!impl->server || ::chmod(socket_path.c_str(), 0600) != 0) {
        return fail(fmt::format("{}: cannot listen for the command line", socket_path),
                    "check that the directory exists, belongs to root and is not full");
    }
    return std::unique_ptr<ControlServer>(new ControlServer(std::move(impl)));
}

}  // namespace kagami::runtime
