// One stream by itself: keys that change on the way, ends in the middle.
#include <sys/socket.h>

#include <catch2/catch.hpp>

#include "mirror-driver/io/channel/peer_stream.h"
#include "tests/component/mirror_channel/channel_fixture.h"

using namespace kagami;
using namespace kagami::testing;
using namespace kagami::mirror;

namespace {

struct TwoStreams {
    runtime::Credential ca = runtime::create_ca(kChannelCluster).value();
    End one{1, ca, 1, {path_of(1, 1, "mirror")}};  // for their certificates
    End two{2, ca, 1, {path_of(2, 1, "mirror")}};
    std::unique_ptr<TlsContext> tls[2];
    std::unique_ptr<PeerStream> stream[2];

    explicit TwoStreams(uint64_t records_per_key = PeerStream::kRecordsPerKey) {
        int sockets[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets) == 0);
        for (size_t i : {size_t{0}, size_t{1}}) {
            const ChannelSettings& settings = i == 0 ? one.settings : two.settings;
            tls[i] = std::move(
                TlsContext::load(settings.pki_directory, kChannelCluster, settings.self, settings.peer).value());
            stream[i] = std::make_unique<PeerStream>(UniqueFd(sockets[i]), tls[i].get(),
                                                     i == 0 ? Side::kDialler : Side::kAcceptor,
                                                     PeerStream::kLargeBuffer, records_per_key);
        }
        IoState state[2] = {};
        for (int round = 0; round < 20 && (round == 0 || state[0] != IoState::kDone || state[1] != IoState::kDone);
             ++round)
            for (size_t i : {size_t{0}, size_t{1}}) {
                stream[i]->grant();
                state[i] = stream[i]->establish();
            }
        REQUIRE(state[0] == IoState::kDone);
        REQUIRE(state[1] == IoState::kDone);
    }
    // Sends all of it from `from` to the other one, and gives back what arrived.
    Bytes pass(size_t from, std::span<const uint8_t> bytes) {
        Bytes arrived(bytes.size());
        size_t filled = 0;
        for (int idle = 0; idle < 1000 && filled < arrived.size(); ++idle) {
            while (!bytes.empty()) {
                const IoResult sent = stream[from]->write(bytes);
                if (sent.state != IoState::kDone) break;
                bytes = bytes.subspan(sent.bytes);
                idle = 0;
            }
            stream[from]->drain();
            stream[1 - from]->grant();
            while (filled < arrived.size()) {
                const IoResult got = stream[1 - from]->read(std::span(arrived).subspan(filled));
                if (got.state != IoState::kDone) break;
                filled += got.bytes;
                idle = 0;
            }
        }
        arrived.resize(filled);
        return arrived;
    }
};

}  // namespace

TEST_CASE("keys change after so many records, both ways, and nobody notices") {
    TwoStreams two(10);
    const Bytes data = pattern(size_t{4} << 20U, 3);  // 256 records
    CHECK(two.pass(0, data) == data);
    CHECK(two.stream[0]->records() <= 10);
    CHECK(two.pass(1, data) == data);
    CHECK(two.pass(0, data) == data);
}

TEST_CASE("a closed stream is readable to its end and then says so") {
    TwoStreams two;
    const Bytes data = pattern(1000, 3);
    CHECK(two.stream[0]->write(data).bytes == 1000);
    two.stream[0]->close();
    Bytes arrived(2000);
    two.stream[1]->grant();
    CHECK(two.stream[1]->read(arrived).bytes == 1000);
    two.stream[1]->grant();
    CHECK(two.stream[1]->read(arrived).state == IoState::kEnded);
    CHECK(two.stream[1]->why() == "closed by the peer");
    CHECK_FALSE(two.stream[1]->path_failed());
    CHECK(two.stream[1]->write(data).state == IoState::kEnded);
}

TEST_CASE("reading takes a bounded part of the socket between two grants") {
    TwoStreams two;
    const Bytes data = pattern(size_t{100} << 10U, 3);
    CHECK(two.pass(0, data) == data);
    CHECK(two.stream[0]->write(data).state == IoState::kDone);
    two.stream[0]->drain();
    Bytes arrived(data.size());
    CHECK(two.stream[1]->read(arrived).state == IoState::kBlocked);
    two.stream[1]->grant();
    CHECK(two.stream[1]->read(arrived).state == IoState::kDone);
}
