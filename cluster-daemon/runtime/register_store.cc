#include "cluster-daemon/runtime/register_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "common/hash.h"

namespace kagami::runtime {
namespace {

constexpr std::array<uint8_t, 8> kMagic{'K', 'G', 'M', 'S', 'T', 'O', 'R', 'E'};
constexpr uint32_t kVersion = 1;
constexpr size_t kBlockBytes = 512;                   // the largest unit that a disk is trusted to write whole
constexpr size_t kBlockDataBytes = kBlockBytes - 12;  // then: serial u64, CRC32C u32
constexpr size_t kPayloadBlocks = (kStorePayloadLimitBytes + kBlockDataBytes - 1) / kBlockDataBytes;
constexpr size_t kSlotBytes = 132 * 4096;
static_assert((1 + kPayloadBlocks) * kBlockBytes <= kSlotBytes);
constexpr size_t kSlotBlocks = 1 + kPayloadBlocks;

tl::unexpected<StoreError> store_error(StoreFault fault, std::string message, std::string remedy) {
    return tl::unexpected(StoreError{fault, {ErrorCode::kFailed, std::move(message), std::move(remedy)}});
}

// ---- blocks ----

enum class BlockState { kEmpty, kValid, kDamaged };

struct Block {
    BlockState state = BlockState::kDamaged;
    uint64_t serial = 0;
    std::span<const uint8_t> data;
};

// Appends one block; `data` is at most kBlockDataBytes.
void append_block(Bytes& out, std::span<const uint8_t> data, uint64_t serial) {
    const size_t start = out.size();
    out.insert(out.end(), data.begin(), data.end());
    out.resize(start + kBlockDataBytes);
    ByteWriter serial_bytes;
    serial_bytes.u64(serial);
    out.insert(out.end(), serial_bytes.view().begin(), serial_bytes.view().end());
    ByteWriter checksum;
    checksum.u32(crc32c(std::span(out).subspan(start)));
    out.insert(out.end(), checksum.view().begin(), checksum.view().end());
}

Block read_block(std::span<const uint8_t> slot, size_t index) {
    const auto raw = slot.subspan(index * kBlockBytes, kBlockBytes);
    if (std::all_of(raw.begin(), raw.end(), [](uint8_t byte) { return byte == 0; })) return {BlockState::kEmpty, 0, {}};
    ByteReader tail(raw.subspan(kBlockDataBytes));
    const uint64_t serial = tail.u64();
    if (tail.u32() != crc32c(raw.first(kBlockBytes - 4))) return {BlockState::kDamaged, 0, {}};
    return {BlockState::kValid, serial, raw.first(kBlockDataBytes)};
}

// ---- slots ----

struct Header {
    StoreKind kind = StoreKind::kVoter;
    Uuid cluster{};
    uint32_t length_bytes = 0;
    Hash sha256{};
};

struct Slot {
    enum class State { kValid, kEmpty, kTorn, kDamaged, kForeign };
    State state = State::kDamaged;
    uint64_t serial = 0;          // of a valid slot
    uint64_t newest_seen = 0;     // in any whole block
    bool beginning_lost = false;  // neither the header nor the first block of the value can be read
    std::string foreign;          // why kForeign
    Bytes payload;
};

Bytes encode_slot(StoreKind kind, const Uuid& cluster, uint64_t serial, std::span<const uint8_t> payload) {
    ByteWriter header;
    header.raw(kMagic);
    header.u32(kVersion);
    header.u32(static_cast<uint32_t>(kind));
    header.raw(cluster);
    header.u32(static_cast<uint32_t>(payload.size()));
    header.raw(sha256(payload));
    Bytes out;
    append_block(out, header.view(), serial);
    do {  // an empty value has one block too, so that a slot never consists of its header alone
        const size_t length = std::min(payload.size(), kBlockDataBytes);
        append_block(out, payload.first(length), serial);
        payload = payload.subspan(length);
    } while (!payload.empty());
    return out;
}

std::optional<Header> decode_header(std::span<const uint8_t> data, std::string& foreign) {
    ByteReader in(data);
    std::array<uint8_t, kMagic.size()> magic{};
    in.raw(magic);
    if (magic != kMagic) return std::nullopt;
    if (const uint32_t version = in.u32(); version != kVersion) {
        foreign = "has format version " + std::to_string(version) + ", and this program knows version " +
                  std::to_string(kVersion);
        return std::nullopt;
    }
    Header header;
    header.kind = static_cast<StoreKind>(in.u32());
    in.raw(header.cluster);
    header.length_bytes = in.u32();
    in.raw(header.sha256);
    if (!in.ok() || header.length_bytes > kStorePayloadLimitBytes) return std::nullopt;
    return header;
}

// The whole value, or nothing when a block is missing, damaged or of another write.
std::optional<Bytes> gather(std::span<const uint8_t> raw, const Header& header, uint64_t serial) {
    Bytes payload;
    size_t left = header.length_bytes;
    for (size_t index = 1; index == 1 || left > 0; ++index) {
        const Block block = read_block(raw, index);
        if (block.state != BlockState::kValid || block.serial != serial) return std::nullopt;
        const size_t length = std::min(left, kBlockDataBytes);
        payload.insert(payload.end(), block.data.begin(), block.data.begin() + static_cast<std::ptrdiff_t>(length));
        left -= length;
    }
    if (sha256(payload) != header.sha256) return std::nullopt;
    return payload;
}

// What an unusable slot is: torn when all its blocks are whole, damaged otherwise.
void classify_unusable(std::span<const uint8_t> raw, Slot& slot) {
    bool any_damaged = false;
    bool all_empty = true;
    for (size_t index = 0; index < kSlotBlocks; ++index) {
        const Block block = read_block(raw, index);
        any_damaged = any_damaged || block.state == BlockState::kDamaged;
        all_empty = all_empty && block.state == BlockState::kEmpty;
        slot.newest_seen = std::max(slot.newest_seen, block.serial);
    }
    slot.beginning_lost =
        read_block(raw, 0).state != BlockState::kValid && read_block(raw, 1).state != BlockState::kValid;
    slot.state = any_damaged ? Slot::State::kDamaged : all_empty ? Slot::State::kEmpty : Slot::State::kTorn;
}

Slot decode_slot(std::span<const uint8_t> raw, StoreKind kind, const Uuid& cluster) {
    Slot slot;
    const Block first = read_block(raw, 0);
    if (first.state == BlockState::kValid) {
        const auto header = decode_header(first.data, slot.foreign);
        if (header && header->cluster != cluster)
            slot.foreign =
                "belongs to cluster " + to_string(header->cluster) + ", and this node to cluster " + to_string(cluster);
        if (header && header->kind != kind && slot.foreign.empty()) slot.foreign = "is a store of another kind";
        if (!slot.foreign.empty()) {
            slot.state = Slot::State::kForeign;
            return slot;
        }
        if (header) {
            if (auto payload = gather(raw, *header, first.serial)) {
                slot.state = Slot::State::kValid;
                slot.serial = first.serial;
                slot.payload = std::move(*payload);
                return slot;
            }
        }
    }
    classify_unusable(raw, slot);
    return slot;
}

// Could this slot, next to a valid one, have held a confirmed newer value?
bool may_have_been_newer(const Slot& slot, uint64_t valid_serial) {
    if (slot.state == Slot::State::kEmpty) return valid_serial >= 2;  // the second write went there
    return slot.state == Slot::State::kDamaged && (slot.newest_seen > valid_serial || slot.beginning_lost);
}

std::string warning_about(const Slot& other, const std::string& path, uint64_t valid_serial) {
    if (may_have_been_newer(other, valid_serial))
        return path + ": one of its two slots is damaged and may have held a newer value than the one that is left";
    if (other.state == Slot::State::kDamaged)
        return path + ": the slot with the older value is damaged; the newer one is whole";
    if (other.state == Slot::State::kTorn)
        return path + ": the last write was cut off before it was confirmed; the value before it is used";
    return "";
}

// Reads the file as far as it goes; what is missing reads as damaged.
std::optional<Bytes> read_image(int fd) {
    Bytes image(2 * kSlotBytes, 0xff);
    size_t done = 0;
    while (done < image.size()) {
        const ssize_t got = ::pread(fd, image.data() + done, image.size() - done, static_cast<off_t>(done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return std::nullopt;
        if (got == 0) break;
        done += static_cast<size_t>(got);
    }
    return image;
}

constexpr const char* kLostRemedy =
    "this member must not vote with what is left: remove the file, then join the cluster again with a new token "
    "(`kagami token`, `kagami join`)";

}  // namespace

StoreCalls system_store_calls() {
    return {[](int fd, const void* data, size_t length, off_t offset) { return ::pwrite(fd, data, length, offset); },
            [](int fd) { return ::fdatasync(fd); }};
}

StoreResult<RegisterStore> RegisterStore::create(const std::string& path, StoreKind kind, const Uuid& cluster,
                                                 std::span<const uint8_t> payload, StoreCalls calls) {
    if (payload.size() > kStorePayloadLimitBytes)
        return store_error(StoreFault::kFailed, path + ": the value is too large", "");
    if (::access(path.c_str(), F_OK) == 0)
        return store_error(StoreFault::kFailed, path + ": exists already",
                           "open it, or remove it if its member has left the cluster for good");
    Bytes image = encode_slot(kind, cluster, 1, payload);
    image.resize(2 * kSlotBytes);
    if (const Status written = write_file_atomically(path, image); !written)
        return tl::unexpected(StoreError{StoreFault::kFailed, written.error()});
    return open(path, kind, cluster, std::move(calls));
}

StoreResult<RegisterStore> RegisterStore::open(const std::string& path, StoreKind kind, const Uuid& cluster,
                                               StoreCalls calls) {
    RegisterStore store;
    store.path_ = path;
    store.kind_ = kind;
    store.cluster_ = cluster;
    store.calls_ = std::move(calls);
    store.fd_ = UniqueFd(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
    if (!store.fd_.valid()) {
        const bool missing = errno == ENOENT;
        return store_error(missing ? StoreFault::kMissing : StoreFault::kFailed,
                           path + ": cannot open: " + errno_text(errno),
                           missing ? kLostRemedy : errno_remedy(errno, path));
    }
    if (::flock(store.fd_.get(), LOCK_EX | LOCK_NB) != 0)
        return store_error(StoreFault::kInUse, path + ": another process has it open",
                           "stop the other kagamid or kagami-witness first");
    if (auto loaded = store.load(); !loaded) return tl::unexpected(std::move(loaded.error()));
    if (auto durable = store.make_loaded_durable(); !durable) return tl::unexpected(std::move(durable.error()));
    return store;
}

StoreResult<void> RegisterStore::load() {
    const auto image = read_image(fd_.get());
    if (!image)
        return store_error(StoreFault::kLost, path_ + ": cannot read: " + errno_text(errno),
                           errno_remedy(errno, path_));
    std::array<Slot, 2> slots;
    for (size_t i = 0; i < slots.size(); ++i) {
        slots[i] = decode_slot(std::span(*image).subspan(i * kSlotBytes, kSlotBytes), kind_, cluster_);
        if (slots[i].state == Slot::State::kForeign)
            return store_error(StoreFault::kForeign, path_ + ": " + slots[i].foreign,
                               "put the right file there, or join this cluster anew with a token");
    }
    const bool first = slots[0].state == Slot::State::kValid;
    const bool second = slots[1].state == Slot::State::kValid;
    if (!first && !second)
        return store_error(StoreFault::kLost, path_ + ": both slots are unreadable: the store is lost", kLostRemedy);
    current_slot_ = second && (!first || slots[1].serial > slots[0].serial) ? 1 : 0;
    Slot& current = slots.at(current_slot_);
    const Slot& other = slots.at(1 - current_slot_);
    serial_ = current.serial;
    loaded_ = {std::move(current.payload), serial_, warning_about(other, path_, serial_),
               may_have_been_newer(other, serial_)};
    return {};
}

StoreResult<void> RegisterStore::make_loaded_durable() {
    const auto put_again = put(current_slot_, serial_, loaded_.payload);
    if (put_again) return {};
    const Error& cause = put_again.error().error;
    return store_error(
        StoreFault::kFailed,
        path_ + ": cannot make the value that was read durable, so it must not be used: " + cause.message,
        cause.remedy);
}

StoreResult<void> RegisterStore::write(std::span<const uint8_t> payload) {
    if (broken_)
        return store_error(StoreFault::kFatal, path_ + ": an earlier flush failed, the state on disk is unknown",
                           errno_remedy(EIO, path_));
    if (payload.size() > kStorePayloadLimitBytes)
        return store_error(StoreFault::kNotWritten,
                           path_ + ": the value has " + std::to_string(payload.size()) + " bytes, more than " +
                               std::to_string(kStorePayloadLimitBytes),
                           "make the configuration smaller");
    const size_t slot = 1 - current_slot_;
    if (auto done = put(slot, serial_ + 1, payload); !done) return done;
    current_slot_ = slot;
    ++serial_;
    return {};
}

StoreResult<void> RegisterStore::put(size_t slot, uint64_t serial, std::span<const uint8_t> payload) {
    const Bytes image = encode_slot(kind_, cluster_, serial, payload);
    for (size_t done = 0; done < image.size();) {
        const ssize_t written = calls_.pwrite(fd_.get(), image.data() + done, image.size() - done,
                                              static_cast<off_t>(slot * kSlotBytes + done));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0)
            return store_error(StoreFault::kNotWritten, path_ + ": cannot write: " + errno_text(errno),
                               errno_remedy(errno, path_));
        done += static_cast<size_t>(written);
    }
    if (calls_.fdatasync(fd_.get()) != 0) {
        broken_ = true;
        return store_error(StoreFault::kFatal, path_ + ": cannot flush to the disk: " + errno_text(errno),
                           errno_remedy(errno, path_));
    }
    return {};
}

}  // namespace kagami::runtime
