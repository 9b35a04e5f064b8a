#include "cluster-daemon/runtime/daemon/control_changes.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>

#include "cluster-daemon/runtime/daemon/control_steps.h"
#include "cluster-daemon/runtime/daemon/journal.h"
#include "common/config/nearest.h"
#include "common/text.h"
#include "proto/control.pb.h"

namespace kagami::runtime {
namespace {

namespace proto = control::v1;
using engine::OperatorOutcome;
using Clock = std::chrono::steady_clock;

constexpr Duration kCancelCheck = 100ms;
constexpr Duration kLookPeriod = 250ms;  // at what has been done, while somebody waits for it

// The answers to one request, handed from the engine's thread to the caller's. The engine forgets it with this object.
class Conversation {
 public:
    Conversation(const ControlBackend& backend, engine::OperatorRequest request)
        : backend_(backend), box_(std::make_shared<Box>()) {
        id_ = backend_.ask(std::move(request), [box = box_](const engine::OperatorReply& reply) { box->add(reply); });
    }
    ~Conversation() { backend_.forget(id_); }
    Conversation(const Conversation&) = delete;
    Conversation& operator=(const Conversation&) = delete;
    std::optional<engine::OperatorReply> next(Duration wait) { return box_->next(wait); }

 private:
    struct Box {
        void add(const engine::OperatorReply& reply) {
            {
                const std::lock_guard lock(mutex);
                replies.push_back(reply);
            }
            arrived.notify_one();
        }
        std::optional<engine::OperatorReply> next(Duration wait) {
            std::unique_lock lock(mutex);
            if (!arrived.wait_for(lock, wait, [this] { return !replies.empty(); })) return std::nullopt;
            engine::OperatorReply reply = std::move(replies.front());
            replies.pop_front();
            return reply;
        }
        std::mutex mutex;
        std::condition_variable arrived;
        std::deque<engine::OperatorReply> replies;
    };
    const ControlBackend& backend_;
    std::shared_ptr<Box> box_;
    uint64_t id_ = 0;
};

bool is_good(const engine::OperatorReply& reply) {
    return reply.outcome == OperatorOutcome::kAccepted || reply.outcome == OperatorOutcome::kDone;
}

void fill_accepted(const std::string& text, proto::Accepted& out) {
    std::string rest = valid_utf8(text);
    const auto take_line = [&rest] {
        const size_t end = rest.find('\n');
        std::string line = rest.substr(0, end);
        rest = end == std::string::npos ? std::string() : rest.substr(end + 1);
        return line;
    };
    out.set_message(take_line());
    while (!rest.empty()) out.add_consequences(take_line());
}

proto::Progress to_progress(const engine::OperatorReply& reply, Clock::duration elapsed) {
    proto::Progress progress;
    switch (reply.outcome) {
        case OperatorOutcome::kAccepted: fill_accepted(reply.message, *progress.mutable_accepted()); break;
        case OperatorOutcome::kDone:
            progress.mutable_done()->set_message(valid_utf8(reply.message));
            progress.mutable_done()->set_duration_ms(milliseconds(elapsed));
            break;
        case OperatorOutcome::kRefused:
        case OperatorOutcome::kFailed:
            fill_refused(*progress.mutable_refused(),
                         {static_cast<ErrorCode>(reply.code == 0 ? 1 : reply.code), reply.message, reply.remedy});
            break;
    }
    return progress;
}

proto::Progress to_dry_run(const engine::OperatorReply& reply) {
    if (!is_good(reply)) return to_progress(reply, {});
    proto::Progress progress;
    fill_accepted(reply.message, *progress.mutable_accepted());
    progress.mutable_accepted()->set_dry_run(true);
    return progress;
}

// What happens meanwhile, told from the moment on when the change was accepted.
class Watched {
 public:
    Watched(const ControlBackend& backend, const Caller& caller)
        : backend_(backend), caller_(caller), steps_(status()) {}
    void start() { accepted_ = true; }
    void look(bool now) {
        if (!accepted_ || (!now && Clock::now() - looked_ < kLookPeriod)) return;
        looked_ = Clock::now();
        for (proto::Step& step : steps_.since_last(status())) {
            proto::Progress progress;
            *progress.mutable_step() = std::move(step);
            caller_.write(progress);
        }
    }

 private:
    proto::Status status() const {
        proto::Status out;
        build_status(backend_.status(), out);
        return out;
    }
    const ControlBackend& backend_;
    const Caller& caller_;
    ControlSteps steps_;
    bool accepted_ = false;
    Clock::time_point looked_{};
};

Result<engine::Level> level_of(const std::string& word) {
    if (word.empty() || word == "INFO") return engine::Level::kInfo;
    if (word == "WARN") return engine::Level::kWarning;
    if (word == "ERROR") return engine::Level::kError;
    return fail(ErrorCode::kUsage, "\"" + one_line(word) + "\" is not a level", "levels: INFO, WARN, ERROR");
}

Status add_channel(const std::string& word, UserMessage& message) {
    if (word == "alert")
        message.history = true;
    else if (word == "syslog")
        message.syslog = true;
    else if (word == "mail")
        message.mail = true;
    else if (word == "webhook")
        message.webhook = true;
    else
        return fail(ErrorCode::kUsage, "\"" + one_line(word) + "\" is not a channel",
                    config::nearest(word, {"alert", "syslog", "mail", "webhook"}, "channels"));
    return {};
}

Result<UserMessage> read_message(const proto::NotifyRequest& in) {
    UserMessage message;
    const auto level = level_of(in.level());
    if (!level) return tl::unexpected<Error>(level.error());
    if (in.message().empty()) return fail(ErrorCode::kUsage, "the message is empty", "say what has to be told");
    message.level = *level;
    message.id = in.id();
    message.text = in.message();
    message.person = in.person();
    for (const std::string& word : in.channels()) {
        if (const Status added = add_channel(word, message); !added) return tl::unexpected<Error>(added.error());
    }
    return message;
}

}  // namespace

void notify(const ControlBackend& backend, const proto::NotifyRequest& in, proto::NotifyAnswer& answer) {
    const auto message = read_message(in);
    const Status taken = message ? backend.notify(*message) : Status(tl::unexpected<Error>(message.error()));
    if (!taken) fill_refused(*answer.mutable_refused(), taken.error());
}

void fill_refused(proto::Refused& out, const Error& error) {
    out.set_code(static_cast<uint32_t>(error.code));
    out.set_message(valid_utf8(error.message));
    out.set_remedy(valid_utf8(error.remedy));
}

void answer_error(const Caller& caller, const Error& error) {
    proto::Progress progress;
    fill_refused(*progress.mutable_refused(), error);
    caller.write(progress);
}

void carry_out(const ControlBackend& backend, const Caller& caller, Result<engine::OperatorRequest> request,
               const proto::ChangeOptions& options) {
    if (!request) return answer_error(caller, request.error());
    const auto begun = Clock::now();
    std::optional<Watched> watched;
    if (options.wait() && !options.dry_run()) watched.emplace(backend, caller);
    Conversation conversation(backend, std::move(*request));
    while (!caller.gone()) {
        const auto elapsed = Clock::now() - begun;
        if (options.timeout_ms() != 0 && elapsed > std::chrono::milliseconds(options.timeout_ms())) {
            return answer_error(caller,
                                {ErrorCode::kTimedOut, "not done within the time-out; it goes on in the background",
                                 "`kagami status` shows how far it is"});
        }
        const auto reply = conversation.next(kCancelCheck);
        if (watched) watched->look(reply && reply->outcome != OperatorOutcome::kAccepted);
        if (!reply) continue;
        if (options.dry_run()) {
            caller.write(to_dry_run(*reply));
            return;
        }
        if (!caller.write(to_progress(*reply, Clock::now() - begun))) return;
        if (reply->outcome != OperatorOutcome::kAccepted || !options.wait()) return;
        if (watched) watched->start();
    }
}

bool carry_out_first(const ControlBackend& backend, const Caller& caller, Result<engine::OperatorRequest> request) {
    if (!request) {
        answer_error(caller, request.error());
        return false;
    }
    Conversation conversation(backend, std::move(*request));
    std::optional<engine::OperatorReply> reply;
    while (!reply && !caller.gone()) reply = conversation.next(kCancelCheck);
    if (!reply) return false;
    if (!is_good(*reply)) caller.write(to_progress(*reply, {}));
    return is_good(*reply);
}

}  // namespace kagami::runtime
