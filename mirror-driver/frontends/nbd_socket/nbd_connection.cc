#include "mirror-driver/frontends/nbd_socket/nbd_connection.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace kagami::mirror {

using namespace nbd;

namespace {

constexpr size_t kMaxOption = 8192;
constexpr uint32_t kMostDiscarded = 32U << 20U;
constexpr uint16_t kExportFlags = kHasFlags | kSendFlush | kSendFua | kSendTrim | kSendWriteZeroes;
constexpr size_t kOldZeroes = 124;

uint32_t wire_error(int error) {
    switch (error) {
        case 0: return 0;
        case EINVAL: return kEinval;
        case ENOSPC: return kEnospc;
        default: return kEio;
    }
}

Request parse_request(std::span<const uint8_t> in) {
    return {big_endian<uint16_t>(in, 4), big_endian<uint16_t>(in, 6), big_endian<uint64_t>(in, 8),
            big_endian<uint64_t>(in, 16), big_endian<uint32_t>(in, 24)};
}

struct Meaning {
    Operation operation;
    uint16_t flags;  // that it may carry
};
const Meaning* meaning_of(uint16_t command) {
    static constexpr Meaning kRead{Operation::kRead, kFlagFua};
    static constexpr Meaning kWrite{Operation::kWrite, kFlagFua};
    static constexpr Meaning kFlush{Operation::kFlush, kFlagFua};
    static constexpr Meaning kTrim{Operation::kZero, kFlagFua};
    static constexpr Meaning kZeroes{Operation::kZero, kFlagFua | kFlagNoHole};
    switch (command) {
        case kCmdRead: return &kRead;
        case kCmdWrite: return &kWrite;
        case kCmdFlush: return &kFlush;
        case kCmdTrim: return &kTrim;
        case kCmdWriteZeroes: return &kZeroes;
        default: return nullptr;
    }
}

// 0 = it may be done.
uint32_t check(const Request& wire, const Meaning& meaning, uint64_t size_bytes) {
    if ((wire.flags & ~meaning.flags) != 0) return kEinval;
    if (meaning.operation == Operation::kFlush) return wire.offset == 0 && wire.length == 0 ? 0 : kEinval;
    if (wire.length == 0 || wire.offset % kBlockBytes != 0 || wire.length % kBlockBytes != 0) return kEinval;
    if (wire.length > size_bytes || wire.offset > size_bytes - wire.length)
        return meaning.operation == Operation::kRead ? kEinval : kEnospc;
    return meaning.operation != Operation::kZero && wire.length > kMaxRequestBytes ? kEinval : 0;
}

}  // namespace

NbdConnection::NbdConnection(UniqueFd socket, const NbdExport& what)
    : export_(what), socket_(std::move(socket)), in_(kMaxOption) {
    out_.reserve(kMaxOption);
    expect(Phase::kClientFlags, 4);
    say(Words().put(kGreeting).put(kOptionMagic).put(static_cast<uint16_t>(kFixedNewstyle | kNoZeroes)));
}

void NbdConnection::expect(Phase phase, size_t bytes) {
    phase_ = phase;
    wanted_ = bytes;
    filled_ = 0;
}

// ---- in ----

NbdConnection::Step NbdConnection::advance() {
    while (!gone_) {
        if (sending()) return Step::kBlocked;
        if (phase_ == Phase::kStart) return Step::kRequest;
        if (phase_ == Phase::kLeaving) return Step::kClosed;
        if (!receive()) return gone_ ? Step::kClosed : Step::kBlocked;
        if (const Step step = take(); step != Step::kBlocked) return step;
    }
    return Step::kClosed;
}

// The bytes of the phase, as they come; true = complete.
bool NbdConnection::receive() {
    while (filled_ < wanted_) {
        std::span<uint8_t> into = std::span(in_);
        if (phase_ == Phase::kPayload) into = payload_;
        if (phase_ != Phase::kDiscard) into = into.subspan(filled_);
        if (!read_some(into.first(std::min(into.size(), wanted_ - filled_)))) return false;
    }
    return true;
}

bool NbdConnection::read_some(std::span<uint8_t> into) {
    const ssize_t got = ::recv(socket_.get(), into.data(), into.size(), 0);
    if (got > 0) filled_ += static_cast<size_t>(got);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) gone_ = true;
    return got > 0;
}

// kBlocked = go on.
NbdConnection::Step NbdConnection::take() {
    switch (phase_) {
        case Phase::kClientFlags: take_client_flags(); return Step::kBlocked;
        case Phase::kOption: take_option(); return Step::kBlocked;
        case Phase::kOptionData: answer_option(); return Step::kBlocked;
        case Phase::kRequest: return take_request();
        case Phase::kPayload: expect(Phase::kRequest, kRequestBytes); return Step::kPayload;
        case Phase::kDiscard:
            expect(Phase::kRequest, kRequestBytes);
            reply(request_.cookie, static_cast<int>(refusal_), {});
            return Step::kBlocked;
        case Phase::kStart:
        case Phase::kLeaving: break;
    }
    return Step::kBlocked;
}

// ---- negotiation ----

void NbdConnection::take_client_flags() {
    const auto flags = big_endian<uint32_t>(in_, 0);
    if ((flags & kFixedNewstyle) == 0 || (flags & ~uint32_t{kFixedNewstyle | kNoZeroes}) != 0) return leave();
    no_zeroes_ = (flags & kNoZeroes) != 0;
    expect(Phase::kOption, kOptionBytes);
}

void NbdConnection::take_option() {
    option_ = big_endian<uint32_t>(in_, 8);
    const auto length = big_endian<uint32_t>(in_, 12);
    if (big_endian<uint64_t>(in_, 0) != kOptionMagic || length > kMaxOption) return leave();
    expect(Phase::kOptionData, length);
}

void NbdConnection::answer_option() {
    const Phase next = Phase::kOption;
    switch (option_) {
        case kOptExportName: return enter_by_name();
        case kOptInfo:
        case kOptGo: return answer_info();
        case kOptAbort: answer(kRepAck); return leave();
        case kOptList:
            if (wanted_ != 0) {
                answer(kRepErrInvalid);
            } else {
                answer(kRepServer, Words().put(static_cast<uint32_t>(export_.name.size())).text(export_.name));
                answer(kRepAck);
            }
            break;
        default: answer(kRepErrUnsupported); break;  // TLS, structured replies, meta contexts
    }
    expect(next, kOptionBytes);
}

// INFO and GO: u32 length of the name, name, u16 number of wishes, u16 each.
void NbdConnection::answer_info() {
    const auto data = std::span<const uint8_t>(in_).first(wanted_);
    const uint32_t name_bytes = data.size() < 6 ? 0 : big_endian<uint32_t>(data, 0);
    const bool whole = data.size() >= 6 && name_bytes <= data.size() - 6 &&
                       data.size() - 6 - name_bytes == size_t{2} * big_endian<uint16_t>(data, 4 + name_bytes);
    expect(Phase::kOption, kOptionBytes);
    if (!whole) return answer(kRepErrInvalid);
    if (!known({reinterpret_cast<const char*>(data.data()) + 4, name_bytes})) return answer(kRepErrUnknown);
    answer(kRepInfo, Words().put(kInfoExport).put(export_.size_bytes).put(kExportFlags));
    answer(kRepInfo, Words().put(kInfoBlockSize).put(kBlockBytes).put(kBlockBytes).put(kMaxRequestBytes));
    answer(kRepAck);
    if (option_ == kOptGo) expect(Phase::kRequest, kRequestBytes);
}

// The old way in: no answer but the disk's, no error but the end.
void NbdConnection::enter_by_name() {
    if (!known({reinterpret_cast<const char*>(in_.data()), wanted_})) return leave();
    say(Words().put(export_.size_bytes).put(kExportFlags).zeroes(no_zeroes_ ? 0 : kOldZeroes));
    expect(Phase::kRequest, kRequestBytes);
}

void NbdConnection::answer(uint32_t type, const Words& content) {
    const auto& bytes = content.bytes();
    say(Words()
            .put(kOptionReplyMagic)
            .put(option_)
            .put(type)
            .put(static_cast<uint32_t>(bytes.size()))
            .text({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
}

// ---- requests ----

NbdConnection::Step NbdConnection::take_request() {
    if (big_endian<uint32_t>(in_, 0) != kRequestMagic) {
        leave();
        return Step::kBlocked;
    }
    const Request wire = parse_request(in_);
    if (wire.command == kCmdDisconnect) {
        leave();
        return Step::kBlocked;
    }
    const Meaning* const meaning = meaning_of(wire.command);
    const uint32_t error = meaning == nullptr ? kEinval : check(wire, *meaning, export_.size_bytes);
    if (error != 0) return refuse(wire, error);
    request_ = {wire.cookie,
                meaning->operation,
                {wire.offset, wire.length},
                (wire.flags & kFlagFua) != 0 && wire.command != kCmdRead && wire.command != kCmdFlush};
    phase_ = Phase::kStart;
    return Step::kRequest;
}

NbdConnection::Step NbdConnection::refuse(const Request& wire, uint32_t error) {
    expect(Phase::kRequest, kRequestBytes);
    request_.cookie = wire.cookie;
    if (wire.command != kCmdWrite) {
        reply(wire.cookie, static_cast<int>(error), {});
    } else if (wire.length > kMostDiscarded) {
        leave();
    } else {
        refusal_ = error;
        expect(Phase::kDiscard, wire.length);
    }
    return Step::kBlocked;
}

void NbdConnection::start(std::span<uint8_t> payload) {
    if (request_.operation != Operation::kWrite) return expect(Phase::kRequest, kRequestBytes);
    payload_ = payload;
    expect(Phase::kPayload, static_cast<size_t>(request_.extent.length));
}

// ---- out ----

void NbdConnection::reply(uint64_t cookie, int error, std::span<const uint8_t> data) {
    out_.resize(kReplyBytes);
    out_at_ = 0;
    put_big_endian(out_.data(), kReplyMagic);
    put_big_endian(out_.data() + 4, wire_error(error));
    put_big_endian(out_.data() + 8, cookie);
    data_ = error == 0 ? data : std::span<const uint8_t>();
    go_on_sending();
}

void NbdConnection::say(const Words& words) {
    if (out_at_ == out_.size()) {
        out_.clear();
        out_at_ = 0;
    }
    out_.insert(out_.end(), words.bytes().begin(), words.bytes().end());
    go_on_sending();
}

void NbdConnection::go_on_sending() {
    while (sending()) {
        const size_t head = out_.size() - out_at_;
        std::array<iovec, 2> parts{{{out_.data() + out_at_, head}, {const_cast<uint8_t*>(data_.data()), data_.size()}}};
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = parts.size();
        const ssize_t sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
        if (sent < 0) {
            gone_ = errno != EAGAIN && errno != EINTR;
            return;
        }
        const size_t of_head = std::min(head, static_cast<size_t>(sent));
        out_at_ += of_head;
        data_ = data_.subspan(static_cast<size_t>(sent) - of_head);
    }
}

}  // namespace kagami::mirror
