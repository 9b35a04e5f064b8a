#include "mirror-driver/frontends/fuse_loop/fuse_file.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fuse.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <tuple>
#include <utility>

#include "common/assert.h"

namespace kagami::mirror {
namespace {

// Newer than Debian 12's <linux/fuse.h>.
constexpr uint64_t kHasResend = uint64_t{1} << 39U;
constexpr int kNotifyResend = 7;

constexpr uint32_t kNone = ~0U;
constexpr uint16_t kMaxBackground = 128;
constexpr uint32_t kZeroPieces = 16;  // of one discard under way: they share transactions of the activity log
constexpr uint64_t kLongSeconds = uint64_t{1} << 31U;
constexpr size_t kWriteHeaderBytes = sizeof(fuse_in_header) + sizeof(fuse_write_in);
constexpr int kReceiveAtOnce = 64;  // then the other descriptors have their turn
constexpr const char* kConnections = "/sys/fs/fuse/connections";
constexpr long kFusectlMagic = 0x65735543;

fuse_attr attributes(uint64_t size_bytes) {
    fuse_attr a{};
    a.ino = FUSE_ROOT_ID;
    a.size = size_bytes;
    a.blocks = size_bytes / 512;
    a.mode = S_IFREG | 0600;
    a.nlink = 1;
    a.blksize = kBlockBytes;
    return a;
}

template <typename T>
T part(const uint8_t* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

}  // namespace

Result<UniqueFd> mount_fuse_file(const std::string& path) {
    const UniqueFd place(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!place.valid()) return fail(path + ": cannot make it: " + errno_text(errno), errno_remedy(errno, path));
    UniqueFd fd(::open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK));
    if (!fd.valid())
        return fail("/dev/fuse: cannot open it: " + errno_text(errno), "load the kernel module fuse (modprobe fuse)");
    const std::string options =
        "fd=" + std::to_string(fd.get()) +
        ",rootmode=100600,user_id=0,group_id=0,allow_other,max_read=" + std::to_string(kMaxRequestBytes);
    if (mount("kagami-mirror", path.c_str(), "fuse", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME, options.c_str()) !=
        0) {
        return fail(path + ": cannot mount the mirror's file: " + errno_text(errno),
                    "run as root with the kernel module fuse loaded");
    }
    return fd;
}

void abort_fuse_connection(dev_t device) {
    const std::string file = std::string(kConnections) + "/" + std::to_string(minor(device)) + "/abort";
    const UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
    if (fd.valid()) std::ignore = ::write(fd.get(), "1", 1);
}

void mount_fusectl() {
    struct statfs found {};
    if (statfs(kConnections, &found) == 0 && found.f_type == kFusectlMagic) return;
    std::ignore = mount("fusectl", kConnections, "fusectl", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
}

struct FuseFile::Incoming {
    fuse_in_header head;
    const uint8_t* arguments = nullptr;  // of a write: its header; its data lie in the receiving buffer
    size_t argument_bytes = 0;

    template <typename T>
    T as() const {
        return part<T>(arguments);  // the place is large enough for any of them
    }
};

FuseFile::FuseFile(Settings settings)
    : settings_(std::move(settings)), requests_(kMaxRequests), owner_(kMaxRequests), parked_(kNone) {
    for (uint32_t i = kMaxRequests; i-- > 0;) {
        free_requests_.push_back(i);
        free_ids_.push_back(i);
    }
    // O_NONBLOCK may be lost on a descriptor that has been handed round.
    fcntl(descriptor(), F_SETFL, fcntl(descriptor(), F_GETFL) | O_NONBLOCK);
}

FuseFile::~FuseFile() {
    if (receiving_ != kNoBuffer) settings_.buffers->release(receiving_);
}

Status FuseFile::ask_again() {
    const fuse_out_header again{sizeof again, kNotifyResend, 0};
    if (::write(descriptor(), &again, sizeof again) == ssize_t{sizeof again}) return {};
    if (errno == ENODEV || errno == ENOTCONN || errno == EPERM) gone_ = true;
    return fail("the kept FUSE connection cannot be gone on with: " + errno_text(errno), "activate the group anew");
}

// A read request is taken only when an id is left for it, and with room for the largest write.
bool FuseFile::can_receive() const {
    if (gone_ || parked_ != kNone || free_requests_.empty() || free_ids_.empty()) return false;
    return receiving_ != kNoBuffer || settings_.buffers->available(kMaxRequestBytes, Use::kClient);
}

void FuseFile::advance() {
    for (int i = 0; i < kReceiveAtOnce && can_receive() && receive(); ++i) {
    }
}

bool FuseFile::receive() {
    if (receiving_ == kNoBuffer) receiving_ = settings_.buffers->take(kMaxRequestBytes, Use::kClient);
    const auto space = settings_.buffers->bytes(receiving_);
    const iovec places[2] = {{header_.data(), kWriteHeaderBytes}, {space.data(), space.size()}};
    const ssize_t got = readv(descriptor(), places, 2);
    if (got < 0) {
        if (errno == ENODEV) gone_ = true;
        return errno == ENOENT || errno == EINTR;  // ENOENT: the request was taken back meanwhile
    }
    const auto total = static_cast<size_t>(got);
    if (total < sizeof(fuse_in_header)) return true;
    Incoming incoming{part<fuse_in_header>(header_.data()), header_.data() + sizeof(fuse_in_header),
                      total - sizeof(fuse_in_header)};
    if (incoming.head.opcode != FUSE_WRITE && total > kWriteHeaderBytes) {
        const size_t spilled = std::min(total - kWriteHeaderBytes, header_.size() - kWriteHeaderBytes);
        std::memcpy(header_.data() + kWriteHeaderBytes, space.data(), spilled);
    }
    dispatch(incoming);
    return true;
}

void FuseFile::dispatch(const Incoming& incoming) {
    const uint64_t unique = incoming.head.unique;
    switch (incoming.head.opcode) {
        case FUSE_READ: return start_read(incoming);
        case FUSE_WRITE: return start_write(incoming);
        case FUSE_FALLOCATE: return start_zero(incoming);
        case FUSE_FSYNC: return issue(claim(unique, Operation::kFlush, {}, kNoBuffer));
        case FUSE_INIT: return initialise(incoming);
        case FUSE_FORGET:
        case FUSE_BATCH_FORGET:
        case FUSE_INTERRUPT: return;  // have no answer
        case FUSE_SETATTR: {
            const auto in = incoming.as<fuse_setattr_in>();
            if ((in.valid & FATTR_SIZE) != 0 && in.size != settings_.size_bytes) return reply(unique, EPERM);
            [[fallthrough]];
        }
        case FUSE_GETATTR: {
            const fuse_attr_out out{kLongSeconds, 0, 0, attributes(settings_.size_bytes)};
            return reply(unique, 0, &out, sizeof out);
        }
        case FUSE_OPEN: {
            const fuse_open_out out{1, FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES, 0};
            return reply(unique, 0, &out, sizeof out);
        }
        case FUSE_STATFS: {
            fuse_statfs_out out{};
            out.st.bsize = out.st.frsize = kBlockBytes;  // loop takes it for the granularity of discards
            out.st.blocks = settings_.size_bytes / kBlockBytes;
            out.st.namelen = 255;
            return reply(unique, 0, &out, sizeof out);
        }
        case FUSE_FLUSH:
        case FUSE_RELEASE:
        case FUSE_DESTROY: return reply(unique, 0);
        default: return reply(unique, ENOSYS);
    }
}

void FuseFile::initialise(const Incoming& incoming) {
    const auto in = incoming.as<fuse_init_in>();
    uint64_t offered = in.flags;
    if ((in.flags & FUSE_INIT_EXT) != 0) offered |= uint64_t{in.flags2} << 32U;
    const uint64_t flags = offered & (FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_ASYNC_DIO | FUSE_MAX_PAGES |
                                      FUSE_PARALLEL_DIROPS | uint64_t{FUSE_INIT_EXT} | kHasResend);
    fuse_init_out out{};
    out.major = FUSE_KERNEL_VERSION;
    out.minor = std::min<uint32_t>(in.minor, FUSE_KERNEL_MINOR_VERSION);
    out.max_readahead = in.max_readahead;
    out.flags = static_cast<uint32_t>(flags);
    out.flags2 = static_cast<uint32_t>(flags >> 32U);
    out.max_background = kMaxBackground;  // the default of 12 would be the queue depth
    out.congestion_threshold = kMaxBackground;
    out.max_write = kMaxRequestBytes;
    out.max_pages = kMaxRequestBytes / 4096;
    out.time_gran = 1;
    reply(incoming.head.unique, 0, &out, sizeof out);
    if ((flags & kHasResend) != 0) settings_.resendable();
}

bool FuseFile::inside(uint64_t unique, const Extent& extent) {
    if (extent.offset % kBlockBytes != 0 || extent.length % kBlockBytes != 0 || extent.length == 0) {
        reply(unique, EINVAL);
        return false;
    }
    if (extent.length > settings_.size_bytes || extent.offset > settings_.size_bytes - extent.length) {
        reply(unique, EFBIG);
        return false;
    }
    return true;
}

void FuseFile::start_read(const Incoming& incoming) {
    const auto in = incoming.as<fuse_read_in>();
    Extent extent{in.offset, in.size};
    if (extent.offset >= settings_.size_bytes) return reply(incoming.head.unique, 0);
    extent.length = std::min<uint64_t>({extent.length, kMaxRequestBytes, settings_.size_bytes - extent.offset});
    if (!inside(incoming.head.unique, extent)) return;
    parked_ = claim(incoming.head.unique, Operation::kRead, extent, kNoBuffer);
    issue_parked();
}

void FuseFile::issue_parked() {
    if (parked_ == kNone) return;
    Request& request = requests_[parked_];
    request.buffer = settings_.buffers->take(static_cast<uint32_t>(request.extent.length), Use::kClient);
    if (request.buffer == kNoBuffer) return;
    issue(std::exchange(parked_, kNone));
}

// The data lie in a large buffer. A small write is copied out of it; a large one keeps it.
void FuseFile::start_write(const Incoming& incoming) {
    const auto in = incoming.as<fuse_write_in>();
    const Extent extent{in.offset, in.size};
    if (incoming.argument_bytes != sizeof in + in.size) return reply(incoming.head.unique, EINVAL);
    if (!inside(incoming.head.unique, extent)) return;
    BufferId buffer = kNoBuffer;
    if (in.size <= Buffers::kSmallBytes) buffer = settings_.buffers->take(in.size, Use::kClient);
    if (buffer == kNoBuffer) {
        buffer = std::exchange(receiving_, kNoBuffer);
    } else {
        std::memcpy(settings_.buffers->bytes(buffer).data(), settings_.buffers->bytes(receiving_).data(), in.size);
    }
    issue(claim(incoming.head.unique, Operation::kWrite, extent, buffer));
}

void FuseFile::start_zero(const Incoming& incoming) {
    const auto in = incoming.as<fuse_fallocate_in>();
    const Extent extent{in.offset, in.length};
    if (in.mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) &&
        in.mode != (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)) {
        return reply(incoming.head.unique, EOPNOTSUPP);
    }
    if (inside(incoming.head.unique, extent)) issue(claim(incoming.head.unique, Operation::kZero, extent, kNoBuffer));
}

uint32_t FuseFile::claim(uint64_t unique, Operation operation, const Extent& extent, BufferId buffer) {
    const uint32_t index = free_requests_.back();
    free_requests_.pop_back();
    requests_[index] = {unique, operation, buffer, extent, 0, 0, 0};
    return index;
}

void FuseFile::issue(uint32_t index) {
    const uint32_t most = requests_[index].operation == Operation::kZero ? kZeroPieces : 1;
    for (uint32_t i = 0; i < most && !free_ids_.empty(); ++i) {
        if (i > 0 && requests_[index].issued == requests_[index].extent.length) break;
        const uint32_t id = free_ids_.back();
        free_ids_.pop_back();
        issue_as(id, index);
    }
}

// Zeroes go in pieces that stay inside one hot extent; everything else goes whole.
void FuseFile::issue_as(uint32_t id, uint32_t index) {
    Request& request = requests_[index];
    Extent piece = request.extent;
    if (request.operation == Operation::kZero) {
        const uint64_t from = request.extent.offset + request.issued;
        piece = {from, std::min(kHotExtentBytes - from % kHotExtentBytes, request.extent.end() - from)};
    }
    request.issued += piece.length;
    ++request.under_way;
    owner_[id] = index;
    settings_.submit({RequestId{id + 1}, request.operation, piece, request.buffer});
}

void FuseFile::complete(const Completion& completion) {
    const auto id = static_cast<uint32_t>(completion.id.value - 1);
    const uint32_t index = owner_[id];
    Request& request = requests_[index];
    KAGAMI_ASSERT(request.under_way > 0, "completed once");
    --request.under_way;
    if (request.error == 0) request.error = completion.error;
    if (completion.data != kNoBuffer) {  // the peer has read it for us
        std::memcpy(settings_.buffers->bytes(request.buffer).data(), settings_.buffers->bytes(completion.data).data(),
                    request.extent.length);
    }
    if (request.error == 0 && request.issued < request.extent.length) return issue_as(id, index);
    free_ids_.push_back(id);
    if (request.under_way > 0) return;
    answer(request);
    if (request.buffer != kNoBuffer) settings_.buffers->release(request.buffer);
    request = {};
    free_requests_.push_back(index);
    issue_parked();
}

void FuseFile::buffers_released() {
    issue_parked();
}

void FuseFile::answer(Request& request) {
    if (request.error != 0) return reply(request.unique, request.error);
    if (request.operation == Operation::kRead) {
        return reply(request.unique, 0, settings_.buffers->bytes(request.buffer).data(), request.extent.length);
    }
    if (request.operation != Operation::kWrite) return reply(request.unique, 0);
    const fuse_write_out out{static_cast<uint32_t>(request.extent.length), 0};
    reply(request.unique, 0, &out, sizeof out);
}

void FuseFile::reply(uint64_t unique, int error, const void* data, size_t length_bytes) {
    const fuse_out_header head{static_cast<uint32_t>(sizeof(fuse_out_header) + length_bytes), -error, unique};
    const iovec parts[2] = {{const_cast<fuse_out_header*>(&head), sizeof head},
                            {const_cast<void*>(data), length_bytes}};
    if (gone_ || writev(descriptor(), parts, length_bytes == 0 ? 1 : 2) >= 0) return;
    if (errno == ENODEV || errno == ENOTCONN) gone_ = true;
    // ENOENT: nobody waits for it any more. Anything else would leave somebody waiting for ever.
    if (!gone_ && errno != ENOENT && error == 0) reply(unique, EIO);
}

}  // namespace kagami::mirror
