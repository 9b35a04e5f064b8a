#include "mirror-driver/link/client.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "common/host/boot_clock.h"
#include "common/host/event_thread.h"
#include "common/host/packet_socket.h"

namespace kagami::mirror_link {
namespace {

constexpr Duration kFirstPause = 5ms;
constexpr Duration kLongestPause = 200ms;
constexpr Duration kAskAgain = 20ms;
constexpr Duration kLongestAsk = 48h;

Error no_driver(const std::string& mirror) {
    return {ErrorCode::kUnreachable, "mirror " + mirror + ": the mirror driver of this node does not run",
            "look at it: systemctl status kagami-mirrord"};
}

// One question of one asker; shared between its thread and the client's.
struct Question {
    Ask ask;
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Result<Answer>> result;  // guarded by mutex
    std::function<void(const Answer&)> then;  // nobody waits, but calls this with an answer

    void settle(Result<Answer> with) {
        const std::lock_guard lock(mutex);
        if (then && with) then(*with);
        if (!result) result = std::move(with);
        changed.notify_all();
    }
};
using QuestionPointer = std::shared_ptr<Question>;

}  // namespace

// Everything but `thread` belongs to the thread.
struct Client::Impl {
    Impl(std::string path, Welcome greeting, Handlers given)
        : socket(std::move(path)), welcome(std::move(greeting)), handlers(std::move(given)) {}

    void connect(host::EventLoop& loop);
    void connect_later(host::EventLoop& loop);
    void watch(host::EventLoop& loop);
    void on_event(host::EventLoop& loop);
    void disconnect(host::EventLoop& loop);
    bool receive();
    void flush(host::EventLoop& loop);
    bool send_next();
    void put(host::EventLoop& loop, const QuestionPointer& question);
    // On the asker's thread.
    Result<Answer> ask_once(Verb verb, const std::string& mirror, Instant deadline);
    Error withdraw(const QuestionPointer& question);

    std::string socket;
    Welcome welcome;
    Handlers handlers;
    Configure wanted;
    std::map<std::string, mirror::Authority> authorities;
    std::map<uint64_t, QuestionPointer> questions;
    uint64_t last_id = 0;

    UniqueFd fd;
    bool waits_for_room = false;
    bool ends = false;
    bool missed = false;  // told that no driver runs
    host::EventLoop::Timer retry = 0;
    Duration pause = kFirstPause;
    std::vector<Message> first;             // Welcome and Configure, unsent, the last one first
    std::set<std::string> unsent;           // authorities
    std::set<uint64_t> unasked;
    Bytes packet = Bytes(kMaxMessageBytes + 1);
    host::EventThread thread;  // last: it ends first
};

void Client::Impl::connect(host::EventLoop& loop) {
    loop.cancel(std::exchange(retry, 0));
    if (fd.valid() || ends || (wanted.mirrors.empty() && questions.empty())) return;
    fd = host::connect_packets(socket);
    if (!fd.valid()) {
        if (!std::exchange(missed, true)) handlers.connected(false);
        return connect_later(loop);
    }
    waits_for_room = false;
    first = {wanted, welcome};
    unsent.clear();
    unasked.clear();
    for (const auto& [name, authority] : authorities) unsent.insert(name);
    for (const auto& [id, question] : questions) unasked.insert(id);
    watch(loop);
    missed = false;
    handlers.connected(true);
    flush(loop);
}

void Client::Impl::connect_later(host::EventLoop& loop) {
    if (retry != 0 || ends) return;
    retry = loop.at(host::boot_now() + pause, [this, &loop] { connect(loop); });
    pause = std::min(2 * pause, kLongestPause);
}

void Client::Impl::watch(host::EventLoop& loop) {
    const uint32_t events = EPOLLIN | (waits_for_room ? uint32_t{EPOLLOUT} : 0);
    loop.watch(fd.get(), events, [this, &loop] { on_event(loop); });
}

void Client::Impl::on_event(host::EventLoop& loop) {
    if (!receive()) return disconnect(loop);
    if (waits_for_room) flush(loop);
}

// One packet. A driver that says what cannot be understood is left, and tried again.
bool Client::Impl::receive() {
    const ssize_t got = ::recv(fd.get(), packet.data(), packet.size(), 0);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) return false;
    const auto message = decode_message({packet.data(), static_cast<size_t>(got)});
    if (!message) return false;
    pause = kFirstPause;  // it speaks: the next loss is a new one
    if (const auto* report = std::get_if<mirror::Report>(&*message)) {
        handlers.report(*report);
        return true;
    }
    const auto* answer = std::get_if<Answer>(&*message);
    if (answer == nullptr) return false;
    const auto at = questions.find(answer->id);
    if (at == questions.end()) return true;  // its asker has given up
    const QuestionPointer question = at->second;
    questions.erase(at);
    question->settle(*answer);
    return true;
}

void Client::Impl::disconnect(host::EventLoop& loop) {
    loop.forget(fd.get());
    fd.reset();
    missed = true;
    handlers.connected(false);
    connect_later(loop);
}

// False: nothing (more) can be sent now. What was not sent stands where it was.
bool Client::Impl::send_next() {
    const auto sent = [&](const Message& message) {
        const Bytes bytes = encode(message);
        return ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
    };
    if (!first.empty()) {
        if (!sent(first.back())) return false;
        first.pop_back();
    } else if (!unsent.empty()) {
        if (!sent(authorities.at(*unsent.begin()))) return false;
        unsent.erase(unsent.begin());
    } else {
        const auto at = questions.find(*unasked.begin());
        if (at != questions.end() && !sent(at->second->ask)) return false;
        unasked.erase(unasked.begin());
    }
    return true;
}

void Client::Impl::flush(host::EventLoop& loop) {
    if (!fd.valid()) return;
    bool room = true;
    while (room && !(first.empty() && unsent.empty() && unasked.empty())) room = send_next();
    // A broken connection shows itself by its end.
    if (std::exchange(waits_for_room, !room) == room) watch(loop);
}

void Client::Impl::put(host::EventLoop& loop, const QuestionPointer& question) {
    if (ends) return question->settle(tl::unexpected(no_driver(question->ask.mirror)));
    question->ask.id = ++last_id;
    questions[last_id] = question;
    unasked.insert(last_id);
    connect(loop);
    flush(loop);
}

Client::Client(std::string socket, Welcome welcome, Handlers handlers)
    : impl_(std::make_unique<Impl>(std::move(socket), std::move(welcome), std::move(handlers))) {}

Client::~Client() {
    impl_->thread.post([impl = impl_.get()](host::EventLoop& loop) {
        impl->ends = true;
        if (impl->fd.valid()) loop.forget(impl->fd.get());
        for (const auto& [id, question] : impl->questions) {
            question->settle(tl::unexpected(no_driver(question->ask.mirror)));
        }
    });
}

void Client::configure(const Configure& configure) {
    impl_->thread.post([impl = impl_.get(), configure](host::EventLoop& loop) {
        impl->wanted = configure;
        const auto gone = [&](const std::string& name) {
            return std::none_of(configure.mirrors.begin(), configure.mirrors.end(),
                                [&](const MirrorConfig& config) { return config.name == name; });
        };
        std::erase_if(impl->authorities, [&](const auto& authority) { return gone(authority.first); });
        std::erase_if(impl->unsent, gone);
        // A driver forgets what it is told of mirrors that it does not have yet.
        for (const auto& [name, authority] : impl->authorities) impl->unsent.insert(name);
        if (!impl->fd.valid()) return impl->connect(loop);
        std::erase_if(impl->first, [](const Message& m) { return std::holds_alternative<Configure>(m); });
        impl->first.insert(impl->first.begin(), configure);
        impl->flush(loop);
    });
}

void Client::tell(const mirror::Authority& authority) {
    impl_->thread.post([impl = impl_.get(), authority](host::EventLoop& loop) {
        impl->authorities[authority.mirror] = authority;
        impl->unsent.insert(authority.mirror);
        impl->flush(loop);
    });
}

// The asker has given up: kUnreachable or kTimedOut.
Error Client::Impl::withdraw(const QuestionPointer& question) {
    auto promise = std::make_shared<std::promise<bool>>();
    thread.post([this, question, promise](host::EventLoop&) {
        questions.erase(question->ask.id);
        promise->set_value(fd.valid());
    });
    const std::string& mirror = question->ask.mirror;
    if (!promise->get_future().get()) return no_driver(mirror);
    return {ErrorCode::kTimedOut, "mirror " + mirror + ": the mirror driver did not answer in time",
            "look at its log: journalctl -u kagami-mirrord"};
}

Result<Answer> Client::Impl::ask_once(Verb verb, const std::string& mirror, Instant deadline) {
    const auto question = std::make_shared<Question>();
    question->ask = {0, verb, mirror};
    thread.post([this, question](host::EventLoop& loop) { put(loop, question); });
    std::unique_lock lock(question->mutex);
    const Duration left = std::max(deadline - host::boot_now(), Duration(0));
    if (question->changed.wait_for(lock, left, [&] { return question->result.has_value(); })) return *question->result;
    lock.unlock();
    return tl::unexpected(withdraw(question));
}

Result<Answer> Client::ask(Verb verb, const std::string& mirror, Instant deadline) {
    if (!valid_name(mirror)) return fail(ErrorCode::kUsage, "\"" + mirror + "\" is not the name of a mirror");
    deadline = std::min(deadline, host::boot_now() + kLongestAsk);
    for (;;) {
        auto answer = impl_->ask_once(verb, mirror, deadline);
        if (!answer || !answer->not_yet || host::boot_now() + kAskAgain >= deadline) return answer;
        std::this_thread::sleep_for(kAskAgain);
    }
}

void Client::ask_for_life(const std::string& mirror, std::function<void(const Answer&)> answered) {
    const auto question = std::make_shared<Question>();
    question->ask = {0, Verb::kStatus, mirror};
    question->then = std::move(answered);
    impl_->thread.post([impl = impl_.get(), question](host::EventLoop& loop) { impl->put(loop, question); });
}

void Client::abandon(const std::string& mirror) {
    impl_->thread.post([impl = impl_.get(), mirror](host::EventLoop&) {
        std::erase_if(impl->questions, [&](const auto& entry) {
            const QuestionPointer& question = entry.second;
            if (question->ask.mirror != mirror || question->then) return false;
            question->settle(tl::unexpected(no_driver(mirror)));
            return true;
        });
    });
}

}  // namespace kagami::mirror_link
