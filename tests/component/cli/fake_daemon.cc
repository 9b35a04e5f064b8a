#include "tests/component/cli/fake_daemon.h"

#include <grpcpp/grpcpp.h>

#include "proto/control.grpc.pb.h"

namespace kagami::cli {
namespace {

using grpc::ServerContext;
using Writer = grpc::ServerWriter<pb::Progress>;

class Service final : public pb::Control::Service {
 public:
    Service(Answers& answers, Asked& asked) : answers_(answers), asked_(asked) {}

    grpc::Status GetStatus(ServerContext*, const pb::StatusRequest*, pb::Status* out) override {
        *out = answers_.status;
        return grpc::Status::OK;
    }
    grpc::Status WatchStatus(ServerContext*, const pb::WatchRequest*, grpc::ServerWriter<pb::Status>* out) override {
        out->Write(answers_.status);
        out->Write(answers_.status);
        return grpc::Status::OK;
    }
    grpc::Status Why(ServerContext*, const pb::WhyRequest* in, pb::WhyAnswer*) override {
        return {grpc::StatusCode::NOT_FOUND, "nothing is named " + in->subject()};
    }
    grpc::Status GetLog(ServerContext*, const pb::LogRequest* in, grpc::ServerWriter<pb::LogEntry>* out) override {
        asked_.log = *in;
        for (const pb::LogEntry& entry : answers_.log) out->Write(entry);
        return grpc::Status::OK;
    }
    grpc::Status GroupStop(ServerContext*, const pb::GroupRequest* in, Writer* out) override {
        return change("GroupStop", in->options(), out);
    }
    grpc::Status GroupMove(ServerContext*, const pb::GroupMoveRequest* in, Writer* out) override {
        asked_.group_move = *in;
        return change("GroupMove", in->options(), out);
    }
    grpc::Status NodeShutdown(ServerContext*, const pb::NodeRequest* in, Writer* out) override {
        asked_.node = *in;
        return change("NodeShutdown", in->options(), out);
    }
    grpc::Status ClusterStart(ServerContext*, const pb::ClusterStartRequest* in, Writer* out) override {
        asked_.cluster_start = *in;
        return change("ClusterStart", in->options(), out);
    }
    grpc::Status MirrorResync(ServerContext*, const pb::MirrorRequest* in, Writer* out) override {
        return mirror("MirrorResync", *in, out);
    }
    grpc::Status MirrorForce(ServerContext*, const pb::MirrorRequest* in, Writer* out) override {
        return mirror("MirrorForce", *in, out);
    }
    grpc::Status MirrorCancel(ServerContext*, const pb::MirrorRequest* in, Writer* out) override {
        return mirror("MirrorCancel", *in, out);
    }
    grpc::Status MirrorBreak(ServerContext*, const pb::MirrorRequest* in, Writer* out) override {
        return mirror("MirrorBreak", *in, out);
    }
    grpc::Status MirrorRejoin(ServerContext*, const pb::MirrorRequest* in, Writer* out) override {
        return mirror("MirrorRejoin", *in, out);
    }
    grpc::Status ConfigCheck(ServerContext*, const pb::ConfigCheckRequest*, pb::ConfigCheckAnswer* out) override {
        *out = answers_.check;
        return grpc::Status::OK;
    }
    grpc::Status ConfigApply(ServerContext*, const pb::ConfigApplyRequest* in, Writer* out) override {
        asked_.apply = *in;
        return change("ConfigApply", in->options(), out);
    }
    grpc::Status ConfigShow(ServerContext*, const pb::ConfigShowRequest*, pb::ConfigVersion* out) override {
        *out = answers_.config;
        return grpc::Status::OK;
    }
    grpc::Status CreateToken(ServerContext*, const pb::TokenRequest* in, pb::TokenAnswer* out) override {
        asked_.token = *in;
        *out = answers_.token;
        return grpc::Status::OK;
    }

 private:
    grpc::Status mirror(const std::string& name, const pb::MirrorRequest& in, Writer* out) {
        asked_.mirror = in;
        return change(name, in.options(), out);
    }
    grpc::Status change(const std::string& name, const pb::ChangeOptions& options, Writer* out) {
        asked_.calls.push_back(options.dry_run() ? name + " dry" : name);
        for (const pb::Progress& each : options.dry_run() ? answers_.dry_run_progress : answers_.progress)
            out->Write(each);
        return grpc::Status::OK;
    }
    Answers& answers_;
    Asked& asked_;
};

}  // namespace

struct FakeDaemon::Server {
    Server(Answers& answers, Asked& asked) : service(answers, asked) {}
    Service service;
    std::unique_ptr<grpc::Server> server;
};

FakeDaemon::FakeDaemon(const std::string& socket_path) : server_(std::make_unique<Server>(answers, asked)) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + socket_path, grpc::InsecureServerCredentials());
    builder.RegisterService(&server_->service);
    server_->server = builder.BuildAndStart();
}

FakeDaemon::~FakeDaemon() {
    server_->server->Shutdown();
}

}  // namespace kagami::cli
