#include "mirror-driver/engine/frames.h"

#include <catch2/catch.hpp>
#include <random>

#include "common/mirror_coder.h"
#include "tests/unit/mirror_metadata/device.h"

using namespace kagami;
using namespace kagami::mirror;
using namespace kagami::mirror::test;

namespace {

using Header = std::array<uint8_t, kFrameHeaderBytes>;

constexpr auto kTypes = static_cast<int>(FrameType::kGoodbye) + 1;

bool carries(FrameType type, std::initializer_list<FrameType> list) {
    return std::find(list.begin(), list.end(), type) != list.end();
}
bool about_a_part(FrameType type) {
    return carries(type, {FrameType::kWrite, FrameType::kZero, FrameType::kCopy, FrameType::kCopyZero,
                          FrameType::kReadReply, FrameType::kRead, FrameType::kDirty});
}
bool with_payload(FrameType type) {
    return carries(type, {FrameType::kWrite, FrameType::kCopy, FrameType::kReadReply});
}
bool with_body(FrameType type) {
    return carries(type, {FrameType::kHello, FrameType::kVerdict, FrameType::kResyncBegin, FrameType::kGoodbye});
}

Frame sample(FrameType type) {
    Frame frame;
    frame.type = type;
    frame.seq = 77;
    frame.token = {Epoch::make(4, NodeId{1}), 9};
    frame.generation = {3, uuid_of(5)};
    if (about_a_part(type)) {
        frame.offset = 5 * kBlockBytes;
        frame.length = 3 * kBlockBytes;
    }
    if (with_body(type)) frame.body = {1, 2, 3};
    if (type == FrameType::kAck) frame.error = 5;
    return frame;
}

void seal(Header& bytes) {
    const uint32_t crc = crc32c(std::span(bytes).first(kFrameHeaderBytes - 4));
    for (size_t i = 0; i < 4; ++i) bytes[kFrameHeaderBytes - 4 + i] = static_cast<uint8_t>(crc >> (8 * i));
}

std::string error_of(const Frame& frame, uint64_t size_bytes = kDisk) {
    const auto decoded = decode_header(encode_header(frame, 0), size_bytes);
    return decoded ? "" : decoded.error().message;
}
// Byte `at` of a sound ping changed to `value`, with the checksum made right again.
std::string error_with(size_t at, uint8_t value) {
    Header bytes = encode_header(sample(FrameType::kPing), 0);
    bytes[at] = value;
    seal(bytes);
    const auto decoded = decode_header(bytes, kDisk);
    return decoded ? "" : decoded.error().message;
}

Hello sample_hello() {
    Hello hello;
    hello.context = full_context();
    hello.context.device_identity.clear();
    hello.context.nonce = hello.context.next_nonce = {};
    hello.boot = uuid_of(40);
    hello.instance = uuid_of(41);
    hello.promoted = {Epoch::make(2, NodeId{1}), 3};
    hello.crashed_primary = true;
    hello.dirty_blocks = 12;
    hello.version = {Epoch::make(2, NodeId{2}), 8};
    hello.record.uuid = uuid_of(2);
    hello.record.generation = {3, uuid_of(50)};
    hello.record.replicas[NodeId{1}] = {Nonce{1}, Nonce{2}, Standing::kCurrent};
    hello.record.replicas[NodeId{2}] = {Nonce{3}, Nonce{}, Standing::kStale};
    hello.record.hold = Hold::kCancelled;
    return hello;
}

}  // namespace

TEST_CASE("every type of frame comes back as it was sent") {
    for (int i = 0; i < kTypes; ++i) {
        const Frame frame = sample(static_cast<FrameType>(i));
        CAPTURE(name_of(frame.type));
        CHECK(check_frame(frame, kDisk));
        const uint32_t payload_crc = with_payload(frame.type) ? 0xabcdef01U : 0;
        const auto decoded = decode_header(encode_header(frame, payload_crc), kDisk);
        REQUIRE(decoded);
        Frame without_body = frame;
        without_body.body.clear();
        CHECK(decoded->frame == without_body);
        CHECK(decoded->body_bytes == frame.body.size());
        CHECK(decoded->body_crc == crc32c(frame.body));
        CHECK(decoded->payload_bytes == (with_payload(frame.type) ? frame.length : 0));
        CHECK(decoded->payload_crc == payload_crc);
    }
}

TEST_CASE("what moves data goes over the bulk stream, everything else over the control stream") {
    for (int i = 0; i < kTypes; ++i) {
        const auto type = static_cast<FrameType>(i);
        CHECK((channel_of(type) == Channel::kBulk) == (type <= FrameType::kReadReply));
    }
}

TEST_CASE("any changed byte of a header is refused") {
    const Header sound = encode_header(sample(FrameType::kWrite), 3);
    for (size_t at = 0; at < sound.size(); ++at) {
        for (const int flip : {1, 0x80, 0xff}) {
            Header bytes = sound;
            bytes[at] = static_cast<uint8_t>(bytes[at] ^ flip);
            REQUIRE_FALSE(decode_header(bytes, kDisk));
        }
    }
}

TEST_CASE("a header with a right checksum but a wrong field is refused, naming it") {
    CHECK(error_with(0, 'X').find("begin with KGMF") != std::string::npos);
    CHECK(error_with(4, 2).find("version 2, not 1") != std::string::npos);
    CHECK(error_with(5, kTypes).find("type 19 is not known") != std::string::npos);
    CHECK(error_with(6, 1).find("flags") != std::string::npos);
    CHECK(error_with(71, 0x80).find("ping with error") != std::string::npos);
    CHECK(error_with(72, 1).find("body of 1 bytes") != std::string::npos);
    CHECK(error_with(77, 0x10).find("payload of 4096") != std::string::npos);
    CHECK(error_with(84, 1).find("checksum of a payload") != std::string::npos);
    CHECK(error_with(88, 1).find("flags") != std::string::npos);
}

TEST_CASE("a frame that reaches out of the disk, or is longer than allowed, is refused") {
    Frame frame = sample(FrameType::kWrite);
    const auto refused_with = [&](uint64_t offset, uint32_t length) {
        frame.offset = offset;
        frame.length = length;
        const std::string error = error_of(frame);
        CHECK(error.empty() == check_frame(frame, kDisk).has_value());
        return error;
    };
    CHECK(refused_with(kDisk - kBlockBytes, kBlockBytes).empty());
    CHECK(refused_with(0, kMaxRequestBytes).empty());
    CHECK(refused_with(kDisk, kBlockBytes).find("end of the disk") != std::string::npos);
    CHECK(refused_with(kDisk - kBlockBytes, 2 * kBlockBytes).find("end of the disk") != std::string::npos);
    CHECK(refused_with(~uint64_t{0} - kBlockBytes + 1, kBlockBytes).find("end of the disk") != std::string::npos);
    CHECK(refused_with(0, kMaxRequestBytes + kBlockBytes).find("longer") != std::string::npos);
    CHECK(refused_with(0, 0).find("must be about") != std::string::npos);
    CHECK(refused_with(512, kBlockBytes).find("whole blocks") != std::string::npos);
    CHECK(refused_with(0, 512).find("whole blocks") != std::string::npos);
    frame.type = FrameType::kRead;
    CHECK(refused_with(0, kMaxRequestBytes + kBlockBytes).find("longer") != std::string::npos);
    frame.type = FrameType::kZero;
    CHECK(refused_with(0, kMaxRequestBytes + kBlockBytes).empty());
    frame.type = FrameType::kPing;
    CHECK(refused_with(0, kBlockBytes).find("no part") != std::string::npos);
    CHECK(refused_with(kBlockBytes, 0).find("no part") != std::string::npos);
}

TEST_CASE("before the sizes are known only frames about no part of the disk are taken") {
    for (int i = 0; i < kTypes; ++i) {
        const Frame frame = sample(static_cast<FrameType>(i));
        CHECK(error_of(frame, 0).empty() == !about_a_part(frame.type));
    }
}

TEST_CASE("a peer's failed read is an empty reply") {
    Frame frame = sample(FrameType::kReadReply);
    frame.offset = 0;
    frame.length = 0;
    frame.error = 5;
    const auto decoded = decode_header(encode_header(frame, 0), kDisk);
    REQUIRE(decoded);
    CHECK(decoded->payload_bytes == 0);
}

TEST_CASE("a hello comes back as it was sent, without what is nobody else's business") {
    const Hello hello = sample_hello();
    CHECK(*decode_hello(encode(hello)) == hello);
    Hello more = hello;
    more.context.device_identity = "file=1:2";
    more.context.nonce = Nonce{4};
    CHECK(*decode_hello(encode(more)) == hello);
}

TEST_CASE("the longest hello fits into a frame") {
    Hello hello = sample_hello();
    for (uint16_t node = 1; node <= 64; ++node) hello.record.replicas[NodeId{node}] = {};
    CHECK(*decode_hello(encode(hello)) == hello);
}

TEST_CASE("a cut, longer or senseless hello is refused") {
    const Bytes sound = encode(sample_hello());
    for (size_t length = 0; length < sound.size(); ++length) {
        REQUIRE_FALSE(decode_hello(std::span(sound).first(length)));
    }
    Bytes longer = sound;
    longer.push_back(0);
    CHECK_FALSE(decode_hello(longer));
    CHECK_FALSE(decode_hello(Bytes(kMaxBodyBytes + 1)));
    Hello odd = sample_hello();
    odd.context.size_bytes += 1;
    CHECK_FALSE(decode_hello(encode(odd)));
    odd = sample_hello();
    odd.context.hot_extents = kMaxLogSlots + 1;
    CHECK_FALSE(decode_hello(encode(odd)));
    odd.context.hot_extents = 0;
    CHECK_FALSE(decode_hello(encode(odd)));
}

TEST_CASE("fuzz: mutated headers never give a frame out of range") {
    std::mt19937_64 random(29011);
    uint64_t taken = 0;
    for (int round = 0; round < 100'000; ++round) {
        const uint64_t size = random() % 8 == 0 ? 0 : kDisk;
        Header bytes = encode_header(sample(static_cast<FrameType>(random() % kTypes)), 0);
        for (uint64_t left = 1 + random() % 4; left > 0; --left) {
            bytes[4 + random() % (kFrameHeaderBytes - 8)] = static_cast<uint8_t>(random() % 3 == 0 ? 0 : random());
        }
        if (random() % 16 != 0) seal(bytes);
        const auto decoded = decode_header(bytes, size);
        if (!decoded) {
            REQUIRE_FALSE(decoded.error().message.empty());
            continue;
        }
        ++taken;
        const Frame& frame = decoded->frame;
        REQUIRE(static_cast<int>(frame.type) < kTypes);
        REQUIRE(frame.offset <= size);
        REQUIRE(frame.length <= size - frame.offset);
        REQUIRE(frame.length % kBlockBytes == 0);
        REQUIRE(decoded->body_bytes <= kMaxBodyBytes);
        REQUIRE(decoded->payload_bytes <= kMaxRequestBytes);
        REQUIRE((decoded->payload_bytes == 0 || decoded->payload_bytes == frame.length));
        REQUIRE(frame.error >= 0);
    }
    CHECK(taken > 10'000);
}

TEST_CASE("fuzz: mutated hellos are refused or are the canonical bytes of what they say") {
    std::mt19937_64 random(29012);
    const Bytes sound = encode(sample_hello());
    uint64_t taken = 0;
    for (int round = 0; round < 100'000; ++round) {
        Bytes bytes = sound;
        for (uint64_t left = 1 + random() % 3; left > 0; --left)
            bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
        if (random() % 10 == 0) bytes.resize(random() % (2 * sound.size()));
        const auto hello = decode_hello(bytes);
        if (!hello) continue;
        ++taken;
        REQUIRE(hello->context.size_bytes % kBlockBytes == 0);
        REQUIRE(hello->record.replicas.size() <= kMaxReplicas);
        REQUIRE(encode(*hello) == bytes);
    }
    CHECK(taken > 1000);
}
