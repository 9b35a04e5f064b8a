// One NBD client: negotiation, then requests in and replies out, without blocking.
// States: greeting -> options -> transmission -> leaving (no more requests, replies go out) -> closed.
// Bounds: options of at most 8 KiB; requests of at most kMaxRequestBytes in whole blocks (EINVAL otherwise, ENOSPC for
// writes behind the end); a refused write of more than 32 MiB is not waited for, its client is disconnected.
// Nothing is taken while a reply waits for the socket, so that replies never mix and memory stays bounded.
// Leaves to its host: request ids, buffers, what a request does, polling.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/files.h"
#include "mirror-driver/engine/mirror.h"
#include "mirror-driver/frontends/nbd_socket/nbd_protocol.h"

namespace kagami::mirror {

struct NbdExport {
    std::string name;
    uint64_t size_bytes = 0;
};

// A request that passed all checks.
struct NbdRequest {
    uint64_t cookie = 0;
    Operation operation = Operation::kRead;
    Extent extent;
    bool durable = false;  // FUA
};

class NbdConnection {
 public:
    NbdConnection(UniqueFd socket, const NbdExport& what);

    enum class Step : uint8_t {
        kRequest,  // request() waits for start()
        kPayload,  // the data of the started write are in its buffer
        kBlocked,  // nothing more now
        kClosed,   // no more requests will come
    };
    Step advance();
    const NbdRequest& request() const { return request_; }
    void start(std::span<uint8_t> payload);  // where a write's data go; empty for all others

    // One at a time: not while sending(). `data` (of a read) must stay until sending() is over.
    void reply(uint64_t cookie, int error, std::span<const uint8_t> data);
    void go_on_sending();
    bool sending() const { return !gone_ && (out_at_ < out_.size() || !data_.empty()); }

    int descriptor() const { return socket_.get(); }
    bool gone() const { return gone_; }                         // nothing can be sent any more
    bool leaving() const { return phase_ == Phase::kLeaving; }  // nothing more will be taken

 private:
    enum class Phase : uint8_t {
        kClientFlags,
        kOption,
        kOptionData,
        kRequest,
        kStart,  // the host has to say start()
        kPayload,
        kDiscard,  // of a refused write
        kLeaving,
    };
    Step take();
    void take_client_flags();
    void take_option();
    void answer_option();
    void answer_info();
    void enter_by_name();
    bool known(std::string_view name) const { return name.empty() || name == export_.name; }
    void answer(uint32_t type, const nbd::Words& content = {});
    Step take_request();
    Step refuse(const nbd::Request& wire, uint32_t error);
    bool receive();
    bool read_some(std::span<uint8_t> into);
    void expect(Phase phase, size_t bytes);
    void leave() { phase_ = Phase::kLeaving; }
    void say(const nbd::Words& words);

    const NbdExport& export_;
    UniqueFd socket_;
    Phase phase_ = Phase::kClientFlags;
    bool no_zeroes_ = false;
    bool gone_ = false;
    std::vector<uint8_t> in_;  // header or option
    size_t wanted_ = 0;        // bytes of the phase
    size_t filled_ = 0;
    uint32_t option_ = 0;
    std::span<uint8_t> payload_;
    uint32_t refusal_ = 0;
    NbdRequest request_;
    std::vector<uint8_t> out_;  // header of a reply, or negotiation
    size_t out_at_ = 0;
    std::span<const uint8_t> data_;  // of a read
};

}  // namespace kagami::mirror
