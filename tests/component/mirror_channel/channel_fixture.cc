#include "tests/component/mirror_channel/channel_fixture.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>

#include "cluster-daemon/runtime/socket_address.h"

namespace kagami::testing {

using namespace mirror;

const Uuid kChannelCluster = parse_uuid("11111111-2222-3333-4444-555555555555").value();

runtime::PeerIdentity node(uint16_t number, const Uuid& cluster) {
    return {cluster, runtime::Role::kNode, NodeId{number}, "node" + std::to_string(number)};
}

uint16_t free_port() {
    const auto socket = runtime::open_bound_socket(SOCK_STREAM, "127.0.0.1:0");
    REQUIRE(socket);
    const std::string address = runtime::bound_address(socket->get());
    return static_cast<uint16_t>(std::stoul(address.substr(address.rfind(':') + 1)));
}

mirror_link::Path path_of(uint16_t number, int index, const std::string& network) {
    const std::string prefix = "127.0." + std::to_string(index) + ".";
    return {network, prefix + std::to_string(number), prefix + std::to_string(3 - number)};
}

End::End(uint16_t number, const runtime::Credential& ca, uint16_t port, std::vector<mirror_link::Path> paths,
         uint32_t large_buffers)
    : buffers(std::move(Buffers::make(32, large_buffers).value())) {
    settings = {"md1", kChannelCluster,  NodeId{number},       NodeId{static_cast<uint16_t>(3 - number)},
                port,  std::move(paths), pki_.path() + "/pki", kDiskBytes};
    use_certificate(ca, node(number));
}

void End::use_certificate(const runtime::Credential& ca, const runtime::PeerIdentity& identity,
                          const runtime::Validity& validity) {
    const auto own = runtime::issue(ca, identity, validity);
    REQUIRE(own);
    REQUIRE(runtime::save_key_material(settings.pki_directory, ca.certificate_pem, *own));
}

void End::open() {
    PeerChannel::Handlers handlers;
    handlers.up = [this](ConnectionId id, const std::string& over) {
        connection = id;
        network = over;
    };
    handlers.down = [this](ConnectionId id, const std::string& why) {
        downs.push_back(why);
        if (connection == id) connection = {};
    };
    handlers.frame = [this](ConnectionId id, Frame& frame) { on_frame ? on_frame(frame) : take(id, frame); };
    auto opened = PeerChannel::open(settings, buffers, std::move(handlers));
    if (!opened) FAIL(opened.error().message);
    channel = std::move(*opened);
    channel->advance(host::boot_now());  // listens from now on
}

void End::take(ConnectionId from, Frame& frame) {
    Received one{from, frame, {}};
    if (frame.payload != kNoBuffer) {
        const auto bytes = buffers.bytes(frame.payload).first(frame.length);
        one.payload.assign(bytes.begin(), bytes.end());
        if (hold) {
            held.push_back(frame.payload);
        } else {
            buffers.release(frame.payload);
            channel->buffers_released();
        }
    }
    received.push_back(std::move(one));
}

void End::release_held() {
    for (const BufferId buffer : held) buffers.release(buffer);
    held.clear();
    channel->buffers_released();
}

void End::send(FrameType type, uint64_t seq, const Bytes& data) {
    Frame frame;
    frame.type = type;
    frame.seq = seq;
    if (!data.empty()) {
        frame.length = static_cast<uint32_t>(data.size());
        frame.payload = buffers.take(frame.length, Use::kClient);
        REQUIRE(frame.payload != kNoBuffer);
        std::memcpy(buffers.bytes(frame.payload).data(), data.data(), data.size());
    }
    channel->send(std::move(frame), true);
    channel->flush();
}

bool run_until(std::initializer_list<End*> ends, const std::function<bool()>& condition, Duration limit) {
    const Instant end = host::boot_now() + limit;
    while (!condition()) {
        Instant next = std::min(end, host::boot_now() + 20ms);
        std::vector<pollfd> wait;
        for (const End* one : ends) {
            if (!one->channel) continue;
            wait.push_back({one->channel->descriptor(), POLLIN, 0});
            next = std::min(next, one->channel->wake_at().value_or(next));
        }
        const Instant now = host::boot_now();
        if (now > end) return false;
        const Duration pause = std::max(Duration::zero(), next - now);
        const timespec length{pause / 1s, (pause % 1s).count()};
        ::ppoll(wait.data(), wait.size(), &length, nullptr);
        for (End* one : ends)
            if (one->channel) one->channel->advance(host::boot_now());
    }
    return true;
}

void run_for(std::initializer_list<End*> ends, Duration length) {
    const Instant end = host::boot_now() + length;
    run_until(ends, [end] { return host::boot_now() >= end; }, length + 1s);
}

void Couple::connect() {
    acceptor.open();
    dialler.open();
    const bool connected = run([this] { return both_up(); });
    INFO("dialler: " << dialler.channel->state() << "\nacceptor: " << acceptor.channel->state());
    REQUIRE(connected);
}

Bytes pattern(size_t length, uint8_t seed) {
    Bytes made(length);
    for (size_t i = 0; i < length; ++i) made[i] = static_cast<uint8_t>(seed + i * 7 + (i >> 8U));
    return made;
}

}  // namespace kagami::testing
