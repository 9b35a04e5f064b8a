// Recorded streams of frames, changed at random, through the frame reader: it never reads or writes outside its buffers
// (the sanitizers watch), never keeps a pool buffer, and whatever it lets through is a frame that the sender may send.
// KAGAMI_FUZZ_ROUNDS and KAGAMI_FUZZ_SEED change how many and which.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <random>

#include "mirror-driver/io/channel/frame_reader.h"
#include "mirror-driver/io/channel/frame_writer.h"

using namespace kagami;
using namespace kagami::mirror;

namespace {

constexpr uint64_t kDisk = uint64_t{1} << 30U;

class Memory : public ByteStream {
 public:
    IoResult read(std::span<uint8_t> into) override {
        if (at == bytes.size()) return {IoState::kEnded, 0};
        const size_t count = std::min({into.size(), bytes.size() - at, portion});
        std::memcpy(into.data(), bytes.data() + at, count);
        at += count;
        return {IoState::kDone, count};
    }
    IoResult write(std::span<const uint8_t> more) override {
        bytes.insert(bytes.end(), more.begin(), more.end());
        return {IoState::kDone, more.size()};
    }
    Bytes bytes;
    size_t at = 0;
    size_t portion = ~size_t{0};
};

uint64_t number(const char* variable, uint64_t otherwise) {
    const char* const text = std::getenv(variable);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

Frame data_frame(Buffers& buffers, FrameType type, uint64_t seq, uint32_t length) {
    Frame frame;
    frame.type = type;
    frame.seq = seq;
    frame.offset = seq * 8192;
    frame.length = length;
    frame.payload = buffers.take(length, Use::kClient);
    std::fill_n(buffers.bytes(frame.payload).begin(), length, static_cast<uint8_t>(seq));
    return frame;
}

Bytes recorded(Channel channel, Buffers& buffers) {
    FrameWriter writer(64, 64, buffers);
    Memory stream;
    const auto say = [&](Frame frame) { REQUIRE(writer.push(std::move(frame), true)); };
    const auto small = [&](FrameType type, Extent extent = {}, Bytes body = {}) {
        Frame frame;
        frame.type = type;
        frame.seq = 9;
        frame.offset = extent.offset;
        frame.length = static_cast<uint32_t>(extent.length);
        frame.body = std::move(body);
        say(std::move(frame));
    };
    if (channel == Channel::kBulk) {
        for (uint64_t seq = 1; seq < 6; ++seq) say(data_frame(buffers, FrameType::kWrite, seq, 4096));
        say(data_frame(buffers, FrameType::kCopy, 6, 16384));
        small(FrameType::kZero, {4096, 1U << 20U});
        small(FrameType::kFlush);
    } else {
        Hello hello;
        hello.context.size_bytes = kDisk;
        small(FrameType::kHello, {}, encode(hello));
        small(FrameType::kAck);
        small(FrameType::kDirty, {8192, 4096});
        small(FrameType::kGoodbye, {}, Bytes(40, 'x'));
        for (int i = 0; i < 5; ++i) small(FrameType::kPing);
    }
    REQUIRE(writer.pump(stream) == IoState::kDone);
    return stream.bytes;
}

// Puts header checksums right again, now and then, so that changes get past them.
void mend(Bytes& bytes) {
    for (size_t at = 0; at + kFrameHeaderBytes <= bytes.size(); ++at) {
        if (std::memcmp(bytes.data() + at, "KGMF", 4) != 0) continue;
        const uint32_t checksum = crc32c(std::span<const uint8_t>(bytes).subspan(at, kFrameHeaderBytes - 4));
        for (size_t i = 0; i < 4; ++i)
            bytes[at + kFrameHeaderBytes - 4 + i] = static_cast<uint8_t>(checksum >> (8 * i));
    }
}

void change(Bytes& bytes, std::mt19937_64& random) {
    const auto any = [&](size_t below) { return below == 0 ? 0 : random() % below; };
    for (uint64_t changes = 1 + any(4); changes > 0 && !bytes.empty(); --changes) {
        const size_t at = any(bytes.size());
        const size_t length = std::min<size_t>(1 + any(200), bytes.size() - at);
        const auto here = bytes.begin() + static_cast<std::ptrdiff_t>(at);
        switch (any(6)) {
            case 0: bytes[at] ^= static_cast<uint8_t>(1U << any(8)); break;
            case 1: bytes[at] = static_cast<uint8_t>(random()); break;
            case 2: bytes.erase(here, here + static_cast<std::ptrdiff_t>(length)); break;
            case 3: {
                const Bytes copy(here, here + static_cast<std::ptrdiff_t>(length));
                bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(any(bytes.size())), copy.begin(), copy.end());
                break;
            }
            case 4: bytes.resize(at); break;
            case 5: std::fill_n(here, length, any(2) == 0 ? uint8_t{0} : uint8_t{0xff}); break;
        }
    }
    if (any(2) == 0) mend(bytes);
}

// How many frames came through.
size_t read_all(Memory& stream, Channel channel, Buffers& buffers) {
    FrameReader reader(channel, kDisk, buffers);
    size_t frames = 0;
    while (true) {
        const FrameReader::Step step = reader.next(stream);
        if (step != FrameReader::Step::kFrame) {
            if (step == FrameReader::Step::kBroken && reader.why().empty()) FAIL("broken without a reason");
            return frames;
        }
        Frame& frame = reader.frame();
        ++frames;
        const Status valid = check_frame(frame, kDisk);
        if (!valid) FAIL(valid.error().message);
        if (channel_of(frame.type) != channel) FAIL("a frame of the other stream");
        if (frame.payload != kNoBuffer) buffers.release(frame.payload);
        if (frame.type == FrameType::kHello) (void)decode_hello(frame.body);
        frame.payload = kNoBuffer;
    }
}

size_t free_buffers(Buffers& buffers) {
    std::vector<BufferId> taken;
    for (BufferId one = buffers.take(4096, Use::kPeer); one != kNoBuffer; one = buffers.take(4096, Use::kPeer))
        taken.push_back(one);
    for (const BufferId one : taken) buffers.release(one);
    return taken.size();
}

}  // namespace

TEST_CASE("what the writer wrote the reader reads, in portions of any size") {
    Buffers buffers = std::move(Buffers::make(16, 2).value());
    for (const Channel channel : {Channel::kBulk, Channel::kControl}) {
        Memory stream;
        stream.bytes = recorded(channel, buffers);
        for (const size_t portion : {size_t{1}, size_t{7}, size_t{95}, size_t{97}, size_t{4096}, ~size_t{0}}) {
            stream.at = 0;
            stream.portion = portion;
            CHECK(read_all(stream, channel, buffers) == (channel == Channel::kBulk ? 8 : 9));
            CHECK(stream.at == stream.bytes.size());
        }
    }
}

TEST_CASE("changed bytes never get a bad frame through, nor keep a buffer") {
    Buffers buffers = std::move(Buffers::make(16, 2).value());
    const uint64_t seed = number("KAGAMI_FUZZ_SEED", 20261122);
    const uint64_t rounds = number("KAGAMI_FUZZ_ROUNDS", 100000);
    const Bytes originals[2] = {recorded(Channel::kBulk, buffers), recorded(Channel::kControl, buffers)};
    const size_t before = free_buffers(buffers);
    size_t frames = 0;
    for (uint64_t round = 0; round < rounds; ++round) {
        std::mt19937_64 random(seed + round);
        const Channel channel = random() % 2 == 0 ? Channel::kBulk : Channel::kControl;
        Memory stream;
        stream.bytes = originals[static_cast<size_t>(channel)];
        change(stream.bytes, random);
        stream.portion = random() % 3 == 0 ? 1 + random() % 300 : ~size_t{0};
        INFO("seed " << seed + round);
        frames += read_all(stream, channel, buffers);
        if (round % 1000 == 0) REQUIRE(free_buffers(buffers) == before);
    }
    CHECK(free_buffers(buffers) == before);
    CHECK(frames > rounds);  // most streams begin well
}
