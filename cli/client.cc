#include "cli/client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>
#include <unistd.h>

#include <cerrno>

#include "proto/control.grpc.pb.h"

namespace kagami::cli {
namespace {

using namespace std::chrono_literals;
constexpr Duration kReadTimeout = 10s;
constexpr auto kChangeTimeout = 30s;  // until it is accepted; a wait has its own limit
constexpr int kAnswerLimitBytes = 16 << 20;

std::string remedy_of(ErrorCode code) {
    return code == ErrorCode::kUnreachable ? "start it: systemctl start kagamid; then look at: journalctl -u kagamid"
                                           : "";
}

ErrorCode code_of(const grpc::Status& status) {
    switch (status.error_code()) {
        case grpc::StatusCode::UNAVAILABLE: return ErrorCode::kUnreachable;
        case grpc::StatusCode::DEADLINE_EXCEEDED: return ErrorCode::kTimedOut;
        case grpc::StatusCode::NOT_FOUND: return ErrorCode::kNotFound;
        case grpc::StatusCode::INVALID_ARGUMENT: return ErrorCode::kUsage;
        case grpc::StatusCode::FAILED_PRECONDITION:
        case grpc::StatusCode::PERMISSION_DENIED: return ErrorCode::kRefused;
        default: return ErrorCode::kFailed;  // gRPC's list is open, unlike ours
    }
}

tl::unexpected<Error> call_error(const grpc::Status& status) {
    const ErrorCode code = code_of(status);
    if (code == ErrorCode::kUnreachable)
        return fail(code, "the cluster daemon does not answer: " + status.error_message(), remedy_of(code));
    if (code == ErrorCode::kTimedOut)
        return fail(code, "the time-out has passed before it was done", "it may still go on: kagami status --watch");
    if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED)
        return fail(code, "the cluster daemon does not know this command: it is of another version",
                    "install the same version on every node, then: systemctl restart kagamid");
    return fail(code, status.error_message());
}

tl::unexpected<Error> refusal(const pb::Refused& refused) {
    const bool known = refused.code() >= 1 && refused.code() <= 8;
    return fail(known ? static_cast<ErrorCode>(refused.code()) : ErrorCode::kFailed, refused.message(),
                refused.remedy());
}

void limit(grpc::ClientContext& context, Duration time) {
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::duration_cast<std::chrono::milliseconds>(time));
}

template <typename Message, typename Reader>
Status read_all(Reader& reader, const std::function<void(const Message&)>& show) {
    Message message;
    while (reader.Read(&message)) show(message);
    const grpc::Status status = reader.Finish();
    if (!status.ok()) return call_error(status);
    return {};
}

}  // namespace

struct Client::Connection {
    std::unique_ptr<pb::Control::Stub> stub;
    Duration read_timeout = kReadTimeout;

    template <typename Answer, typename Call, typename Request>
    Result<Answer> read(Call call, const Request& request) {
        grpc::ClientContext context;
        limit(context, read_timeout);
        Answer answer;
        const grpc::Status status = (*stub.*call)(&context, request, &answer);
        if (!status.ok()) return call_error(status);
        return answer;
    }

    template <typename Call, typename Request>
    Status change(Call call, const Request& request, const Show& show) {
        grpc::ClientContext context;
        const pb::ChangeOptions& options = request.options();
        if (!options.wait()) limit(context, kChangeTimeout);
        if (options.wait() && options.timeout_ms() > 0) limit(context, std::chrono::milliseconds(options.timeout_ms()));
        const auto reader = (*stub.*call)(&context, request);
        Status outcome = fail("the daemon ended the call without an answer", "look at: journalctl -u kagamid");
        const auto see = [&](const pb::Progress& progress) {
            show(progress);
            if (progress.has_accepted() && !options.wait()) outcome = {};
            if (progress.has_accepted() && options.wait())
                outcome = fail("the daemon ended the call before it was done", "look at: kagami status");
            if (progress.has_done()) outcome = {};
            if (progress.has_accepted() && progress.accepted().dry_run()) outcome = {};
            if (progress.has_refused()) outcome = refusal(progress.refused());
        };
        const Status read = read_all<pb::Progress>(*reader, see);
        return read ? outcome : read;
    }
};

Client::Client(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::connect(const std::string& socket_path) {
    if (::access(socket_path.c_str(), R_OK | W_OK) != 0) {
        if (errno == EACCES)
            return fail(ErrorCode::kUnreachable, "no right to speak to the cluster daemon at " + socket_path,
                        "run this as root");
        return fail(ErrorCode::kUnreachable, "the cluster daemon does not run: " + socket_path + " is not there",
                    remedy_of(ErrorCode::kUnreachable));
    }
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    arguments.SetMaxReceiveMessageSize(kAnswerLimitBytes);
    const auto channel =
        grpc::CreateCustomChannel("unix:" + socket_path, grpc::InsecureChannelCredentials(), arguments);
    auto connection = std::make_unique<Connection>();
    connection->stub = pb::Control::NewStub(channel);
    return std::unique_ptr<Client>(new Client(std::move(connection)));
}

Result<pb::Status> Client::status() {
    return connection_->read<pb::Status>(&pb::Control::Stub::GetStatus, pb::StatusRequest{});
}
Result<pb::Paths> Client::paths() {
    return connection_->read<pb::Paths>(&pb::Control::Stub::GetPaths, pb::PathsRequest{});
}
Result<pb::WhyAnswer> Client::why(const pb::WhyRequest& request) {
    return connection_->read<pb::WhyAnswer>(&pb::Control::Stub::Why, request);
}
Result<pb::ConfigCheckAnswer> Client::config_check(const pb::ConfigCheckRequest& request) {
    return connection_->read<pb::ConfigCheckAnswer>(&pb::Control::Stub::ConfigCheck, request);
}
Result<pb::ConfigVersion> Client::config_show(const pb::ConfigShowRequest& request) {
    return connection_->read<pb::ConfigVersion>(&pb::Control::Stub::ConfigShow, request);
}
Result<pb::ConfigHistoryAnswer> Client::config_history(const pb::ConfigHistoryRequest& request) {
    return connection_->read<pb::ConfigHistoryAnswer>(&pb::Control::Stub::ConfigHistory, request);
}

Result<pb::Token> Client::create_token(const pb::TokenRequest& request) {
    auto answer = connection_->read<pb::TokenAnswer>(&pb::Control::Stub::CreateToken, request);
    if (!answer) return tl::unexpected(answer.error());
    if (answer->has_refused()) return refusal(answer->refused());
    return answer->token();
}

Result<pb::SimulateAnswer> Client::simulate(const pb::SimulateRequest& request) {
    auto answer = connection_->read<pb::SimulateAnswer>(&pb::Control::Stub::Simulate, request);
    if (answer && answer->has_refused()) return refusal(answer->refused());
    return answer;
}
Result<pb::DoctorAnswer> Client::doctor() {
    return connection_->read<pb::DoctorAnswer>(&pb::Control::Stub::Doctor, pb::DoctorRequest{});
}
Result<pb::Statistics> Client::statistics() {
    return connection_->read<pb::Statistics>(&pb::Control::Stub::GetStatistics, pb::StatisticsRequest{});
}
Status Client::notify(const pb::NotifyRequest& request) {
    const auto answer = connection_->read<pb::NotifyAnswer>(&pb::Control::Stub::Notify, request);
    if (!answer) return tl::unexpected(answer.error());
    if (answer->has_refused()) return refusal(answer->refused());
    return {};
}
void Client::limit_reads(Duration limit) {
    connection_->read_timeout = limit;
}

Status Client::watch(const std::function<void(const pb::Status&)>& show) {
    grpc::ClientContext context;
    const auto reader = connection_->stub->WatchStatus(&context, pb::WatchRequest{});
    return read_all<pb::Status>(*reader, show);
}

Status Client::log(const pb::LogRequest& request, const std::function<void(const pb::LogEntry&)>& show) {
    grpc::ClientContext context;
    if (!request.follow()) limit(context, kReadTimeout);
    const auto reader = connection_->stub->GetLog(&context, request);
    return read_all<pb::LogEntry>(*reader, show);
}

Status Client::group_start(const pb::GroupRequest& request, const Show& show) {
    return connection_->change(&pb::Control::Stub::GroupStart, request, show);
}
Status Client::group_stop(const pb::GroupRequest& request, const Show& show) {
    return connection_->change(&pb::Control::Stub::GroupStop, request, show);
}
Status Client::group_move(const pb::GroupMoveRequest& request, const Show& show) {
    return connection_->change(&pb::Control::Stub::GroupMove, request, show);
}
Status Client::node_shutdown(const pb::NodeRequest& request, const Show& show) {
    return connection_->change(&pb::Control::Stub::NodeShutdown, request, show);
}
Status Client::node_return(const pb::NodeRequest& request, const Show& show) {
    return connection_->change(&pb::Control::Stub::NodeReturn, request, show);
}
Status Client::cluster_start(const pb::ClusterStartRequest& request, const Show& show) {
    return connection_->change(&pb::Control::Stub::ClusterStart, request, show);
}
Status Client::cluster_stop(const pb::ClusterStopRequest& request, const Show& show) {
    return connection_->change(&pb::Control::Stub::ClusterStop, request, show);
}
Status Client::resource_start(const pb::ResourceRequest& request, const Show& show) {
    return connection_->change(&pb::Control::Stub::ResourceStart, request, show);
}
Status Client::resource_stop(const pb::ResourceRequest& request, const Show& show) {
    return connection_->change(&pb::Control::Stub::ResourceStop, request, show);
}
Status Client::monitor_control(const pb::MonitorRequest& request, const Show& show) {
    return connection_->change(&pb::Control::Stub::MonitorControl, request, show);
}
Status Client::failover_control(const pb::FailoverRequest& request, const Show& show) {
    return connection_->change(&pb::Control::Stub::FailoverControl, request, show);
}
Status Client::maintenance_control(const pb::MaintenanceRequest& request, const Show& show) {
    return connection_->change(&pb::Control::Stub::MaintenanceControl, request, show);
}
Status Client::leader_move(const pb::NodeRequest& request, const Show& show) {
    return connection_->change(&pb::Control::Stub::LeaderMove, request, show);
}
Status Client::set_timeout_ratio(const pb::TimeoutRatioRequest& request, const Show& show) {
    return connection_->change(&pb::Control::Stub::SetTimeoutRatio, request, show);
}
Status Client::clear_final_actions(const pb::NodeRequest& request, const Show& show) {
    return connection_->change(&pb::Control::Stub::ClearFinalActions, request, show);
}
Status Client::mirror_resync(const pb::MirrorRequest& request, const Show& show) {
    return connection_->change(&pb::Control::Stub::MirrorResync, request, show);
}
Status Client::mirror_force(const pb::MirrorRequest& request, const Show& show) {
    return connection_->change(&pb::Control::Stub::MirrorForce, request, show);
}
Status Client::mirror_cancel(const pb::MirrorRequest& request, const Show& show) {
    return connection_->change(&pb::Control::Stub::MirrorCancel, request, show);
}
Status Client::mirror_break(const pb::MirrorRequest& request, const Show& show) {
    return connection_->change(&pb::Control::Stub::MirrorBreak, request, show);
}
Status Client::mirror_rejoin(const pb::MirrorRequest& request, const Show& show) {
    return connection_->change(&pb::Control::Stub::MirrorRejoin, request, show);
}
Status Client::config_apply(const pb::ConfigApplyRequest& request, const Show& show) {
    return connection_->change(&pb::Control::Stub::ConfigApply, request, show);
}
Status Client::config_confirm(const pb::ConfigConfirmRequest& request, const Show& show) {
    return connection_->change(&pb::Control::Stub::ConfigConfirm, request, show);
}

}  // namespace kagami::cli
