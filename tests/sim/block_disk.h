// The two devices under one simulated replica. Data: one number a block, that of the client's write that made its
// content (0 = zeroes), so that the checker sees at once how old a block is. Metadata: the real 4 KiB blocks of
// mirror-driver/engine/metadata.h.
// Modelled: what was written is seen by readers at once and durable only after a flush that began later; a power loss
// keeps any subset of the rest, block by block; a batch of metadata that was under way is durable in any subset, one of
// its blocks torn. Images of both together can be taken and put back, or be replaced by blank disks.
// Not modelled: blocks that rot, data blocks torn inside 4 KiB.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "mirror-driver/engine/metadata.h"
#include "tests/sim/random.h"

namespace kagami::sim {

using Content = uint64_t;
using Contents = std::vector<Content>;  // of an extent, block by block
using MetadataBlock = std::array<uint8_t, mirror::kMetadataBlockBytes>;

class DataDisk {
 public:
    explicit DataDisk(uint64_t blocks) : seen_(blocks), durable_(blocks) {}

    uint64_t blocks() const { return seen_.size(); }
    Content seen(uint64_t block) const { return seen_[block]; }
    Content durable(uint64_t block) const { return durable_[block]; }
    void write(uint64_t block, Content content);
    uint64_t mark() const { return written_; }  // of a flush that begins now ...
    void flushed(uint64_t mark);                // ... and has ended
    void lose_power(Random& random);

 private:
    struct Unsynced {
        uint64_t order = 0;
        uint64_t block = 0;
        Content content = 0;
    };
    Contents seen_;
    Contents durable_;
    std::deque<Unsynced> unsynced_;
    uint64_t written_ = 0;
};

class MetadataDisk {
 public:
    bool read(uint64_t offset, MetadataBlock& into) const;
    bool blank() const { return blocks_.empty(); }
    void write_now(const std::vector<mirror::BlockWrite>& writes);
    // One batch at a time: begin, then either end or a crash.
    void begin(const std::vector<mirror::BlockWrite>& writes) { under_way_ = writes; }
    void end();
    void crash(Random& random, bool power);
    mirror::BlockReader reader() const;

 private:
    void keep(const mirror::BlockWrite& write);

    std::map<uint64_t, std::shared_ptr<const MetadataBlock>> blocks_;
    std::vector<mirror::BlockWrite> under_way_;
};

}  // namespace kagami::sim
