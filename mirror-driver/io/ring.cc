#include "mirror-driver/io/ring.h"

#include <fcntl.h>
#include <liburing.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <tuple>
#include <vector>

#include "common/assert.h"
#include "common/files.h"
#include "common/host/boot_clock.h"

namespace kagami::mirror {
namespace {

constexpr uint32_t kQueue = 1024;  // submissions between two waits; more are handed over early

enum class Kind : uint8_t { kTransfer, kFlush, kZero, kZeroByWriting, kReadable };

struct Slot {
    Ring::Tag tag = 0;
    Kind kind = Kind::kTransfer;
    int fd = -1;
    uint64_t length = 0;  // expected of a transfer
    Extent rest;          // of zeroes written by hand: behind what is under way
};

// The newest set of flags that this kernel takes: completions without interrupts where possible.
int make_queue(io_uring& ring) {
    constexpr unsigned kSets[] = {
        IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
        IORING_SETUP_CQSIZE | IORING_SETUP_COOP_TASKRUN,
        IORING_SETUP_CQSIZE,
    };
    int error = 0;
    for (const unsigned flags : kSets) {
        io_uring_params parameters{};
        parameters.flags = flags;
        parameters.cq_entries = Ring::kDepth * 2;
        error = io_uring_queue_init_params(kQueue, &ring, &parameters);
        if (error != -EINVAL) break;
    }
    return -error;
}

}  // namespace

struct Ring::Impl {
    io_uring ring{};
    bool made = false;
    std::span<uint8_t> pool;
    bool registered = false;
    std::vector<Slot> slots;
    std::vector<uint32_t> free;
    uint32_t disk = 0;
    uint8_t* zeroes = nullptr;
    int no_zero_range = -1;  // descriptor that was last found not to know it

    ~Impl() {
        if (made) io_uring_queue_exit(&ring);
        if (zeroes != nullptr) munmap(zeroes, kMaxRequestBytes);
    }

    io_uring_sqe* entry() {
        io_uring_sqe* sqe = io_uring_get_sqe(&ring);
        for (int attempt = 0; sqe == nullptr && attempt < 1000; ++attempt) {
            io_uring_submit(&ring);
            sqe = io_uring_get_sqe(&ring);
        }
        KAGAMI_ASSERT(sqe != nullptr, "the kernel takes submissions");
        return sqe;
    }

    uint32_t claim(const Slot& slot) {
        KAGAMI_ASSERT(!free.empty(), "the callers bound what is under way");
        const uint32_t index = free.back();
        free.pop_back();
        slots[index] = slot;
        if (slot.kind != Kind::kReadable) ++disk;
        return index;
    }

    bool in_pool(const uint8_t* at, size_t length) const {
        return registered && at >= pool.data() && at + length <= pool.data() + pool.size();
    }

    void prepare_write(uint32_t index, std::span<const uint8_t> from, uint64_t offset, bool durable) {
        io_uring_sqe* sqe = entry();
        const auto length = static_cast<unsigned>(from.size());
        if (in_pool(from.data(), from.size())) {
            io_uring_prep_write_fixed(sqe, slots[index].fd, from.data(), length, offset, 0);
        } else {
            io_uring_prep_write(sqe, slots[index].fd, from.data(), length, offset);
        }
        if (durable) sqe->rw_flags = RWF_DSYNC;
        io_uring_sqe_set_data64(sqe, index);
    }

    void write_next_zeroes(uint32_t index) {
        Slot& slot = slots[index];
        const uint64_t length = std::min<uint64_t>(slot.rest.length, kMaxRequestBytes);
        const uint64_t offset = slot.rest.offset;
        slot.kind = Kind::kZeroByWriting;
        slot.length = length;
        slot.rest = {offset + length, slot.rest.length - length};
        prepare_write(index, {zeroes, static_cast<size_t>(length)}, offset, false);
    }

    // Nothing: the request goes on.
    std::optional<int> outcome(uint32_t index, int result) {
        Slot& slot = slots[index];
        const int error = result < 0 ? -result : 0;
        switch (slot.kind) {
            case Kind::kReadable:
            case Kind::kFlush: return error;
            case Kind::kTransfer:
                if (error != 0) return error;
                return static_cast<uint64_t>(result) == slot.length ? 0 : EIO;
            case Kind::kZero:
                if (error != EOPNOTSUPP && error != ENOSYS) return error;
                no_zero_range = slot.fd;
                write_next_zeroes(index);
                return std::nullopt;
            case Kind::kZeroByWriting:
                if (error != 0) return error;
                if (static_cast<uint64_t>(result) != slot.length) return EIO;
                if (slot.rest.length == 0) return 0;
                write_next_zeroes(index);
                return std::nullopt;
        }
        return EIO;
    }

    void finish(uint32_t index, int result, const Done& done) {
        const auto error = outcome(index, result);
        if (!error) return;
        const Slot slot = slots[index];
        if (slot.kind != Kind::kReadable) --disk;
        free.push_back(index);
        done(slot.tag, *error);
    }
};

Ring::Ring(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Ring::~Ring() {
    if (!settle(kSettleLimit)) std::ignore = impl_.release();
}

Result<std::unique_ptr<Ring>> Ring::make(std::span<uint8_t> pool) {
    auto impl = std::make_unique<Impl>();
    if (const int error = make_queue(impl->ring); error != 0) {
        return fail("io_uring: cannot be set up: " + errno_text(error),
                    "allow it (sysctl kernel.io_uring_disabled=0, and in a container its seccomp profile); the mirror "
                    "disk needs it");
    }
    impl->made = true;
    impl->pool = pool;
    void* zeroes =
        mmap(nullptr, kMaxRequestBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (zeroes == MAP_FAILED) return fail("io_uring: no memory for its zero buffer", "free some memory");
    impl->zeroes = static_cast<uint8_t*>(zeroes);
    if (!pool.empty()) {
        const iovec memory{pool.data(), pool.size()};
        impl->registered = io_uring_register_buffers(&impl->ring, &memory, 1) == 0;  // slower without, nothing else
    }
    impl->slots.resize(kDepth);
    for (uint32_t i = kDepth; i-- > 0;) impl->free.push_back(i);
    return std::unique_ptr<Ring>(new Ring(std::move(impl)));
}

void Ring::read(int fd, std::span<uint8_t> into, uint64_t offset, Tag tag) {
    const uint32_t index = impl_->claim({tag, Kind::kTransfer, fd, into.size(), {}});
    io_uring_sqe* sqe = impl_->entry();
    const auto length = static_cast<unsigned>(into.size());
    if (impl_->in_pool(into.data(), into.size())) {
        io_uring_prep_read_fixed(sqe, fd, into.data(), length, offset, 0);
    } else {
        io_uring_prep_read(sqe, fd, into.data(), length, offset);
    }
    io_uring_sqe_set_data64(sqe, index);
}

void Ring::write(int fd, std::span<const uint8_t> from, uint64_t offset, bool durable, Tag tag) {
    impl_->prepare_write(impl_->claim({tag, Kind::kTransfer, fd, from.size(), {}}), from, offset, durable);
}

void Ring::flush(int fd, Tag tag) {
    const uint32_t index = impl_->claim({tag, Kind::kFlush, fd, 0, {}});
    io_uring_sqe* sqe = impl_->entry();
    io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
    io_uring_sqe_set_data64(sqe, index);
}

void Ring::zero(int fd, const Extent& extent, Tag tag) {
    const uint32_t index = impl_->claim({tag, Kind::kZero, fd, 0, extent});
    if (impl_->no_zero_range == fd) return impl_->write_next_zeroes(index);
    io_uring_sqe* sqe = impl_->entry();
    // Zeroed, not punched: a file keeps its space, so that a later write cannot find the file system full.
    io_uring_prep_fallocate(sqe, fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(extent.offset),
                            static_cast<off_t>(extent.length));
    io_uring_sqe_set_data64(sqe, index);
}

void Ring::when_readable(int fd, Tag tag) {
    const uint32_t index = impl_->claim({tag, Kind::kReadable, fd, 0, {}});
    io_uring_sqe* sqe = impl_->entry();
    io_uring_prep_poll_add(sqe, fd, POLLIN);
    io_uring_sqe_set_data64(sqe, index);
}

uint32_t Ring::under_way() const {
    return impl_->disk;
}

bool Ring::settle(Duration limit) {
    Impl& ring = *impl_;
    const Instant end = host::boot_now() + limit;
    while (ring.disk > 0) {
        const Duration left = std::max(end - host::boot_now(), Duration{});
        __kernel_timespec timeout{left / 1s, (left % 1s).count()};
        io_uring_cqe* cqe = nullptr;
        const int result = io_uring_submit_and_wait_timeout(&ring.ring, &cqe, 1, &timeout, nullptr);
        while (io_uring_peek_cqe(&ring.ring, &cqe) == 0 && cqe != nullptr) {
            if (ring.slots[io_uring_cqe_get_data64(cqe)].kind != Kind::kReadable) --ring.disk;
            io_uring_cqe_seen(&ring.ring, cqe);
        }
        const bool failed = result < 0 && result != -ETIME && result != -EINTR && result != -EBUSY && result != -EAGAIN;
        if (ring.disk > 0 && (failed || host::boot_now() >= end)) return false;
    }
    return true;
}

void Ring::submit() {
    io_uring_submit(&impl_->ring);
}

Status Ring::wait(std::optional<Instant> until, const Done& done) {
    io_uring_cqe* first = nullptr;
    __kernel_timespec limit{};
    if (until) {
        const Duration left = std::max(*until - host::boot_now(), Duration{});
        limit = {left / 1s, (left % 1s).count()};
    }
    const int result = io_uring_submit_and_wait_timeout(&impl_->ring, &first, 1, until ? &limit : nullptr, nullptr);
    if (result < 0 && result != -ETIME && result != -EINTR && result != -EBUSY && result != -EAGAIN) {
        return fail("io_uring: " + errno_text(-result), "restart kagami-mirrord");
    }
    // One at a time: `done` may start requests, whose completions may already stand behind.
    for (io_uring_cqe* cqe = nullptr; io_uring_peek_cqe(&impl_->ring, &cqe) == 0 && cqe != nullptr;) {
        const auto index = static_cast<uint32_t>(io_uring_cqe_get_data64(cqe));
        const int outcome = cqe->res;
        io_uring_cqe_seen(&impl_->ring, cqe);
        impl_->finish(index, outcome, done);
    }
    return {};
}

}  // namespace kagami::mirror
