#include "tests/golden/cli/scripted_daemon.h"

#include <google/protobuf/text_format.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <sstream>

#include "proto/control.pb.h"

namespace kagami::cli {
namespace {

using google::protobuf::Message;
using google::protobuf::MessageFactory;
using google::protobuf::MethodDescriptor;

struct Script {
    std::map<std::pair<std::string, bool>, std::vector<Answer>> answers;
    std::map<std::string, std::string> missing;
    mutable std::mutex guard;
    std::string asked;
};

const MethodDescriptor* method_of(const std::string& name) {
    const auto* service = control::v1::Status::descriptor()->file()->FindServiceByName("Control");
    return service->FindMethodByName(name);
}

std::string bytes_of(const grpc::ByteBuffer& buffer) {
    std::vector<grpc::Slice> slices;
    std::string bytes;
    if (!buffer.Dump(&slices).ok()) return bytes;
    for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    return bytes;
}

grpc::ByteBuffer buffer_of(const Message& message) {
    const grpc::Slice slice(message.SerializeAsString());
    return {&slice, 1};
}

// Whoever runs the test is no part of it.
void forget_person(Message& message) {
    const auto* descriptor = message.GetDescriptor();
    const auto* person = descriptor->FindFieldByName("person");
    if (person != nullptr) message.GetReflection()->ClearField(&message, person);
    const auto* options = descriptor->FindFieldByName("options");
    if (options == nullptr || !message.GetReflection()->HasField(message, options)) return;
    forget_person(*message.GetReflection()->MutableMessage(&message, options));
}

bool is_dry(const Message& message) {
    const auto* options = message.GetDescriptor()->FindFieldByName("options");
    if (options == nullptr) return false;
    const Message& given = message.GetReflection()->GetMessage(message, options);
    return given.GetReflection()->GetBool(given, given.GetDescriptor()->FindFieldByName("dry_run"));
}

std::string indented(const std::string& text) {
    std::istringstream in(text);
    std::string out;
    for (std::string line; std::getline(in, line);) out += "  " + line + "\n";
    return out;
}

class Call final : public grpc::ServerGenericBidiReactor {
 public:
    Call(std::string method, Script& script) : method_(std::move(method)), script_(script) { StartRead(&request_); }
    void OnReadDone(bool ok) override {
        const MethodDescriptor* method = method_of(method_);
        if (!ok || method == nullptr) return Finish({grpc::StatusCode::UNIMPLEMENTED, ""});
        const auto* prototype = MessageFactory::generated_factory()->GetPrototype(method->input_type());
        const std::unique_ptr<Message> request(prototype->New());
        request->ParseFromString(bytes_of(request_));
        const std::scoped_lock lock(script_.guard);
        const bool dry = is_dry(*request);
        forget_person(*request);
        std::string text;
        google::protobuf::TextFormat::PrintToString(*request, &text);
        script_.asked += method_ + "\n" + indented(text);
        if (const auto missing = script_.missing.find(method_); missing != script_.missing.end())
            return Finish({grpc::StatusCode::NOT_FOUND, missing->second});
        const auto found = script_.answers.find({method_, dry});
        if (found == script_.answers.end()) return Finish({grpc::StatusCode::UNIMPLEMENTED, ""});
        for (const Answer& answer : found->second) buffers_.push_back(buffer_of(*answer));
        write_next();
    }
    void OnWriteDone(bool ok) override { ok ? write_next() : Finish(grpc::Status::OK); }
    void OnDone() override { delete this; }

 private:
    void write_next() {
        if (next_ == buffers_.size()) return Finish(grpc::Status::OK);
        StartWrite(&buffers_[next_++]);
    }
    std::string method_;
    Script& script_;
    grpc::ByteBuffer request_;
    std::vector<grpc::ByteBuffer> buffers_;
    size_t next_ = 0;
};

class Service final : public grpc::CallbackGenericService {
 public:
    explicit Service(Script& script) : script_(script) {}
    grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override {
        return new Call(context->method().substr(context->method().rfind('/') + 1), script_);
    }

 private:
    Script& script_;
};

}  // namespace

struct ScriptedDaemon::Server {
    Script script;
    Service service{script};
    std::unique_ptr<grpc::Server> server;
};

Answer parse_answer(const std::string& method, const std::string& text) {
    const MethodDescriptor* about = method_of(method);
    if (about == nullptr) throw "no method " + method;
    Answer answer(MessageFactory::generated_factory()->GetPrototype(about->output_type())->New());
    if (!google::protobuf::TextFormat::ParseFromString(text, answer.get())) throw "bad answer of " + method;
    return answer;
}

ScriptedDaemon::ScriptedDaemon(const std::string& socket_path) : server_(std::make_unique<Server>()) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + socket_path, grpc::InsecureServerCredentials());
    builder.RegisterCallbackGenericService(&server_->service);
    server_->server = builder.BuildAndStart();
}

ScriptedDaemon::~ScriptedDaemon() {
    server_->server->Shutdown();
}

void ScriptedDaemon::answer(const std::string& method, bool dry_run, Answer answer) {
    server_->script.answers[{method, dry_run}].push_back(std::move(answer));
}
void ScriptedDaemon::not_found(const std::string& method, const std::string& message) {
    server_->script.missing[method] = message;
}
std::string ScriptedDaemon::asked() const {
    const std::scoped_lock lock(server_->script.guard);
    return server_->script.asked;
}

}  // namespace kagami::cli
