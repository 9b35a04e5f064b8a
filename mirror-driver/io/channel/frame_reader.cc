#include "mirror-driver/io/channel/frame_reader.h"

#include <utility>

namespace kagami::mirror {

FrameReader::FrameReader(Channel channel, uint64_t size_bytes, Buffers& buffers)
    : channel_(channel), size_bytes_(size_bytes), buffers_(buffers) {}

FrameReader::~FrameReader() {
    if (payload_ != kNoBuffer) buffers_.release(payload_);
}

FrameReader::Step FrameReader::broken(std::string why) {
    why_ = std::move(why);
    return Step::kBroken;
}

std::span<uint8_t> FrameReader::missing() {
    switch (phase_) {
        case Phase::kHeader: return std::span(head_).subspan(filled_);
        case Phase::kBody: return std::span(body_).first(header_.body_bytes).subspan(filled_);
        case Phase::kPayload: break;
    }
    if (header_.payload_bytes == 0) return {};
    return buffers_.bytes(payload_).first(header_.payload_bytes).subspan(filled_);
}

FrameReader::Step FrameReader::next(ByteStream& from) {
    if (!why_.empty()) return Step::kBroken;
    while (true) {
        if (phase_ == Phase::kPayload && header_.payload_bytes > 0 && payload_ == kNoBuffer) {
            payload_ = buffers_.take(header_.payload_bytes, Use::kPeer);
            if (payload_ == kNoBuffer) return Step::kStarved;
        }
        const auto wanted = missing();
        if (!wanted.empty()) {
            const IoResult got = from.read(wanted);
            if (got.state == IoState::kBlocked) return Step::kBlocked;
            if (got.state == IoState::kEnded) return Step::kEnded;
            filled_ += got.bytes;
            if (got.bytes < wanted.size()) continue;
        }
        filled_ = 0;
        const Step step = phase_ == Phase::kHeader ? take_header()
                          : phase_ == Phase::kBody ? take_body()
                                                   : take_payload();
        if (step != Step::kBlocked) return step;
    }
}

// The three below: kBlocked = go on with the next phase.

FrameReader::Step FrameReader::take_header() {
    auto header = decode_header(head_, size_bytes_);
    if (!header) return broken(header.error().message);
    if (channel_of(header->frame.type) != channel_)
        return broken(std::string("a frame of the other stream: ") + name_of(header->frame.type));
    header_ = std::move(*header);
    phase_ = Phase::kBody;
    return Step::kBlocked;
}

FrameReader::Step FrameReader::take_body() {
    const auto body = std::span<const uint8_t>(body_).first(header_.body_bytes);
    if (!body.empty() && crc32c(body) != header_.body_crc)
        return broken(std::string("the body of a frame arrived damaged: ") + name_of(header_.frame.type));
    header_.frame.body.assign(body.begin(), body.end());
    phase_ = Phase::kPayload;
    return Step::kBlocked;
}

FrameReader::Step FrameReader::take_payload() {
    phase_ = Phase::kHeader;
    if (payload_ == kNoBuffer) return Step::kFrame;
    const uint32_t expected = header_.payload_crc;  // 0: the sender leaves it to TLS
    if (expected != 0 && crc32c(buffers_.bytes(payload_).first(header_.payload_bytes)) != expected)
        return broken(std::string("the data of a frame arrived damaged: ") + name_of(header_.frame.type));
    header_.frame.payload = std::exchange(payload_, kNoBuffer);
    return Step::kFrame;
}

}  // namespace kagami::mirror
