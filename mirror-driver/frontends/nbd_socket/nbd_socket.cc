#include "mirror-driver/frontends/nbd_socket/nbd_socket.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <tuple>
#include <utility>

#include "common/assert.h"
#include "mirror-driver/frontends/nbd_socket/nbd_connection.h"

namespace kagami::mirror {
namespace {

constexpr size_t kMaxClients = 16;
constexpr size_t kNone = ~size_t{0};
constexpr int kStepsAtOnce = 64;

std::string socket_path(const std::string& directory) {
    return directory + "/nbd.sock";
}

Result<UniqueFd> listen_at(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return fail(path + ": is too long for a socket", "use a shorter directory");
    std::memcpy(address.sun_path, path.c_str(), path.size());
    struct stat found{};
    if (::lstat(path.c_str(), &found) == 0 && !S_ISSOCK(found.st_mode))
        return fail(path + ": something that is no socket stands in its place", "remove it");
    ::unlink(path.c_str());
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    // The mode of the descriptor becomes that of the file.
    if (!socket.valid() || ::fchmod(socket.get(), 0600) != 0 ||
        ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(socket.get(), static_cast<int>(kMaxClients)) != 0)
        return fail(path + ": cannot listen: " + errno_text(errno), errno_remedy(errno, path));
    return socket;
}

class NbdSocket : public FrontEnd {
 public:
    NbdSocket(FrontEndSettings settings, UniqueFd listener, UniqueFd epoll)
        : settings_(std::move(settings)),
          export_{settings_.mirror, settings_.size_bytes},
          listener_(std::move(listener)),
          epoll_(std::move(epoll)),
          requests_(kMaxRequests) {
        free_.reserve(kMaxRequests);
        for (size_t i = kMaxRequests; i > 0; --i) free_.push_back(i - 1);
        watch(listener_.get(), kMaxClients, EPOLLIN, EPOLL_CTL_ADD);
    }
    ~NbdSocket() override {
        for (size_t i = 0; i < kMaxClients; ++i) remove(i);
        ::unlink(socket_path(settings_.directory).c_str());
    }

    int descriptor() const override { return epoll_.get(); }
    void advance() override;
    void complete(const Completion& completion) override;
    void buffers_released() override;
    std::string device() const override { return "unix:" + socket_path(settings_.directory); }
    Status idle() const override;
    Status close() override;
    FrontEndState state() const override { return state_; }

 private:
    struct Request {
        size_t client = kNone;  // kNone: it has left
        uint64_t cookie = 0;
        Operation operation = Operation::kRead;
        Extent extent;
        uint64_t issued = 0;  // bytes of it
        bool durable = false;
        BufferId buffer = kNoBuffer;
        int error = 0;
    };
    struct Client {
        std::unique_ptr<NbdConnection> connection;
        uint32_t watched = 0;
        bool parked = false;      // waits for a request id or a buffer
        size_t filling = kNone;   // request whose data are arriving
        size_t replying = kNone;  // request whose reply waits for the socket
        size_t under_way = 0;
        std::array<size_t, kMaxRequests> ready{};  // ring of requests to be answered
        size_t first = 0, count = 0;
    };

    void accept_all();
    void run(size_t index, uint32_t events);
    bool begin(size_t index);
    void issue(size_t id);
    void finish(size_t id);
    void send_ready(size_t index);
    void release(size_t id);
    void remove(size_t index);
    void settle(size_t index);
    void watch(int fd, size_t index, uint32_t mask, int how) const;

    FrontEndSettings settings_;
    NbdExport export_;
    UniqueFd listener_;
    UniqueFd epoll_;
    FrontEndState state_ = FrontEndState::kOpen;
    std::array<Client, kMaxClients> clients_;
    std::vector<Request> requests_;  // index = id - 1
    std::vector<size_t> free_;
};

void NbdSocket::watch(int fd, size_t index, uint32_t mask, int how) const {
    epoll_event event{};
    event.events = mask;
    event.data.u64 = index;
    ::epoll_ctl(epoll_.get(), how, fd, &event);
}

void NbdSocket::advance() {
    std::array<epoll_event, kMaxClients + 1> events{};
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < count; ++i) {
        const size_t index = events[static_cast<size_t>(i)].data.u64;
        index == kMaxClients ? accept_all() : run(index, events[static_cast<size_t>(i)].events);
    }
    if (state_ == FrontEndState::kClosing && free_.size() == requests_.size()) state_ = FrontEndState::kClosed;
}

void NbdSocket::accept_all() {
    while (true) {
        UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!socket.valid()) return;
        const auto place = std::ranges::find_if(clients_, [](const Client& c) { return c.connection == nullptr; });
        if (place == clients_.end()) continue;  // one too many: it sees the end
        const auto index = static_cast<size_t>(place - clients_.begin());
        place->connection = std::make_unique<NbdConnection>(std::move(socket), export_);
        place->watched = EPOLLIN;
        watch(place->connection->descriptor(), index, EPOLLIN, EPOLL_CTL_ADD);
        run(index, EPOLLIN);
    }
}

// ---- a client ----

void NbdSocket::run(size_t index, uint32_t events) {
    Client& client = clients_[index];
    if (client.connection == nullptr) return;
    // Who waits is not read from, and would be reported for ever.
    const bool hung_up = (events & (EPOLLHUP | EPOLLERR)) != 0;
    if (hung_up && (client.parked || client.connection->leaving())) return remove(index);
    client.connection->go_on_sending();
    send_ready(index);
    client.parked = false;
    for (int i = 0; i < kStepsAtOnce && !client.parked; ++i) {
        const NbdConnection::Step step = client.connection->advance();
        if (step == NbdConnection::Step::kRequest) {
            client.parked = !begin(index);
        } else if (step == NbdConnection::Step::kPayload) {
            issue(std::exchange(client.filling, kNone));
        } else {
            break;
        }
    }
    settle(index);
}

// Takes an id and a buffer for the request; false: none is free.
bool NbdSocket::begin(size_t index) {
    Client& client = clients_[index];
    const NbdRequest& wanted = client.connection->request();
    const bool data = wanted.operation == Operation::kRead || wanted.operation == Operation::kWrite;
    if (free_.empty()) return false;
    BufferId buffer = kNoBuffer;
    if (data) buffer = settings_.buffers->take(static_cast<uint32_t>(wanted.extent.length), Use::kClient);
    if (data && buffer == kNoBuffer) return false;
    const size_t id = free_.back();
    free_.pop_back();
    requests_[id] = {index, wanted.cookie, wanted.operation, wanted.extent, 0, wanted.durable, buffer, 0};
    ++client.under_way;
    if (wanted.operation == Operation::kWrite) {
        client.filling = id;
        client.connection->start(settings_.buffers->bytes(buffer));
    } else {
        client.connection->start({});
        issue(id);
    }
    return true;
}

// What the client's state asks of the poll, or of its place.
void NbdSocket::settle(size_t index) {
    Client& client = clients_[index];
    const bool leaving = client.connection->leaving();
    if (client.connection->gone() || (leaving && client.under_way == 0 && !client.connection->sending()))
        return remove(index);
    uint32_t mask = client.parked || leaving ? 0U : static_cast<uint32_t>(EPOLLIN);
    if (client.connection->sending()) mask = EPOLLOUT;
    if (mask != client.watched) watch(client.connection->descriptor(), index, mask, EPOLL_CTL_MOD);
    client.watched = mask;
}

// Its requests end by themselves, with nobody to tell.
void NbdSocket::remove(size_t index) {
    Client& client = clients_[index];
    if (client.connection == nullptr) return;
    for (; client.count > 0; --client.count) {
        release(client.ready[client.first]);
        client.first = (client.first + 1) % client.ready.size();
    }
    for (size_t* const id : {&client.filling, &client.replying})
        if (*id != kNone) release(std::exchange(*id, kNone));
    for (Request& request : requests_)
        if (request.client == index) request.client = kNone;
    client.connection.reset();
    client.under_way = 0;
    client.parked = false;
}

// ---- requests ----

// Zeroes go piece by piece, each inside one hot extent; everything else goes whole. A durable one ends with a flush.
void NbdSocket::issue(size_t id) {
    Request& request = requests_[id];
    const bool done = request.issued == request.extent.length;
    if (done && request.operation != Operation::kFlush) {
        request.durable = false;
        return settings_.submit({RequestId{id + 1}, Operation::kFlush, {}, kNoBuffer});
    }
    Extent piece = request.extent;
    if (request.operation == Operation::kZero) {
        const uint64_t from = piece.offset + request.issued;
        piece = {from, std::min(kHotExtentBytes - from % kHotExtentBytes, request.extent.end() - from)};
    }
    request.issued += piece.length;
    settings_.submit({RequestId{id + 1}, request.operation, piece, request.buffer});
}

void NbdSocket::complete(const Completion& completion) {
    const size_t id = completion.id.value - 1;
    KAGAMI_ASSERT(id < requests_.size(), "an id of this front end");
    Request& request = requests_[id];
    request.error = completion.error;
    if (completion.data != kNoBuffer) {  // the peer has read it for us
        const auto from = settings_.buffers->bytes(completion.data).first(request.extent.length);
        std::ranges::copy(from, settings_.buffers->bytes(request.buffer).begin());
    }
    const bool more = request.issued < request.extent.length || request.durable;
    if (request.error == 0 && more) return issue(id);
    finish(id);
}

void NbdSocket::finish(size_t id) {
    const size_t index = requests_[id].client;
    if (index == kNone) {
        release(id);
    } else {
        Client& client = clients_[index];
        client.ready[(client.first + client.count++) % client.ready.size()] = id;
        send_ready(index);
        settle(index);
    }
    buffers_released();
}

void NbdSocket::send_ready(size_t index) {
    Client& client = clients_[index];
    while (!client.connection->sending()) {
        if (client.replying != kNone) release(std::exchange(client.replying, kNone));
        if (client.count == 0) return;
        client.replying = client.ready[client.first];
        client.first = (client.first + 1) % client.ready.size();
        --client.count;
        const Request& request = requests_[client.replying];
        std::span<const uint8_t> data;
        if (request.operation == Operation::kRead)
            data = settings_.buffers->bytes(request.buffer).first(request.extent.length);
        client.connection->reply(request.cookie, request.error, data);
    }
}

void NbdSocket::release(size_t id) {
    Request& request = requests_[id];
    if (request.client != kNone) --clients_[request.client].under_way;
    if (request.buffer != kNoBuffer) settings_.buffers->release(request.buffer);
    request = {};
    free_.push_back(id);
}

void NbdSocket::buffers_released() {
    for (size_t i = 0; i < kMaxClients; ++i)
        if (clients_[i].parked) run(i, 0);
}

// ---- open and closed ----

Status NbdSocket::idle() const {
    const auto open = std::ranges::count_if(clients_, [](const Client& c) { return c.connection != nullptr; });
    if (open == 0) return {};
    return fail(ErrorCode::kRefused,
                "mirror " + settings_.mirror + ": " + std::to_string(open) + " NBD client" +
                    (open == 1 ? " is" : "s are") + " connected to " + device(),
                "disconnect the clients");
}

Status NbdSocket::close() {
    if (Status unused = idle(); !unused) return unused;
    listener_.reset();
    ::unlink(socket_path(settings_.directory).c_str());
    // Requests of clients that have left still come back here.
    state_ = free_.size() == requests_.size() ? FrontEndState::kClosed : FrontEndState::kClosing;
    return {};
}

}  // namespace

Status nbd_socket_usable() {
    return {};  // sockets are everywhere
}

Result<std::unique_ptr<FrontEnd>> open_nbd_socket(FrontEndSettings settings) {
    auto listener = listen_at(socket_path(settings.directory));
    if (!listener) return tl::unexpected(listener.error());
    UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll.valid())
        return fail("mirror " + settings.mirror + ": cannot poll: " + errno_text(errno),
                    "raise the limit of open files");
    return std::make_unique<NbdSocket>(std::move(settings), std::move(*listener), std::move(epoll));
}

void drop_nbd_socket(const std::string& directory) {
    ::unlink(socket_path(directory).c_str());
}

}  // namespace kagami::mirror
