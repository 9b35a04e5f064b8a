// The NBD protocol's numbers, as far as we speak it: fixed newstyle, simple replies
// (https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md). Everything is big-endian.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace kagami::mirror::nbd {

constexpr uint64_t kGreeting = 0x4e42444d41474943ULL;     // "NBDMAGIC"
constexpr uint64_t kOptionMagic = 0x49484156454f5054ULL;  // "IHAVEOPT"
constexpr uint64_t kOptionReplyMagic = 0x0003e889045565a9ULL;
constexpr uint32_t kRequestMagic = 0x25609513U;
constexpr uint32_t kReplyMagic = 0x67446698U;

constexpr uint16_t kFixedNewstyle = 1;  // of server and client
constexpr uint16_t kNoZeroes = 2;

enum Option : uint32_t {
    kOptExportName = 1,
    kOptAbort = 2,
    kOptList = 3,
    kOptInfo = 6,
    kOptGo = 7,
};
constexpr uint32_t kRepAck = 1;
constexpr uint32_t kRepServer = 2;
constexpr uint32_t kRepInfo = 3;
constexpr uint32_t kRepErrUnsupported = (1U << 31U) | 1U;
constexpr uint32_t kRepErrInvalid = (1U << 31U) | 3U;
constexpr uint32_t kRepErrUnknown = (1U << 31U) | 6U;
constexpr uint16_t kInfoExport = 0;
constexpr uint16_t kInfoBlockSize = 3;

// Flags of the export.
constexpr uint16_t kHasFlags = 1U << 0U;
constexpr uint16_t kSendFlush = 1U << 2U;
constexpr uint16_t kSendFua = 1U << 3U;
constexpr uint16_t kSendTrim = 1U << 5U;
constexpr uint16_t kSendWriteZeroes = 1U << 6U;

enum Command : uint16_t {
    kCmdRead = 0,
    kCmdWrite = 1,
    kCmdDisconnect = 2,
    kCmdFlush = 3,
    kCmdTrim = 4,
    kCmdWriteZeroes = 6,
};
constexpr uint16_t kFlagFua = 1U << 0U;
constexpr uint16_t kFlagNoHole = 1U << 1U;

// Errors on the wire.
constexpr uint32_t kEio = 5;
constexpr uint32_t kEinval = 22;
constexpr uint32_t kEnospc = 28;
constexpr uint32_t kEoverflow = 75;
constexpr uint32_t kEshutdown = 108;

constexpr size_t kRequestBytes = 28;
constexpr size_t kReplyBytes = 16;
constexpr size_t kOptionBytes = 16;

struct Request {
    uint16_t flags = 0;
    uint16_t command = 0;
    uint64_t cookie = 0;
    uint64_t offset = 0;
    uint32_t length = 0;
};

template <typename T>
T big_endian(std::span<const uint8_t> bytes, size_t at) {
    T value = 0;
    for (size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>((uint64_t{value} << 8U) | bytes[at + i]);
    return value;
}
template <typename T>
void put_big_endian(uint8_t* at, T value) {
    for (size_t i = 0; i < sizeof(T); ++i) at[i] = static_cast<uint8_t>(value >> (8 * (sizeof(T) - 1 - i)));
}

// Answers of the negotiation.
class Words {
 public:
    template <typename T>
    Words& put(T value) {
        bytes_.resize(bytes_.size() + sizeof(T));
        put_big_endian(bytes_.data() + bytes_.size() - sizeof(T), value);
        return *this;
    }
    Words& text(std::string_view more) {
        bytes_.insert(bytes_.end(), more.begin(), more.end());
        return *this;
    }
    Words& zeroes(size_t count) {
        bytes_.resize(bytes_.size() + count);
        return *this;
    }
    const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
    std::vector<uint8_t> bytes_;
};

}  // namespace kagami::mirror::nbd
