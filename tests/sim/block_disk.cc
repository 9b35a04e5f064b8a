#include "tests/sim/block_disk.h"

#include <algorithm>

namespace kagami::sim {

void DataDisk::write(uint64_t block, Content content) {
    seen_[block] = content;
    unsynced_.push_back({++written_, block, content});
}

void DataDisk::flushed(uint64_t mark) {
    while (!unsynced_.empty() && unsynced_.front().order <= mark) {
        durable_[unsynced_.front().block] = unsynced_.front().content;
        unsynced_.pop_front();
    }
}

void DataDisk::lose_power(Random& random) {
    for (const Unsynced& write : unsynced_) {
        if (random.chance(0.5)) durable_[write.block] = write.content;
        seen_[write.block] = durable_[write.block];
    }
    for (const Unsynced& write : unsynced_) seen_[write.block] = durable_[write.block];
    unsynced_.clear();
}

bool MetadataDisk::read(uint64_t offset, MetadataBlock& into) const {
    const auto at = blocks_.find(offset);
    if (at == blocks_.end()) {
        into.fill(0);
    } else {
        into = *at->second;
    }
    return true;
}

mirror::BlockReader MetadataDisk::reader() const {
    return [this](uint64_t offset, MetadataBlock& into) { return read(offset, into); };
}

void MetadataDisk::keep(const mirror::BlockWrite& write) {
    blocks_[write.offset] = std::make_shared<const MetadataBlock>(write.bytes);
}

void MetadataDisk::write_now(const std::vector<mirror::BlockWrite>& writes) {
    for (const mirror::BlockWrite& write : writes) keep(write);
}

void MetadataDisk::end() {
    write_now(under_way_);
    under_way_.clear();
}

void MetadataDisk::crash(Random& random, bool power) {
    const size_t torn = power && random.chance(0.5) ? random.below(under_way_.size()) : under_way_.size();
    for (size_t i = 0; i < under_way_.size(); ++i) {
        mirror::BlockWrite& write = under_way_[i];
        if (i != torn && random.chance(0.5)) continue;
        if (i == torn) {  // whole sectors of 512 bytes, in any subset
            MetadataBlock before;
            read(write.offset, before);
            for (size_t sector = 0; sector < write.bytes.size(); sector += 512) {
                if (random.chance(0.5)) continue;
                std::copy_n(before.begin() + static_cast<std::ptrdiff_t>(sector), 512,
                            write.bytes.begin() + static_cast<std::ptrdiff_t>(sector));
            }
        }
        keep(write);
    }
    under_way_.clear();
}

}  // namespace kagami::sim
