#include "cluster-daemon/runtime/peer_channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "cluster-daemon/runtime/peer_acceptor.h"
#include "cluster-daemon/runtime/peer_credentials.h"
#include "common/assert.h"
#include "proto/peer.grpc.pb.h"

namespace kagami::runtime {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kAcceptedKey = "kagami-accepted";  // initial metadata of a stream that the peer has accepted
constexpr int kWireLimitBytes = static_cast<int>(kPeerMessageLimitBytes) + 64;  // a frame's own few bytes come on top
constexpr int kMetadataLimitBytes = 8192;
constexpr size_t kCsrLimitBytes = 16384;
constexpr size_t kServerMemoryBytes = 128U << 20U;
constexpr int kIdleMilliseconds = 60'000;                // an incoming connection without a call
constexpr auto kSteadyStream = std::chrono::seconds(1);  // a stream that broke sooner counts as a failed attempt

int to_ms(Duration duration) {
    return static_cast<int>(milliseconds(duration));
}

// Counts reactors that gRPC still holds, so that the network can wait for the last one.
class Census {
 public:
    void enter() {
        const std::lock_guard lock(mutex_);
        ++count_;
    }
    void leave() {
        const std::lock_guard lock(mutex_);
        if (--count_ == 0) empty_.notify_all();
    }
    void wait_empty() {
        std::unique_lock lock(mutex_);
        empty_.wait(lock, [&] { return count_ == 0; });
    }

 private:
    std::mutex mutex_;
    std::condition_variable empty_;
    size_t count_ = 0;
};

class OutgoingStream;
class IncomingStream;

// What all parts share. Outlives every reactor (Census), and a TLS handshake that ends late (shared_ptr).
struct Shared {
    PeerNetworkOptions options;
    PeerCallbacks callbacks;
    Census census;  // incoming calls and handshakes
    Census outgoing_census;
    std::atomic<bool> stopping{false};

    std::mutex dial_mutex;
    std::condition_variable dial_changed;
    bool dial_wanted = false;  // somebody's state changed: the dialler looks again

    void wake_dialler() {
        {
            const std::lock_guard lock(dial_mutex);
            dial_wanted = true;
        }
        dial_changed.notify_one();
    }
    void refused(const std::string& sentence) {
        census.enter();  // a handshake may end after the network has
        if (!stopping && callbacks.on_refused) callbacks.on_refused(sentence);
        census.leave();
    }
};

// One row of the table: its queue, its streams, its counters. Everything below `mutex` is guarded by it.
struct Remote : std::enable_shared_from_this<Remote> {
    Remote(Shared& shared_state, PeerEntry table_entry, std::shared_ptr<grpc::ChannelCredentials> client)
        : shared(shared_state), entry(std::move(table_entry)), credentials(std::move(client)) {}

    Shared& shared;
    PeerEntry entry;  // node and name never change; the addresses are guarded like the rest
    const std::shared_ptr<grpc::ChannelCredentials> credentials;

    std::mutex mutex;
    bool retired = false;  // no longer in the table
    std::deque<Bytes> queue;
    size_t queued_bytes = 0;
    std::shared_ptr<OutgoingStream> outgoing;
    PeerLinkState state = PeerLinkState::kWaiting;
    size_t network = 0;   // of `outgoing`, or the next to try
    std::string address;  // of `outgoing`
    Clock::time_point next_attempt{};
    Clock::time_point since{};  // start of the attempt, or up since
    Duration backoff{};
    bool network_lost = false;  // path_lost() ended the stream
    IncomingStream* incoming = nullptr;
    PeerStatus counters;

    bool enqueue(Bytes message);
    void pump();  // mutex held
    void on_up();
    void on_down(const std::string& why);
    void choose_next(bool was_up);  // mutex held
    std::optional<size_t> usable_network(size_t from) const;
    void path_lost(size_t lost_network);
    void readdress(const std::vector<std::string>& addresses);
    void retire();
    Clock::time_point dial(Clock::time_point now);
    PeerStatus status();
};

class OutgoingStream : public grpc::ClientBidiReactor<peer::Frame, peer::Frame> {
 public:
    explicit OutgoingStream(std::shared_ptr<Remote> remote) : remote_(std::move(remote)) {}

    void start(const std::string& address, const PeerTiming& timing, std::shared_ptr<OutgoingStream> self) {
        self_ = std::move(self);
        remote_->shared.outgoing_census.enter();
        grpc::ChannelArguments arguments;
        arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
        arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
        arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
        arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, to_ms(timing.attempt_timeout));
        arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, to_ms(timing.keepalive_interval));
        arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, to_ms(timing.keepalive_timeout));
        arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
        arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, kMetadataLimitBytes);
        arguments.SetMaxReceiveMessageSize(kWireLimitBytes);
        // A channel of its own for each attempt: what an earlier one learnt (a dead connection, gRPC's own back-off) is
        // gone with it.
        stub_ = peer::Peer::NewStub(grpc::CreateCustomChannel(address, remote_->credentials, arguments));
        stub_->async()->Deliver(&context_, this);
        AddHold();  // writes are started from outside of reactions
        StartRead(&never_);
        StartCall();
    }
    void cancel() { context_.TryCancel(); }
    // Both with the remote's mutex held.
    bool ready() const { return accepted_ && !broken_ && !writing_; }
    void write(const Bytes& message) {
        writing_ = true;
        frame_.set_message(message.data(), message.size());
        StartWrite(&frame_);
    }

    void OnReadInitialMetadataDone(bool ok) override {
        if (!ok || context_.GetServerInitialMetadata().count(kAcceptedKey) == 0) return;
        {
            const std::lock_guard lock(remote_->mutex);
            accepted_ = true;
        }
        remote_->on_up();
    }
    // The peer never writes: a finished read means that the stream is over (or that the peer breaks the protocol).
    void OnReadDone(bool) override {
        {
            const std::lock_guard lock(remote_->mutex);
            broken_ = true;
        }
        context_.TryCancel();
        RemoveHold();
    }
    void OnWriteDone(bool ok) override {
        const std::lock_guard lock(remote_->mutex);
        writing_ = false;
        ++(ok ? remote_->counters.sent : remote_->counters.dropped);
        if (!ok) broken_ = true;
        remote_->pump();
    }
    void OnDone(const grpc::Status& status) override {
        Shared& shared = remote_->shared;
        remote_->on_down(status.error_message().empty() ? "the stream ended" : status.error_message());
        self_.reset();  // destroys this, and its channel
        shared.outgoing_census.leave();
    }

 private:
    const std::shared_ptr<Remote> remote_;
    std::shared_ptr<OutgoingStream> self_;
    std::unique_ptr<peer::Peer::Stub> stub_;
    grpc::ClientContext context_;
    peer::Frame frame_;
    peer::Frame never_;
    bool accepted_ = false;
    bool broken_ = false;
    bool writing_ = false;
};

class IncomingStream : public grpc::ServerBidiReactor<peer::Frame, peer::Frame> {
 public:
    IncomingStream(Shared& shared, grpc::CallbackServerContext* context, Result<std::shared_ptr<Remote>> remote)
        : shared_(shared), remote_(remote ? *remote : nullptr) {
        shared_.census.enter();
        if (!remote) {
            shared_.refused(remote.error().message);
            finish(grpc::Status(grpc::StatusCode::PERMISSION_DENIED, remote.error().message));
            return;
        }
        context->AddInitialMetadata(kAcceptedKey, "1");
        take_over();
        StartSendInitialMetadata();
        StartRead(&frame_);
    }
    void finish(const grpc::Status& status) {
        if (!finished_.exchange(true)) Finish(status);
    }

    void OnReadDone(bool ok) override {
        if (!ok || !is_newest()) {
            finish(grpc::Status::OK);
            return;
        }
        Bytes message(frame_.message().begin(), frame_.message().end());
        if (message.size() > kPeerMessageLimitBytes) {
            finish(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "the message is too large"));
            return;
        }
        if (!shared_.stopping) shared_.callbacks.on_message(remote_->entry.node, std::move(message));
        StartRead(&frame_);
    }
    void OnCancel() override { finish(grpc::Status(grpc::StatusCode::CANCELLED, "the stream was ended")); }
    void OnDone() override {
        if (remote_) {
            const std::lock_guard lock(remote_->mutex);
            if (remote_->incoming == this) remote_->incoming = nullptr;
        }
        Shared& shared = shared_;
        delete this;
        shared.census.leave();
    }

 private:
    void take_over() {
        const std::lock_guard lock(remote_->mutex);
        if (remote_->incoming != nullptr)
            remote_->incoming->finish(grpc::Status(grpc::StatusCode::ABORTED, "a newer stream of this peer took over"));
        remote_->incoming = this;
    }
    bool is_newest() {
        const std::lock_guard lock(remote_->mutex);
        if (remote_->incoming != this || remote_->retired) return false;
        ++remote_->counters.received;
        return true;
    }

    Shared& shared_;
    const std::shared_ptr<Remote> remote_;
    peer::Frame frame_;
    std::atomic<bool> finished_{false};
};

// A join waits for the shell's answer; the answer, a cancellation and the end of the network race, and the first one
// counts.
class JoinCall : public grpc::ServerUnaryReactor {
 public:
    JoinCall(Shared& shared, peer::JoinReply* reply) : shared_(shared), reply_(reply) { shared_.census.enter(); }

    void begin(const Result<CertificateInfo>& caller, const peer::JoinRequest& request) {
        if (!caller || caller->identity.role != Role::kJoin) {
            const std::string who = caller ? to_uri(caller->identity) : caller.error().message;
            shared_.refused("somebody asked to join without a join token: " + who);
            end(grpc::Status(grpc::StatusCode::PERMISSION_DENIED, "only the holder of a join token may join"));
            return;
        }
        if (request.csr_pem().size() > kCsrLimitBytes) {
            end(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "the certificate request is too large"));
            return;
        }
        if (!shared_.callbacks.on_join || shared_.stopping) {
            answer(fail(ErrorCode::kRefused, "this node does not sign certificates",
                        "make the token on the node that holds the CA key"));
            return;
        }
        const JoinReplier reply = [slot = slot_](const Result<JoinAnswer>& result) {
            const std::lock_guard lock(slot->mutex);
            if (slot->call != nullptr) slot->call->answer(result);
        };
        shared_.callbacks.on_join({identity_after_join(caller->identity), caller->serial, request.csr_pem()}, reply);
    }

    void OnCancel() override {
        const std::lock_guard lock(slot_->mutex);
        if (slot_->call != nullptr) end(grpc::Status(grpc::StatusCode::CANCELLED, "the call was ended"));
    }
    void OnDone() override {
        {
            const std::lock_guard lock(slot_->mutex);
            slot_->call = nullptr;
        }
        Shared& shared = shared_;
        delete this;
        shared.census.leave();
    }

 private:
    struct Slot {
        explicit Slot(JoinCall* owner) : call(owner) {}
        std::recursive_mutex mutex;
        JoinCall* call;  // null once it was answered
    };

    void answer(const Result<JoinAnswer>& result) {
        if (result) {
            peer::Joined* const joined = reply_->mutable_joined();
            joined->set_certificate_pem(result->certificate_pem);
            joined->set_ca_pem(result->ca_pem);
            joined->set_bootstrap(result->bootstrap.data(), result->bootstrap.size());
        } else {
            peer::Refusal* const refusal = reply_->mutable_refusal();
            refusal->set_code(static_cast<uint32_t>(result.error().code));
            refusal->set_message(result.error().message);
            refusal->set_remedy(result.error().remedy);
        }
        end(grpc::Status::OK);
    }
    void end(const grpc::Status& status) {
        const std::lock_guard lock(slot_->mutex);
        if (slot_->call == nullptr) return;
        slot_->call = nullptr;
        Finish(status);
    }

    Shared& shared_;
    peer::JoinReply* const reply_;
    const std::shared_ptr<Slot> slot_ = std::make_shared<Slot>(this);
};

// ---- Remote ----

bool Remote::enqueue(Bytes message) {
    const std::lock_guard lock(mutex);
    if (message.size() > kPeerMessageLimitBytes) {
        ++counters.too_large;
        return false;
    }
    queued_bytes += message.size();
    queue.push_back(std::move(message));
    while (queue.size() > shared.options.queue_limit_messages || queued_bytes > shared.options.queue_limit_bytes) {
        queued_bytes -= queue.front().size();
        queue.pop_front();
        ++counters.dropped;
    }
    pump();
    return true;
}

void Remote::pump() {
    if (queue.empty() || !outgoing || !outgoing->ready()) return;
    const Bytes message = std::move(queue.front());
    queue.pop_front();
    queued_bytes -= message.size();
    outgoing->write(message);
}

void Remote::on_up() {
    size_t up_network = 0;
    {
        const std::lock_guard lock(mutex);
        state = PeerLinkState::kUp;
        since = Clock::now();
        counters.last_error.clear();
        up_network = network;
    }
    if (!shared.stopping && shared.callbacks.on_connected) shared.callbacks.on_connected(entry.node, up_network);
    const std::lock_guard lock(mutex);
    pump();
}

void Remote::on_down(const std::string& why) {
    bool was_up = false;
    {
        const std::lock_guard lock(mutex);
        was_up = state == PeerLinkState::kUp && !retired;
        counters.last_error = address + ": " + why;
    }
    // Told before the next attempt can begin, so that connected and disconnected alternate.
    if (was_up && !shared.stopping && shared.callbacks.on_disconnected)
        shared.callbacks.on_disconnected(entry.node, why);
    {
        const std::lock_guard lock(mutex);
        outgoing.reset();
        state = PeerLinkState::kWaiting;
        choose_next(was_up);
    }
    shared.wake_dialler();
}

std::optional<size_t> Remote::usable_network(size_t from) const {
    for (size_t i = from; i < entry.addresses.size(); ++i)
        if (!entry.addresses[i].empty()) return i;
    return std::nullopt;
}

// After a stream that held, or broke at once on its last address: the best network; after a failed attempt, or when the
// stream's network was reported lost: the next one. A pause comes only after a whole round without a stream that held.
void Remote::choose_next(bool was_up) {
    const auto now = Clock::now();
    const bool held = was_up && now - since >= kSteadyStream;
    const bool move_on = !was_up || network_lost;
    const auto next = usable_network(network + 1);
    network_lost = false;
    if (held) backoff = shared.options.timing.backoff_first;
    next_attempt = now;
    network = move_on && next ? *next : usable_network(0).value_or(0);
    if (held || (move_on && next)) return;
    next_attempt = now + backoff;
    backoff = std::min(backoff * 2, shared.options.timing.backoff_cap);
}

void Remote::path_lost(size_t lost_network) {
    const std::lock_guard lock(mutex);
    if (!outgoing || network != lost_network) return;
    network_lost = true;
    outgoing->cancel();
}

// The same peer elsewhere: a stream to an address that is no longer in its place is ended.
void Remote::readdress(const std::vector<std::string>& addresses) {
    const std::lock_guard lock(mutex);
    if (entry.addresses == addresses) return;
    entry.addresses = addresses;
    next_attempt = Clock::now();
    if (outgoing && (network >= addresses.size() || addresses[network] != address)) outgoing->cancel();
}

void Remote::retire() {
    const std::lock_guard lock(mutex);
    retired = true;
    if (outgoing) outgoing->cancel();
    if (incoming != nullptr) incoming->finish(grpc::Status(grpc::StatusCode::ABORTED, "no longer a peer"));
}

// Starts or gives up an attempt when it is time; returns when to look again.
Clock::time_point Remote::dial(Clock::time_point now) {
    const std::lock_guard lock(mutex);
    switch (state) {
        case PeerLinkState::kUp: return Clock::time_point::max();
        case PeerLinkState::kConnecting:
            if (now < since + shared.options.timing.attempt_timeout)
                return since + shared.options.timing.attempt_timeout;
            outgoing->cancel();
            return Clock::time_point::max();  // its OnDone wakes the dialler
        case PeerLinkState::kWaiting: break;
    }
    if (retired || !usable_network(0)) return Clock::time_point::max();
    if (now < next_attempt) return next_attempt;
    if (network >= entry.addresses.size() || entry.addresses[network].empty()) network = *usable_network(0);
    address = entry.addresses[network];
    state = PeerLinkState::kConnecting;
    since = now;
    outgoing = std::make_shared<OutgoingStream>(shared_from_this());
    outgoing->start(address, shared.options.timing, outgoing);
    return now + shared.options.timing.attempt_timeout;
}

PeerStatus Remote::status() {
    const std::lock_guard lock(mutex);
    PeerStatus result = counters;
    result.node = entry.node;
    result.name = entry.name;
    result.outgoing = state;
    if (state != PeerLinkState::kWaiting) result.network = network;
    result.incoming = incoming != nullptr;
    result.waiting = queue.size();
    return result;
}

Role role_of(NodeId node) {
    return node == kWitnessId ? Role::kWitness : Role::kNode;
}

}  // namespace

// ---- PeerNetwork ----

class PeerNetwork::Impl {
 public:
    Impl(PeerNetworkOptions options, PeerCallbacks callbacks) : service_(*this) {
        shared_->options = std::move(options);
        shared_->callbacks = std::move(callbacks);
    }
    ~Impl() { stop(); }

    Status start();
    void stop();
    std::shared_ptr<Remote> find(NodeId node) const {
        const std::lock_guard lock(table_mutex_);
        const auto found = table_.find(node);
        return found == table_.end() ? nullptr : found->second;
    }
    void set_peers(std::vector<PeerEntry> peers);
    std::vector<PeerStatus> status() const;
    const PeerAcceptor& acceptor() const { return *acceptor_; }

 private:
    class Service : public peer::Peer::CallbackService {
     public:
        explicit Service(Impl& owner) : owner_(owner) {}
        grpc::ServerBidiReactor<peer::Frame, peer::Frame>* Deliver(grpc::CallbackServerContext* context) override {
            return new IncomingStream(*owner_.shared_, context, owner_.sender(*context));
        }
        grpc::ServerUnaryReactor* Join(grpc::CallbackServerContext* context, const peer::JoinRequest* request,
                                       peer::JoinReply* reply) override {
            auto* const call = new JoinCall(*owner_.shared_, reply);
            call->begin(caller_of(*context), *request);
            return call;
        }

     private:
        Impl& owner_;
    };

    const PeerIdentity& self() const { return shared_->options.keys.info.identity; }
    Result<std::shared_ptr<Remote>> sender(const grpc::CallbackServerContext& context) const;
    std::shared_ptr<Remote> make_remote(PeerEntry entry);
    Status start_server();
    Status start_acceptor();
    void dial_loop();

    const std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
    Service service_;
    mutable std::mutex table_mutex_;
    std::map<NodeId, std::shared_ptr<Remote>> table_;
    std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> hand_over_;
    std::unique_ptr<grpc::Server> server_;
    std::unique_ptr<PeerAcceptor> acceptor_;
    std::thread dialler_;
};

Result<std::shared_ptr<Remote>> PeerNetwork::Impl::sender(const grpc::CallbackServerContext& context) const {
    const auto caller = caller_of(context);
    if (!caller) return tl::unexpected(caller.error());
    const PeerIdentity& who = caller->identity;
    const auto remote = find(who.node);
    const bool speaks = who.role == Role::kNode || who.role == Role::kWitness;
    if (speaks && who.cluster == self().cluster && remote && remote->entry.name == who.name) return remote;
    return fail(ErrorCode::kRefused, to_uri(who) + " is not a peer of " + self().name);
}

std::shared_ptr<Remote> PeerNetwork::Impl::make_remote(PeerEntry entry) {
    const PeerIdentity wanted{self().cluster, role_of(entry.node), entry.node, entry.name};
    const auto check = [wanted](const PeerIdentity& server) -> Status {
        if (server == wanted) return {};
        return fail(ErrorCode::kRefused, "the machine that answered is " + to_uri(server) + ", not " + to_uri(wanted));
    };
    const KeyMaterial& keys = shared_->options.keys;
    auto remote =
        std::make_shared<Remote>(*shared_, std::move(entry), client_credentials(keys.ca_pem, keys.own, check));
    remote->backoff = shared_->options.timing.backoff_first;
    remote->network = remote->usable_network(0).value_or(0);
    return remote;
}

void PeerNetwork::Impl::set_peers(std::vector<PeerEntry> peers) {
    std::vector<std::shared_ptr<Remote>> gone;
    {
        const std::lock_guard lock(table_mutex_);
        std::map<NodeId, std::shared_ptr<Remote>> next;
        for (PeerEntry& entry : peers) {
            if (entry.node == self().node) continue;
            const auto old = table_.find(entry.node);
            if (old != table_.end() && old->second->entry.name == entry.name) {
                old->second->readdress(entry.addresses);
                next.emplace(entry.node, old->second);
                continue;
            }
            const NodeId node = entry.node;
            next.emplace(node, make_remote(std::move(entry)));
        }
        for (const auto& [node, remote] : table_)
            if (const auto kept = next.find(node); kept == next.end() || kept->second != remote) gone.push_back(remote);
        table_ = std::move(next);
    }
    for (const auto& remote : gone) remote->retire();
    shared_->wake_dialler();
}

Status PeerNetwork::Impl::start() {
    prepare_grpc();
    set_peers(shared_->options.peers);
    if (const Status started = start_server(); !started) return started;
    if (const Status started = start_acceptor(); !started) return started;
    dialler_ = std::thread([this] { dial_loop(); });
    return {};
}

Status PeerNetwork::Impl::start_server() {
    const Uuid cluster = self().cluster;
    const auto check = [shared = shared_, cluster](const PeerIdentity& client) -> Status {
        const bool role = client.role == Role::kNode || client.role == Role::kWitness || client.role == Role::kJoin;
        if (client.cluster == cluster && role) return {};
        shared->refused(to_uri(client) + " has no business on the peer port");
        return fail(ErrorCode::kRefused, "this certificate is not for the peer port");
    };
    const KeyMaterial& keys = shared_->options.keys;
    const PeerTiming& timing = shared_->options.timing;
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    builder.SetMaxReceiveMessageSize(kWireLimitBytes);
    builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
    builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
    builder.SetResourceQuota(grpc::ResourceQuota("peers").Resize(kServerMemoryBytes));
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 4);
    builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMetadataLimitBytes);
    builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, to_ms(timing.handshake_timeout));
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kIdleMilliseconds);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, to_ms(timing.keepalive_interval));
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, to_ms(timing.keepalive_timeout));
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 100);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
    hand_over_ = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
        server_credentials(keys.ca_pem, keys.own, check));
    server_ = builder.BuildAndStart();
    if (!server_)
        return fail("cannot start the gRPC server of the peer port", "look into the log for gRPC's own message");
    return {};
}

Status PeerNetwork::Impl::start_acceptor() {
    auto acceptor = PeerAcceptor::listen(
        shared_->options.listen, shared_->options.descriptor_limit, [this](PeerAcceptor::Accepted accepted) {
            grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
            parameters.listener_fd = accepted.listener_fd;
            parameters.fd = accepted.connection.release();
            hand_over_->HandleNewConnection(&parameters);
        });
    if (!acceptor) return tl::unexpected(acceptor.error());
    acceptor_ = std::move(*acceptor);
    return {};
}

void PeerNetwork::Impl::dial_loop() {
    std::unique_lock lock(shared_->dial_mutex);
    while (!shared_->stopping) {
        shared_->dial_wanted = false;
        lock.unlock();
        std::vector<std::shared_ptr<Remote>> remotes;
        {
            const std::lock_guard table_lock(table_mutex_);
            for (const auto& [node, remote] : table_) remotes.push_back(remote);
        }
        const auto now = Clock::now();
        auto next = now + std::chrono::hours(1);
        for (const auto& remote : remotes) next = std::min(next, remote->dial(now));
        lock.lock();
        shared_->dial_changed.wait_until(lock, next, [&] { return shared_->dial_wanted || shared_->stopping; });
    }
}

void PeerNetwork::Impl::stop() {
    if (shared_->stopping.exchange(true)) return;
    shared_->wake_dialler();
    if (dialler_.joinable()) dialler_.join();
    acceptor_.reset();
    set_peers({});
    // The server's hold on gRPC's callback threads must be the last one: gRPC 1.51 ends them where the last hold is let
    // go, and a channel that is destroyed on one of them would make that thread wait for itself, with memory corrupted.
    shared_->outgoing_census.wait_empty();
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
    shared_->census.wait_empty();
    server_.reset();
}

std::vector<PeerStatus> PeerNetwork::Impl::status() const {
    const std::lock_guard lock(table_mutex_);
    std::vector<PeerStatus> result;
    for (const auto& [node, remote] : table_) result.push_back(remote->status());
    return result;
}

PeerNetwork::PeerNetwork(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PeerNetwork::~PeerNetwork() = default;

Result<std::unique_ptr<PeerNetwork>> PeerNetwork::start(PeerNetworkOptions options, PeerCallbacks callbacks) {
    KAGAMI_ASSERT(callbacks.on_message, "somebody must take the messages");
    const Role role = options.keys.info.identity.role;
    if (role != Role::kNode && role != Role::kWitness)
        return fail(ErrorCode::kRefused, to_uri(options.keys.info.identity) + " is not a node or witness",
                    "join the cluster first");
    auto impl = std::make_unique<Impl>(std::move(options), std::move(callbacks));
    if (const Status started = impl->start(); !started) return tl::unexpected(started.error());
    return std::unique_ptr<PeerNetwork>(new PeerNetwork(std::move(impl)));
}

bool PeerNetwork::send(NodeId to, Bytes message) {
    const auto remote = impl_->find(to);
    return remote && remote->enqueue(std::move(message));
}

void PeerNetwork::path_lost(NodeId peer, size_t network) {
    if (const auto remote = impl_->find(peer)) remote->path_lost(network);
}

void PeerNetwork::set_peers(std::vector<PeerEntry> peers) {
    impl_->set_peers(std::move(peers));
}
std::vector<PeerStatus> PeerNetwork::status() const {
    return impl_->status();
}
std::vector<std::string> PeerNetwork::listening() const {
    return impl_->acceptor().addresses();
}
uint64_t PeerNetwork::turned_away() const {
    return impl_->acceptor().turned_away();
}

}  // namespace kagami::runtime
