// Everything the metadata of a replica says besides the activity log and the bitmap (mirror.md 4). A plain value: the
// engine changes its copy and asks for it to be made durable; metadata_blocks.h knows how it lies on the disk.
#pragma once

#include <array>
#include <string>

#include "mirror-driver/engine/types.h"

namespace kagami::mirror {

enum class Cause : uint8_t { kNone, kConstruction, kSolo, kTakeover, kForce, kResync };
struct Ancestor {
    Generation generation;
    Cause cause = Cause::kNone;  // why it ended
    bool operator==(const Ancestor&) const = default;
};

// Flags may only add resync work; clearing one needs the step that its comment names.
struct Flags {
    bool constructed = false;        // has held data of this mirror
    bool primary_indicated = false;  // promoted; cleared by a clean demotion. Set at open = crashed primary
    bool inconsistent = false;       // target of a resync; cleared at its two-sided end
    bool full_sync = false;          // every block counts as dirty; cleared at the end of a full copy
    bool suspect = false;            // the register did not know this disk; cleared like full_sync
    bool outdated = false;           // the register says stale; cleared when the register says current again
    bool failed = false;             // an I/O error of the data device; cleared by a person's `mirror init`
    bool operator==(const Flags&) const = default;
};

struct Context {
    // ---- identity, fixed when the metadata is created ----
    Uuid cluster{};
    Uuid mirror{};
    NodeId self;
    NodeId peer;
    uint64_t size_bytes = 0;      // of the exported disk
    std::string device_identity;  // of the data device, at most 191 bytes: "partuuid=…;wwid=…", "file=…", ...
    uint32_t hot_extents = kMaxHotExtents;
    // ---- state ----
    Nonce nonce;
    Nonce next_nonce;
    BootId attached_in{};  // boot in which the nonce was last rotated
    Generation current;
    Generation base;  // the generation that the bitmap counts from; none() = no bits are kept
    Generation aim;   // of the resync under way, while inconsistent
    std::array<Ancestor, 8> history{};  // newest first
    Generation peer_last;               // the peer's generation when it was last connected
    BootId peer_boot{};                 // while primary: the boot of the peer that was last connected; zero = none yet
    Token highest_token;
    Flags flags;
    bool operator==(const Context&) const = default;
};

}  // namespace kagami::mirror
