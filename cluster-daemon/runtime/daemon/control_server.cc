#include "cluster-daemon/runtime/daemon/control_server.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <thread>

#include "cluster-daemon/runtime/daemon/active_config.h"
#include "common/config/diff.h"
#include "common/config/reader.h"
#include "common/files.h"
#include "common/hash.h"
#include "common/text.h"
#include "proto/control.grpc.pb.h"

namespace kagami::runtime {
namespace {

namespace proto = control::v1;
using grpc::ServerContext;
using ProgressWriter = grpc::ServerWriter<proto::Progress>;

constexpr Duration kWatchPeriod = 250ms;  // how soon a change shows in `status --watch`
constexpr Duration kCancelCheck = 100ms;

void refuse(proto::Refused& out, const Error& error) {
    out.set_code(static_cast<uint32_t>(error.code));
    out.set_message(valid_utf8(error.message));
    out.set_remedy(valid_utf8(error.remedy));
}

const char* word(engine::Level level) {
    switch (level) {
        case engine::Level::kInfo: return "INFO";
        case engine::Level::kWarning: return "WARN";
        case engine::Level::kError: return "ERROR";
    }
    return "INFO";
}

engine::Level parse_level(const std::string& text) {
    if (text == "WARN") return engine::Level::kWarning;
    if (text == "ERROR") return engine::Level::kError;
    return engine::Level::kInfo;
}

// The answers to one request, handed from the engine's thread to the caller's.
class Conversation {
 public:
    void add(const engine::OperatorReply& reply) {
        {
            const std::lock_guard lock(mutex_);
            replies_.push_back(reply);
        }
        arrived_.notify_one();
    }
    std::optional<engine::OperatorReply> next(Duration wait) {
        std::unique_lock lock(mutex_);
        if (!arrived_.wait_for(lock, wait, [this] { return !replies_.empty(); })) return std::nullopt;
        engine::OperatorReply reply = std::move(replies_.front());
        replies_.pop_front();
        return reply;
    }

 private:
    std::mutex mutex_;
    std::condition_variable arrived_;
    std::deque<engine::OperatorReply> replies_;
};

// Fields that change with every look are left out of the comparison that decides whether a watcher hears of it.
std::string essence(proto::Status status) {
    status.set_time_unix_ms(0);
    status.set_sequence(0);
    status.mutable_guard()->set_deadline_left_ms(0);
    for (auto& node : *status.mutable_nodes()) {
        node.set_lease_left_ms(0);
        for (auto& path : *node.mutable_paths()) {
            path.set_last_seen_ms(0);
            path.set_rtt_ms(0);
            path.set_loss_percent(0);
        }
    }
    for (auto& path : *status.mutable_witness()->mutable_paths()) {
        path.set_last_seen_ms(0);
        path.set_rtt_ms(0);
        path.set_loss_percent(0);
    }
    return status.SerializeAsString();
}

config::Bundle to_bundle(const proto::ConfigBundle& in) {
    config::Bundle bundle;
    bundle.text = in.text();
    for (const auto& [name, content] : in.scripts()) bundle.scripts[name] = content;
    return bundle;
}

void fill_bundle(const config::Bundle& bundle, proto::ConfigBundle& out) {
    out.set_text(bundle.text);
    for (const auto& [name, content] : bundle.scripts) (*out.mutable_scripts())[name] = content;
}

const char* word(config::ChangeKind kind) {
    switch (kind) {
        case config::ChangeKind::kAdded: return "added";
        case config::ChangeKind::kRemoved: return "removed";
        case config::ChangeKind::kChanged: return "changed";
    }
    return "changed";
}

const char* word(config::RestartScope scope) {
    switch (scope) {
        case config::RestartScope::kNothing: return "nothing";
        case config::RestartScope::kMonitor: return "monitor";
        case config::RestartScope::kGroup: return "group";
        case config::RestartScope::kCluster: return "cluster";
    }
    return "nothing";
}

template <typename Repeated>
void fill_problems(const std::vector<config::Problem>& problems, Repeated* out) {
    for (const auto& problem : problems) {
        auto& line = *out->Add();
        line.set_file(problem.file);
        line.set_line(static_cast<uint32_t>(problem.line));
        line.set_column(static_cast<uint32_t>(problem.column));
        line.set_message(problem.message);
        line.set_suggestion(problem.suggestion);
    }
}

config::Parsed parse_bundle(const config::Bundle& bundle) {
    std::set<std::string> scripts;
    for (const auto& [name, content] : bundle.scripts) scripts.insert(name);
    return config::parse(bundle.text, "cluster.toml", type_catalogue(), &scripts);
}

Result<Hash> parse_hash(const std::string& hex) {
    Hash hash{};
    if (hex.empty()) return hash;
    if (hex.size() != hash.size() * 2) return fail(ErrorCode::kUsage, "the expected hash is not 64 hexadecimal digits");
    for (size_t i = 0; i < hash.size(); ++i) {
        const std::string pair = hex.substr(2 * i, 2);
        char* end = nullptr;
        hash[i] = static_cast<uint8_t>(std::strtoul(pair.c_str(), &end, 16));
        if (*end != '\0') return fail(ErrorCode::kUsage, "the expected hash is not hexadecimal");
    }
    return hash;
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
        while (!context->IsCancelled() && !ending_) {
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

    grpc::Status Why(ServerContext*, const proto::WhyRequest* request, proto::WhyAnswer* answer) override {
        const StatusInput input = backend_.status();
        if (!build_why(input, request->subject(), *answer)) {
            return {grpc::StatusCode::NOT_FOUND, fmt::format("nothing is named {}", request->subject())};
        }
        LogQuery query;
        query.subject = request->subject();
        query.limit = request->limit() == 0 ? 10 : request->limit();
        std::vector<LogLine> lines = backend_.log(query);
        std::reverse(lines.begin(), lines.end());
        for (const LogLine& line : lines) {
            fill_decision(line, *answer->add_decisions());
            answer->mutable_decisions()->rbegin()->set_node(backend_.own_name);
        }
        if (answer->sentence().empty() && !lines.empty()) answer->set_sentence(valid_utf8(lines.front().message));
        return grpc::Status::OK;
    }

    grpc::Status GetLog(ServerContext* context, const proto::LogRequest* request,
                        grpc::ServerWriter<proto::LogEntry>* writer) override {
        LogQuery query;
        query.since_unix_ms = request->since_unix_ms();
        query.limit = request->limit() == 0 ? 200 : request->limit();
        query.minimum = parse_level(request->minimum_level());
        query.subject = request->subject();
        while (!context->IsCancelled() && !ending_) {
            for (const LogLine& line : backend_.log(query)) {
                proto::LogEntry entry;
                entry.set_time_unix_ms(line.unix_ms);
                entry.set_node(backend_.own_name);
                entry.set_level(word(line.level));
                entry.set_subject(line.subject);
                entry.set_code(line.code);
                entry.set_message(valid_utf8(line.message));
                if (!writer->Write(entry)) return grpc::Status::OK;
                query.since_unix_ms = line.unix_ms + 1;
            }
            if (!request->follow()) break;
            std::this_thread::sleep_for(kWatchPeriod);
        }
        return grpc::Status::OK;
    }

    grpc::Status GroupStart(ServerContext* context, const proto::GroupRequest* in, ProgressWriter* out) override {
        return change(context, request_for(engine::OperatorVerb::kGroupStart, in->group(), in->node(), in->options()), in->options(), out);
    }
    grpc::Status GroupStop(ServerContext* context, const proto::GroupRequest* in, ProgressWriter* out) override {
        return change(context, request_for(engine::OperatorVerb::kGroupStop, in->group(), "", in->options()), in->options(), out);
    }
    grpc::Status GroupMove(ServerContext* context, const proto::GroupMoveRequest* in, ProgressWriter* out) override {
        return change(context, request_for(engine::OperatorVerb::kGroupMove, in->group(), in->to_node(), in->options()), in->options(), out);
    }
    grpc::Status NodeShutdown(ServerContext* context, const proto::NodeRequest* in, ProgressWriter* out) override {
        auto request = request_for(engine::OperatorVerb::kNodeShutdown, node_or_self(in->node()), "", in->options());
        if (request) {
            request->reboot = in->reboot();
            request->halt = !in->reboot() && !in->stop_service_only();
        }
        return change(context, std::move(request), in->options(), out);
    }
    grpc::Status NodeReturn(ServerContext* context, const proto::NodeRequest* in, ProgressWriter* out) override {
        return change(context, request_for(engine::OperatorVerb::kNodeReturn, node_or_self(in->node()), "", in->options()), in->options(), out);
    }
    grpc::Status ClusterStart(ServerContext* context, const proto::ClusterStartRequest* in, ProgressWriter* out) override {
        for (const std::string& node : in->confirm_down()) {
            if (!confirm_down(context, node, in->options(), out)) return grpc::Status::OK;
        }
        auto request = request_for(engine::OperatorVerb::kClusterStart, "", "", in->options());
        if (request) {
            request->alone = in->alone();
            request->force = in->now() || request->force;
        }
        return change(context, std::move(request), in->options(), out);
    }
    grpc::Status ClusterStop(ServerContext* context, const proto::ClusterStopRequest* in, ProgressWriter* out) override {
        return change(context, request_for(engine::OperatorVerb::kClusterStop, "", "", in->options()), in->options(), out);
    }

    grpc::Status MirrorResync(ServerContext* context, const proto::MirrorRequest* in, ProgressWriter* out) override {
        auto request = mirror_request(engine::OperatorVerb::kMirrorResync, *in);
        if (request) request->force = in->full();
        return change(context, std::move(request), in->options(), out);
    }
    grpc::Status MirrorForce(ServerContext* context, const proto::MirrorRequest* in, ProgressWriter* out) override {
        return change(context, mirror_request(engine::OperatorVerb::kMirrorForce, *in), in->options(), out);
    }
    grpc::Status MirrorCancel(ServerContext* context, const proto::MirrorRequest* in, ProgressWriter* out) override {
        return change(context, mirror_request(engine::OperatorVerb::kMirrorCancel, *in), in->options(), out);
    }
    grpc::Status MirrorBreak(ServerContext* context, const proto::MirrorRequest* in, ProgressWriter* out) override {
        return change(context, mirror_request(engine::OperatorVerb::kMirrorBreak, *in), in->options(), out);
    }
    grpc::Status MirrorRejoin(ServerContext* context, const proto::MirrorRequest* in, ProgressWriter* out) override {
        return change(context, mirror_request(engine::OperatorVerb::kMirrorRejoin, *in), in->options(), out);
    }

    grpc::Status ConfigCheck(ServerContext*, const proto::ConfigCheckRequest* in, proto::ConfigCheckAnswer* answer) override {
        const StatusInput input = backend_.status();
        const config::Bundle bundle = to_bundle(in->bundle());
        const config::Parsed parsed = parse_bundle(bundle);
        fill_problems(parsed.problems, answer->mutable_problems());
        if (const auto packed = config::pack(bundle)) {
            const Hash hash = sha256(*packed);
            answer->set_hash(to_hex(hash.data(), hash.size()));
        }
        const auto& in_force = input.snapshot.document.config;
        answer->set_in_force_version(in_force.version);
        answer->set_in_force_hash(to_hex(in_force.hash.data(), in_force.hash.size()));
        if (!parsed.config || !input.snapshot.config) return grpc::Status::OK;
        std::vector<config::Change> changes = config::diff(*input.snapshot.config, *parsed.config);
        if (const auto present = config::unpack(in_force.packed)) {
            const auto scripts = config::diff_scripts(*present, bundle);
            changes.insert(changes.end(), scripts.begin(), scripts.end());
        }
        for (const auto& change : changes) {
            proto::ConfigChange& line = *answer->add_changes();
            line.set_kind(word(change.kind));
            line.set_path(change.path);
            line.set_old_text(change.old_text);
            line.set_new_text(change.new_text);
            line.set_restarts(word(change.restarts));
            line.set_restarts_name(change.restarts_name);
        }
        return grpc::Status::OK;
    }

    grpc::Status ConfigApply(ServerContext* context, const proto::ConfigApplyRequest* in, ProgressWriter* out) override {
        const config::Bundle bundle = to_bundle(in->bundle());
        const config::Parsed parsed = parse_bundle(bundle);
        if (!parsed.config) {
            proto::Progress progress;
            refuse(*progress.mutable_refused(), {ErrorCode::kUsage, "the configuration has errors; nothing was changed", "mend them and apply again"});
            fill_problems(parsed.problems, progress.mutable_refused()->mutable_problems());
            out->Write(progress);
            return grpc::Status::OK;
        }
        if (in->options().dry_run()) return accept_dry_run("the configuration is valid; nothing was changed", out);
        auto request = request_for(engine::OperatorVerb::kConfigApply, "", "", in->options());
        const auto packed = config::pack(bundle);
        const auto expected = parse_hash(in->expected_hash());
        if (!packed) request = tl::unexpected<Error>(packed.error());
        else if (!expected) request = tl::unexpected<Error>(expected.error());
        else {
            request->bundle = *packed;
            request->expected = *expected;
        }
        return change(context, std::move(request), in->options(), out);
    }

    grpc::Status ConfigShow(ServerContext*, const proto::ConfigShowRequest* in, proto::ConfigVersion* answer) override {
        const auto& in_force = backend_.status().snapshot.document.config;
        if (in->version() == 0 || in->version() == in_force.version) {
            answer->set_version(in_force.version);
            answer->set_hash(to_hex(in_force.hash.data(), in_force.hash.size()));
            return show(in_force.packed, *answer);
        }
        const auto packed = backend_.config_version(in->version());
        if (!packed) return {grpc::StatusCode::NOT_FOUND, packed.error().message};
        answer->set_version(in->version());
        const Hash hash = sha256(*packed);
        answer->set_hash(to_hex(hash.data(), hash.size()));
        return show(*packed, *answer);
    }

    grpc::Status ConfigHistory(ServerContext*, const proto::ConfigHistoryRequest* in, proto::ConfigHistoryAnswer* answer) override {
        const auto history = backend_.config_history(in->limit() == 0 ? 20 : in->limit());
        if (!history) return {grpc::StatusCode::UNAVAILABLE, history.error().message};
        for (const ConfigRecord& record : *history) fill_record(record, *answer->add_versions());
        return grpc::Status::OK;
    }

    grpc::Status CreateToken(ServerContext*, const proto::TokenRequest* in, proto::TokenAnswer* answer) override {
        const auto token = backend_.create_token(in->node(), std::chrono::seconds(in->valid_seconds() == 0 ? 900 : in->valid_seconds()));
        if (!token) {
            refuse(*answer->mutable_refused(), token.error());
            return grpc::Status::OK;
        }
        answer->mutable_token()->set_text(token->text);
        answer->mutable_token()->set_node(token->node);
        answer->mutable_token()->set_expires_unix_ms(token->expires_unix_ms);
        return grpc::Status::OK;
    }

 private:
    static void fill_decision(const LogLine& line, proto::Decision& out) {
        out.set_time_unix_ms(line.unix_ms);
        out.set_reason(line.code);
        out.set_subject(line.subject);
        out.set_sentence(valid_utf8(line.message));
        out.set_epoch(line.epoch);
        for (const auto& input : line.inputs) out.add_inputs(valid_utf8(input));
    }

    static void fill_record(const ConfigRecord& record, proto::ConfigVersion& out) {
        out.set_version(record.version);
        out.set_hash(record.hash);
        out.set_time_unix_ms(record.unix_ms);
        out.set_person(record.person);
        out.set_comment(record.comment);
    }

    static grpc::Status show(const Bytes& packed, proto::ConfigVersion& answer) {
        const auto bundle = config::unpack(packed);
        if (!bundle) return {grpc::StatusCode::DATA_LOSS, bundle.error().message};
        fill_bundle(*bundle, *answer.mutable_bundle());
        return grpc::Status::OK;
    }

    std::string node_or_self(const std::string& name) {
        if (!name.empty()) return name;
        const StatusInput input = backend_.status();
        return input.snapshot.config ? input.snapshot.config->node_name(input.snapshot.self.node) : name;
    }

    Result<engine::OperatorRequest> request_for(engine::OperatorVerb verb, const std::string& subject, const std::string& node,
                                                const proto::ChangeOptions& options) {
        engine::OperatorRequest request;
        request.verb = verb;
        request.subject = subject;
        request.person = options.person().empty() ? "root" : options.person();
        request.force = options.force();
        if (node.empty()) return request;
        const StatusInput input = backend_.status();
        const config::Node* found = input.snapshot.config ? input.snapshot.config->node(std::string_view(node)) : nullptr;
        if (found == nullptr) {
            return fail(ErrorCode::kNotFound, fmt::format("no node is named {}", node), "`kagami status` lists the nodes");
        }
        request.node = found->id;
        return request;
    }

    // `force` of the options overrides no rule here: of a resync it would mean a full one.
    Result<engine::OperatorRequest> mirror_request(engine::OperatorVerb verb, const proto::MirrorRequest& in) {
        auto request = request_for(verb, in.mirror(), in.node(), in.options());
        if (request) request->force = false;
        return request;
    }

    static grpc::Status accept_dry_run(const std::string& message, ProgressWriter* out) {
        proto::Progress progress;
        progress.mutable_accepted()->set_message(message);
        progress.mutable_accepted()->set_dry_run(true);
        out->Write(progress);
        return grpc::Status::OK;
    }

    static grpc::Status answer_error(const Error& error, ProgressWriter* out) {
        proto::Progress progress;
        refuse(*progress.mutable_refused(), error);
        out->Write(progress);
        return grpc::Status::OK;
    }

    // A person's word that a node is off. False when it was refused; the refusal has been written.
    bool confirm_down(ServerContext* context, const std::string& node, const proto::ChangeOptions& options, ProgressWriter* out) {
        const auto request = request_for(engine::OperatorVerb::kConfirmDown, node, "", options);
        if (!request) {
            answer_error(request.error(), out);
            return false;
        }
        const auto conversation = std::make_shared<Conversation>();
        const uint64_t id = backend_.ask(*request, [conversation](const engine::OperatorReply& reply) { conversation->add(reply); });
        std::optional<engine::OperatorReply> reply;
        while (!reply && !context->IsCancelled() && !ending_) reply = conversation->next(kCancelCheck);
        backend_.forget(id);
        const bool refused = reply && (reply->outcome == engine::OperatorOutcome::kRefused || reply->outcome == engine::OperatorOutcome::kFailed);
        if (refused) write_reply(*reply, {}, out);
        return reply && !refused;
    }

    grpc::Status change(ServerContext* context, Result<engine::OperatorRequest> request, const proto::ChangeOptions& options,
                        ProgressWriter* out) {
        if (!request) return answer_error(request.error(), out);
        if (options.dry_run()) {
            return answer_error({ErrorCode::kUsage, "a dry run of this command is not possible", "look at `kagami why` for what would be chosen"}, out);
        }
        const auto conversation = std::make_shared<Conversation>();
        const uint64_t id = backend_.ask(std::move(*request), [conversation](const engine::OperatorReply& reply) { conversation->add(reply); });
        converse(context, *conversation, options, out);
        backend_.forget(id);
        return grpc::Status::OK;
    }

    void converse(ServerContext* context, Conversation& conversation, const proto::ChangeOptions& options, ProgressWriter* out) {
        const auto begun = std::chrono::steady_clock::now();
        while (!context->IsCancelled() && !ending_) {
            const auto elapsed = std::chrono::steady_clock::now() - begun;
            if (options.timeout_ms() != 0 && elapsed > std::chrono::milliseconds(options.timeout_ms())) {
                answer_error({ErrorCode::kTimedOut, "not done within the time-out; it goes on in the background", "`kagami status` shows how far it is"}, out);
                return;
            }
            const auto reply = conversation.next(kCancelCheck);
            if (!reply) continue;
            if (!write_reply(*reply, std::chrono::steady_clock::now() - begun, out) || reply->outcome != engine::OperatorOutcome::kAccepted || !options.wait()) return;
        }
    }

    static bool write_reply(const engine::OperatorReply& reply, Duration elapsed, ProgressWriter* out) {
        proto::Progress progress;
        switch (reply.outcome) {
            case engine::OperatorOutcome::kAccepted: progress.mutable_accepted()->set_message(valid_utf8(reply.message)); break;
            case engine::OperatorOutcome::kDone:
                progress.mutable_done()->set_message(valid_utf8(reply.message));
                progress.mutable_done()->set_duration_ms(milliseconds(elapsed));
                break;
            case engine::OperatorOutcome::kRefused:
            case engine::OperatorOutcome::kFailed:
                refuse(*progress.mutable_refused(), {static_cast<ErrorCode>(reply.code == 0 ? 1 : reply.code), reply.message, reply.remedy});
                break;
        }
        return out->Write(progress);
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
