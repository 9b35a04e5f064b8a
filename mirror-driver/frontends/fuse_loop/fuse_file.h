// One regular file of fixed size as the root of a FUSE mount, spoken over a raw /dev/fuse descriptor: reads, writes,
// fsync (flush) and fallocate (discard and write-zeroes) become requests of the mirror; everything else is answered
// here. A descriptor of a former life is gone on with: what it had not answered is asked for again (FUSE_NOTIFY_RESEND,
// Linux 6.9), with the same `unique` and bit 63 set. Belongs to the mirror's thread; allocates in the constructor only;
// to be destroyed when it is settled. Mounting and unmounting are separate, because they may run on another thread
// while this one answers. Leaves to others: who opens the file (fuse_loop.h), order and durability (engine).
#pragma once

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "common/files.h"
#include "mirror-driver/frontends/frontend.h"

namespace kagami::mirror {

// Mounts a new connection on `path` (created when missing).
Result<UniqueFd> mount_fuse_file(const std::string& path);
// Ends the connection of a mount, whoever serves it: what waits for it fails.
void abort_fuse_connection(dev_t device);
void mount_fusectl();  // where nobody has done so: the guard aborts through it

class FuseFile {
 public:
    struct Settings {
        UniqueFd descriptor;
        bool kept = false;
        uint64_t size_bytes = 0;
        Buffers* buffers = nullptr;
        FrontEnd::Submit submit;
        std::function<void()> resendable;  // the kernel has said that a successor may go on with the descriptor
    };
    explicit FuseFile(Settings settings);
    ~FuseFile();
    FuseFile(const FuseFile&) = delete;
    FuseFile& operator=(const FuseFile&) = delete;

    Status ask_again();  // of a kept descriptor, once
    int descriptor() const { return settings_.descriptor.get(); }
    bool can_receive() const;  // else: wait for a completion or a buffer
    void advance();
    void complete(const Completion& completion);
    void buffers_released();
    bool gone() const { return gone_; }  // unmounted or aborted: nothing more comes
    bool settled() const { return free_requests_.size() == requests_.size(); }  // every request was completed

 private:
    struct Request {
        uint64_t unique = 0;
        Operation operation = Operation::kRead;
        BufferId buffer = kNoBuffer;
        Extent extent;
        uint64_t issued = 0;     // bytes of the extent that were handed over: zeroes go in pieces
        uint32_t under_way = 0;  // pieces
        int error = 0;
    };
    struct Incoming;
    bool receive();
    void dispatch(const Incoming& incoming);
    void initialise(const Incoming& incoming);
    void start_read(const Incoming& incoming);
    void start_write(const Incoming& incoming);
    void start_zero(const Incoming& incoming);
    void issue_parked();
    bool inside(uint64_t unique, const Extent& extent);
    uint32_t claim(uint64_t unique, Operation operation, const Extent& extent, BufferId buffer);
    void issue(uint32_t request);
    void issue_as(uint32_t id, uint32_t request);
    void answer(Request& request);
    void reply(uint64_t unique, int error, const void* data = nullptr, size_t length_bytes = 0);

    Settings settings_;
    BufferId receiving_ = kNoBuffer;
    std::vector<Request> requests_;
    std::vector<uint32_t> free_requests_;
    std::vector<uint32_t> owner_;  // of each request id: its request
    std::vector<uint32_t> free_ids_;
    uint32_t parked_;  // a read that waits for a buffer, or kNone
    bool gone_ = false;
    alignas(8) std::array<uint8_t, 4096> header_{};
};

}  // namespace kagami::mirror
