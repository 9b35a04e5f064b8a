// What an end refuses: other certificates, other protocols, bad bytes, and those who only wait.
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>

#include "cluster-daemon/runtime/socket_address.h"
#include "mirror-driver/io/channel/joiner.h"
#include "tests/component/mirror_channel/channel_fixture.h"

using namespace kagami;
using namespace kagami::testing;
using namespace kagami::mirror;

namespace {

const Uuid kOther = parse_uuid("99999999-2222-3333-4444-555555555555").value();

// Non-blocking, bound to a node's own address.
UniqueFd tcp(uint16_t port, const std::string& from = "127.0.1.1", const std::string& to = "127.0.1.2") {
    auto socket = runtime::open_bound_socket(SOCK_STREAM, from + ":0");
    REQUIRE(socket);
    const auto target = runtime::parse_socket_address(to + ":" + std::to_string(port));
    REQUIRE((::connect(socket->get(), target->get(), target->length_bytes) == 0 || errno == EINPROGRESS));
    return std::move(*socket);
}

// A peer that the test speaks for by hand: the right certificate, any bytes.
struct Hand {
    std::unique_ptr<TlsContext> tls;
    std::unique_ptr<PeerStream> bulk;
    std::unique_ptr<PeerStream> control;
    Uuid pair{1, 2, 3};

    explicit Hand(const End& as) {
        tls = std::move(
            TlsContext::load(as.settings.pki_directory, kChannelCluster, as.settings.self, as.settings.peer).value());
    }
    std::unique_ptr<PeerStream> open(End& to, uint16_t port) const {
        auto stream = std::make_unique<PeerStream>(tcp(port), tls.get(), Side::kDialler, PeerStream::kSmallBuffer);
        IoState state = IoState::kBlocked;
        REQUIRE(run_until({&to}, [&] {
            stream->grant();
            return (state = stream->establish()) != IoState::kBlocked;
        }));
        REQUIRE(state == IoState::kDone);
        return stream;
    }
    static void write(PeerStream& stream, std::span<const uint8_t> bytes) {
        while (!bytes.empty()) {
            const IoResult sent = stream.write(bytes);
            if (sent.state != IoState::kDone) break;
            bytes = bytes.subspan(sent.bytes);
        }
        stream.drain();
    }
    void introduce(PeerStream& stream, Channel channel, const std::string& name = "md1") const {
        write(stream, encode_preamble({pair, channel, false, name}));
    }
    void connect(End& to, uint16_t port) {
        bulk = open(to, port);
        control = open(to, port);
        introduce(*bulk, Channel::kBulk);
        introduce(*control, Channel::kControl);
        REQUIRE(run_until({&to}, [&] { return to.up(); }));
    }
    static bool ended(PeerStream& stream) {
        uint8_t byte = 0;
        stream.grant();
        return stream.read({&byte, 1}).state == IoState::kEnded;
    }
};

bool closed(int fd) {
    char byte = 0;
    const ssize_t got = ::recv(fd, &byte, 1, MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN);
}

// Everything the other side says until it closes.
std::string answer_to(End& listener, const UniqueFd& socket, const std::string& said) {
    std::string heard;
    bool sent = false;
    REQUIRE(run_until({&listener}, [&] {
        if (!sent) sent = ::send(socket.get(), said.data(), said.size(), MSG_NOSIGNAL) >= 0;
        char piece[512];
        const ssize_t got = ::recv(socket.get(), piece, sizeof piece, MSG_DONTWAIT);
        if (got > 0) heard.append(piece, static_cast<size_t>(got));
        return got == 0 || (got < 0 && errno != EAGAIN);
    }));
    return heard;
}

void never_up(Couple& couple, const std::string& dialler_says, const std::string& acceptor_says) {
    couple.acceptor.open();
    couple.dialler.open();
    REQUIRE(couple.run(
        [&] {
            return couple.dialler.channel->state().find(dialler_says) != std::string::npos &&
                   couple.acceptor.channel->state().find(acceptor_says) != std::string::npos;
        },
        5s));
    INFO("dialler: " << couple.dialler.channel->state() << "\nacceptor: " << couple.acceptor.channel->state());
    CHECK_FALSE(couple.dialler.up());
    CHECK_FALSE(couple.acceptor.up());
}

using HeaderBytes = std::array<uint8_t, kFrameHeaderBytes>;
HeaderBytes a_write(uint64_t offset, uint32_t length, uint32_t payload_crc = 0) {
    Frame write;
    write.type = FrameType::kWrite;
    write.offset = offset;
    write.length = length;
    return encode_header(write, payload_crc);
}

// The header and a block behind it, on one stream of a connection that is up: it ends with that reason.
void ends_with(Channel on, const HeaderBytes& header, const std::string& reason) {
    Couple couple;
    couple.acceptor.open();
    Hand hand(couple.dialler);
    hand.connect(couple.acceptor, couple.port);
    PeerStream& stream = on == Channel::kBulk ? *hand.bulk : *hand.control;
    Hand::write(stream, header);
    Hand::write(stream, pattern(4096, 1));
    REQUIRE(run_until({&couple.acceptor}, [&] { return !couple.acceptor.up(); }, 2s));
    REQUIRE(couple.acceptor.downs.size() == 1);
    CHECK_THAT(couple.acceptor.downs[0], Catch::Contains(reason));
    CHECK(couple.acceptor.received.empty());
    // The buffer of the unfinished frame is back: as many are free as in a pool that was never used.
    couple.acceptor.channel->advance(host::boot_now());
    while (couple.acceptor.buffers.take(4096, Use::kPeer) != kNoBuffer)
        REQUIRE(couple.dialler.buffers.take(4096, Use::kPeer) != kNoBuffer);
    CHECK(couple.dialler.buffers.take(4096, Use::kPeer) == kNoBuffer);
}

}  // namespace

TEST_CASE("certificates that are not the peer's are refused on both sides") {
    Couple couple;
    SECTION("the dialler's is of another CA with the same names") {
        // It trusts that other CA, too: each side finds the other one wrong.
        couple.dialler.use_certificate(runtime::create_ca(kChannelCluster).value(), node(1));
        never_up(couple, "not issued by this cluster's CA", "waits for node 1");
    }
    SECTION("the dialler's is that of another node") {
        couple.dialler.settings.self = NodeId{1};
        const auto third = runtime::issue(couple.ca, node(3)).value();
        REQUIRE(runtime::save_key_material(couple.dialler.settings.pki_directory, couple.ca.certificate_pem, third));
        couple.dialler.settings.self = NodeId{3};
        couple.dialler.settings.peer = NodeId{4};  // so that it dials
        couple.acceptor.use_certificate(couple.ca, node(4));
        couple.acceptor.settings.self = NodeId{4};
        couple.acceptor.settings.peer = NodeId{1};
        never_up(couple, "does not answer", "node/3/node3, not of node 1");
    }
    SECTION("the acceptor's is that of another node") {
        couple.acceptor.use_certificate(couple.ca, node(5));
        couple.acceptor.settings.self = NodeId{5};
        never_up(couple, "node/5/node5, not of node 2", "waits for node 1");
    }
}

TEST_CASE("keys of another cluster, expired ones and missing ones are refused at once") {
    Couple couple;
    const auto refusal = [&] {
        const auto opened = PeerChannel::open(couple.dialler.settings, couple.dialler.buffers, {});
        return opened ? std::string("opened") : opened.error().message;
    };
    SECTION("a witness's") {
        couple.dialler.use_certificate(couple.ca, {kChannelCluster, runtime::Role::kWitness, kWitnessId, "witness"});
        CHECK_THAT(refusal(), Catch::Contains("not of node 1"));
    }
    SECTION("another cluster") {
        couple.dialler.use_certificate(runtime::create_ca(kOther).value(), node(1, kOther));
        CHECK_THAT(refusal(), Catch::Contains("belongs to cluster 99999999"));
    }
    SECTION("expired") {
        const auto now = std::chrono::system_clock::now();
        couple.dialler.use_certificate(couple.ca, node(1),
                                       {now - std::chrono::hours(48), now - std::chrono::hours(24)});
        CHECK_THAT(refusal(), Catch::Contains("expired"));
    }
    SECTION("missing") {
        couple.dialler.settings.pki_directory += "/no";
        CHECK_THAT(refusal(), Catch::Contains("/no/ca.crt"));
    }
    SECTION("no network") {
        couple.dialler.settings.paths.clear();
        CHECK_THAT(refusal(), Catch::Contains("no network"));
    }
    SECTION("an address that is none") {
        couple.dialler.settings.paths[0].peer_address = "node2.example";
        CHECK_THAT(refusal(), Catch::Contains("not a numeric address"));
    }
}

TEST_CASE("certificates that are renewed while the channel is open count for the next attempt, unusable ones do not") {
    Couple couple;
    const auto other = runtime::create_ca(kChannelCluster).value();
    End& changed = GENERATE(true, false) ? couple.dialler : couple.acceptor;
    changed.use_certificate(other, node(&changed == &couple.dialler ? 1 : 2));
    couple.acceptor.open();
    couple.dialler.open();
    CHECK_FALSE(couple.run([&] { return couple.dialler.up() || couple.acceptor.up(); }, 200ms));
    changed.use_certificate(couple.ca, node(&changed == &couple.dialler ? 1 : 2));
    REQUIRE(couple.run([&] { return couple.both_up(); }));
    changed.use_certificate(couple.ca, node(7));  // not this node's: the former stay in force
    couple.dialler.channel->disconnect(couple.dialler.connection, "again", 0s);
    REQUIRE(couple.run([&] { return couple.dialler.downs.size() == 1 && couple.acceptor.downs.size() == 1 && couple.both_up(); }));
}

TEST_CASE("two clusters never connect, even when each trusts its own keys") {
    Couple couple;
    couple.dialler.settings.cluster = kOther;
    couple.dialler.use_certificate(runtime::create_ca(kOther).value(), node(1, kOther));
    never_up(couple, "not issued by this cluster's CA", "waits for node 1");
}

TEST_CASE("TLS 1.2 and a client without a certificate are refused") {
    ::signal(SIGPIPE, SIG_IGN);  // OpenSSL's own sockets, which the channel does not use
    Couple couple;
    couple.acceptor.open();
    const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    const auto try_it = [&] {
        const UniqueFd socket = tcp(couple.port);
        const std::unique_ptr<SSL, decltype(&SSL_free)> tls(SSL_new(context.get()), SSL_free);
        SSL_set_fd(tls.get(), socket.get());
        bool over = false;
        REQUIRE(couple.run([&] {
            if (SSL_is_init_finished(tls.get()) == 0) {
                const int result = SSL_connect(tls.get());
                over = result != 1 && SSL_get_error(tls.get(), result) == SSL_ERROR_SSL;
            } else {
                char byte = 0;
                const int result = SSL_read(tls.get(), &byte, 1);
                over = result <= 0 && SSL_get_error(tls.get(), result) != SSL_ERROR_WANT_READ;
            }
            return over;
        }));
        char text[200];
        ERR_error_string_n(ERR_get_error(), text, sizeof text);
        ERR_clear_error();
        return std::string(text);
    };
    SECTION("TLS 1.2") {
        SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
        CHECK_THAT(try_it(), Catch::Contains("protocol version"));
    }
    SECTION("no certificate") {
        CHECK_THAT(try_it(), Catch::Contains("certificate required"));
    }
    CHECK_FALSE(couple.acceptor.up());
}

TEST_CASE("plain garbage gets nothing but an alert, and the peer still gets in") {
    Couple couple;
    couple.acceptor.open();
    const std::string said =
        GENERATE(std::string("GET / HTTP/1.1\r\n\r\n"), std::string(5000, '\xff'),
                 std::string("\x16\x03\x01\xff\xff", 5) + std::string(3000, 'x'), std::string("KGMP"));
    const UniqueFd socket = tcp(couple.port);
    const std::string heard = answer_to(couple.acceptor, socket, said);
    INFO("heard " << heard.size() << " bytes");
    CHECK((heard.empty() || heard[0] == '\x15'));  // nothing, or a TLS alert
    CHECK(heard.size() <= 7);
    couple.dialler.open();
    REQUIRE(couple.run([&] { return couple.both_up(); }, 2s));
}

TEST_CASE("strangers' addresses are turned away before TLS") {
    Couple couple;
    couple.acceptor.open();
    const UniqueFd socket = tcp(couple.port, "127.0.9.9");
    REQUIRE(couple.run([&] { return closed(socket.get()); }, 900ms));
    CHECK_THAT(couple.acceptor.channel->state(), Catch::Contains("127.0.9.9"));
}

TEST_CASE("connections that say nothing are dropped in time and keep nobody out") {
    Couple couple;
    couple.acceptor.open();
    std::vector<UniqueFd> silent;
    for (int i = 0; i < 40; ++i) silent.push_back(tcp(couple.port));
    run_for({&couple.acceptor}, 20ms);
    const Instant before = host::boot_now();
    couple.dialler.open();
    REQUIRE(couple.run([&] { return couple.both_up(); }, 900ms));
    REQUIRE(couple.run(
        [&] { return std::all_of(silent.begin(), silent.end(), [](const UniqueFd& fd) { return closed(fd.get()); }); },
        3s));
    CHECK(host::boot_now() - before < 2s);
    CHECK(couple.both_up());
}

TEST_CASE("a handshake a byte at a time ends after a second") {
    Couple couple;
    couple.acceptor.open();
    const UniqueFd socket = tcp(couple.port);
    const Instant before = host::boot_now();
    REQUIRE(couple.run(
        [&] {
            ::send(socket.get(), "\x16", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
            return closed(socket.get());
        },
        5s));
    CHECK(host::boot_now() - before < 1500ms);
}

TEST_CASE("half a pair does not count and ends after a second; the peer still gets in") {
    Couple couple;
    couple.acceptor.open();
    Hand hand(couple.dialler);
    hand.bulk = hand.open(couple.acceptor, couple.port);
    hand.introduce(*hand.bulk, Channel::kBulk);
    SECTION("alone") {}
    SECTION("with half of another pair") {
        hand.control = hand.open(couple.acceptor, couple.port);
        hand.pair = {9};
        hand.introduce(*hand.control, Channel::kControl);
    }
    SECTION("with the same half again") {
        hand.control = hand.open(couple.acceptor, couple.port);
        hand.introduce(*hand.control, Channel::kBulk);
    }
    const Instant before = host::boot_now();
    REQUIRE(run_until({&couple.acceptor}, [&] { return Hand::ended(*hand.bulk); }, 3s));
    CHECK(host::boot_now() - before > 500ms);
    CHECK_FALSE(couple.acceptor.up());
    couple.dialler.open();
    REQUIRE(couple.run([&] { return couple.both_up(); }, 2s));
}

TEST_CASE("first bytes that are not those of this mirror are refused") {
    Couple couple;
    couple.acceptor.open();
    Hand hand(couple.dialler);
    hand.bulk = hand.open(couple.acceptor, couple.port);
    PreambleBytes bytes = encode_preamble({hand.pair, Channel::kBulk, false, "md1"});
    std::string expected;
    SECTION("another mirror") {
        bytes = encode_preamble({hand.pair, Channel::kBulk, false, "md2"});
        expected = "the peer means mirror md2, this port is that of mirror md1";
    }
    SECTION("an answer") {
        bytes = encode_preamble({hand.pair, Channel::kBulk, true, "md1"});
        expected = "answers where it has to ask";
    }
    SECTION("a later version") {
        bytes[4] = 2;
        expected = "speaks version 2";
    }
    SECTION("another protocol") {
        bytes[0] = 'P';
        expected = "does not speak the mirror's protocol";
    }
    SECTION("a flipped bit") {
        bytes[20] ^= 1;
        expected = "damaged";
    }
    SECTION("more than the preamble before the answer") {
        expected = "spoke before it was answered";
        Hand::write(*hand.bulk, bytes);
    }
    Hand::write(*hand.bulk, bytes);
    REQUIRE(run_until({&couple.acceptor}, [&] { return Hand::ended(*hand.bulk); }, 900ms));
    CHECK_THAT(couple.acceptor.channel->state(), Catch::Contains(expected));
}

TEST_CASE("bytes that are no frame end the connection with the reason") {
    HeaderBytes header = a_write(0, 4096);
    SECTION("garbage") {
        header.fill(0x5a);
        ends_with(Channel::kBulk, header, "does not begin with KGMF");
    }
    SECTION("a flipped bit in the header") {
        header[40] ^= 4;
        ends_with(Channel::kBulk, header, "checksum of its header");
    }
    SECTION("a body above the limit") {
        Frame goodbye;
        goodbye.type = FrameType::kGoodbye;
        goodbye.body.resize(kMaxBodyBytes + 1);
        ends_with(Channel::kControl, encode_header(goodbye, 0), "with a body of 4097 bytes");
    }
    SECTION("a frame of the other stream") {
        ends_with(Channel::kBulk, encode_header(Frame{}, 0), "a frame of the other stream: ping");
        ends_with(Channel::kControl, header, "a frame of the other stream: write");
    }
    SECTION("data that arrived damaged") {
        ends_with(Channel::kBulk, a_write(0, 4096, 1), "the data of a frame arrived damaged: write");
    }
}

TEST_CASE("frames outside the disk or above the limits end the connection before memory is taken") {
    const auto bulk = [](uint64_t offset, uint32_t length, const std::string& reason) {
        ends_with(Channel::kBulk, a_write(offset, length), reason);
    };
    bulk(kDiskBytes, 4096, "behind the end of the disk");
    bulk(~uint64_t{4095}, 4096, "behind the end of the disk");  // an offset that overflows
    bulk(0, 0xfffff000U, "behind the end of the disk");
    bulk(0, kMaxRequestBytes + 4096, "longer than a request may be");
    bulk(512, 4096, "not in whole blocks");
    bulk(0, 4095, "not in whole blocks");
    bulk(0, 0, "must be about a part of the disk");
}
