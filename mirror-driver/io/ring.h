// The one io_uring of a mirror's thread: its disk I/O, and the place where it waits for everything else (descriptors
// become readable here too), so that one system call submits and waits.
// A request that transfers fewer bytes than asked for is EIO. Every table is allocated in make(); a caller never has
// more than kDepth requests under way. Belongs to the thread that made it. Leaves to others: what a tag means, and
// buffers (they stay the caller's, and must live until done; who ends before that settles first).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "common/result.h"
#include "common/time.h"
#include "mirror-driver/engine/types.h"

namespace kagami::mirror {

class Ring {
 public:
    static constexpr uint32_t kDepth = 2048;
    static constexpr Duration kSettleLimit = 10s;
    using Tag = uint64_t;
    using Done = std::function<void(Tag tag, int error)>;  // errno; 0 = done, or readable

    // `pool`: memory that most requests use; the kernel maps it once instead of for each of them.
    static Result<std::unique_ptr<Ring>> make(std::span<uint8_t> pool);
    // Settles. What is still under way after kSettleLimit keeps the kernel's queue, which is then never given back.
    ~Ring();

    // Each is handed to the kernel by the next wait().
    void read(int fd, std::span<uint8_t> into, uint64_t offset, Tag tag);
    // `durable`: done when it survives a power loss.
    void write(int fd, std::span<const uint8_t> from, uint64_t offset, bool durable, Tag tag);
    void flush(int fd, Tag tag);
    // Zeroes; by writing them where the kernel or the device cannot do it otherwise.
    void zero(int fd, const Extent& extent, Tag tag);
    void when_readable(int fd, Tag tag);  // once

    void submit();  // now, because something else is to be done before the wait
    // Calls `done` for what has finished; waits until `until` (nothing: for ever) when nothing has. `done` may start
    // more.
    Status wait(std::optional<Instant> until, const Done& done);
    uint32_t under_way() const;  // disk requests
    // Waits until no disk request is under way; nobody is called any more. False: `limit` has passed, and the kernel
    // may still read and write the memory of requests, which must never be used for anything else.
    bool settle(Duration limit);

 private:
    struct Impl;
    explicit Ring(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace kagami::mirror
