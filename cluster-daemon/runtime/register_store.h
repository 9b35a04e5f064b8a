// The durable home of one small value: what a voter has promised and accepted (voter.store), or a node's highest tokens
// (local.store). Opaque bytes; docs/formats/voter-store.md has the layout.
//
// Two slots take turns: a write goes to the slot that does not hold the current value, and counts once fdatasync has
// returned. At every instant one slot holds a whole value. The file has its full size from the start, so a full disk
// cannot hurt later writes. A slot found at start is one of:
//     valid    the newest valid one is the value
//     empty    never written
//     torn     the machine went down in the middle of a write: every 512-byte block is whole, some are of the old
//     value. That write was
//              never confirmed, so nothing is lost by using the other slot.
//     damaged  a block's checksum is wrong. If the slot may have held the newer value, the value that is left is OLDER
//     THAN WHAT WAS
//              CONFIRMED: loaded().may_be_rolled_back; a voter must then treat its store as lost (protocol.md 3, I13).
// Errors carry a StoreFault. kNotWritten leaves the value as it was, and the write may be repeated. kFatal means that
// fdatasync failed: what lies on the disk is unknown, and by A3 of protocol.md the caller must end the process; further
// writes are refused. The next process may read that lost write from the page cache, so open() writes what it read once
// more, to the slot that it came from (the other one may be the only whole one on the disk), and flushes it; a store
// where that fails is not opened. Left to others: the meaning of the bytes, and which thread may block on the disk.
#pragma once

#include <sys/types.h>

#include <functional>
#include <span>
#include <string>

#include "common/codec.h"
#include "common/files.h"
#include "common/ids.h"
#include "common/result.h"

namespace kagami::runtime {

constexpr size_t kStorePayloadLimitBytes = 512U * 1024U;

enum class StoreKind : uint32_t { kVoter = 1, kLocal = 2 };

enum class StoreFault {
    kMissing,     // there is no such file
    kLost,        // neither slot is usable
    kForeign,     // of another cluster, another kind, or a newer version
    kInUse,       // another process has it open
    kNotWritten,  // the value stands as before
    kFatal,       // end the process
    kFailed,      // anything else, before the store was usable
};
struct StoreError {
    StoreFault fault = StoreFault::kFailed;
    Error error;
};
template <typename T>
using StoreResult = tl::expected<T, StoreError>;

struct StoreLoaded {
    Bytes payload;
    uint64_t serial = 0;
    std::string warning;  // empty, or what a person should know
    bool may_be_rolled_back = false;
};

// The two calls that tests make fail or record.
struct StoreCalls {
    std::function<ssize_t(int, const void*, size_t, off_t)> pwrite;
    std::function<int(int)> fdatasync;
};
StoreCalls system_store_calls();

class RegisterStore {
 public:
    // Refuses to replace an existing store.
    static StoreResult<RegisterStore> create(const std::string& path, StoreKind kind, const Uuid& cluster,
                                             std::span<const uint8_t> payload, StoreCalls calls = system_store_calls());
    static StoreResult<RegisterStore> open(const std::string& path, StoreKind kind, const Uuid& cluster,
                                           StoreCalls calls = system_store_calls());

    // The value as found by open().
    const StoreLoaded& loaded() const { return loaded_; }
    // Blocks until durable.
    StoreResult<void> write(std::span<const uint8_t> payload);
    uint64_t serial() const { return serial_; }

 private:
    RegisterStore() = default;
    StoreResult<void> load();
    StoreResult<void> make_loaded_durable();
    StoreResult<void> put(size_t slot, uint64_t serial, std::span<const uint8_t> payload);

    std::string path_;
    UniqueFd fd_;
    StoreKind kind_ = StoreKind::kVoter;
    Uuid cluster_{};
    StoreCalls calls_;
    StoreLoaded loaded_;
    uint64_t serial_ = 0;
    size_t current_slot_ = 0;
    bool broken_ = false;
};

}  // namespace kagami::runtime
