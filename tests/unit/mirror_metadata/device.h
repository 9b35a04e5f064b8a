// A metadata device in memory: what was never written reads as zeroes.
#pragma once

#include <cstring>
#include <map>
#include <set>

#include "mirror-driver/engine/metadata.h"

namespace kagami::mirror::test {

using Block = std::array<uint8_t, kMetadataBlockBytes>;
constexpr uint64_t kDisk = uint64_t{300} << 20U;  // three pages of the bitmap, 75 extents
constexpr uint64_t kDevice = kMinMetadataBytes;

struct Device {
    std::map<uint64_t, Block> blocks;
    std::set<uint64_t> unreadable;

    void write(const BlockWrite& write) { blocks[write.offset] = write.bytes; }
    void write(const std::vector<BlockWrite>& batch) {
        for (const BlockWrite& each : batch) write(each);
    }
    BlockReader reader() const {
        return [this](uint64_t offset, Block& bytes) {
            if (unreadable.contains(offset)) return false;
            const auto at = blocks.find(offset);
            bytes = at == blocks.end() ? Block{} : at->second;
            return true;
        };
    }
    Result<Loaded> load(uint64_t device_bytes = kDevice) const { return Metadata::load(reader(), device_bytes); }
    Identified identify(uint64_t device_bytes = kDevice) const { return mirror::identify(reader(), device_bytes); }
};

inline Uuid uuid_of(uint8_t n) {
    Uuid uuid{};
    for (size_t i = 0; i < uuid.size(); ++i) uuid[i] = static_cast<uint8_t>(n + i);
    return uuid;
}

inline Context sample_context(uint32_t hot_extents = 100) {
    Context context;
    context.cluster = uuid_of(1);
    context.mirror = uuid_of(2);
    context.self = NodeId{1};
    context.peer = NodeId{2};
    context.size_bytes = kDisk;
    context.device_identity = "partuuid=0f0f0f0f-01";
    context.hot_extents = hot_extents;
    return context;
}

// Every state field with a value of its own.
inline Context full_context(uint32_t hot_extents = 100) {
    Context context = sample_context(hot_extents);
    context.nonce = Nonce{0x1122334455667788};
    context.next_nonce = Nonce{~uint64_t{0}};
    context.attached_in = uuid_of(9);
    context.current = {7, uuid_of(10)};
    context.base = {6, uuid_of(11)};
    context.aim = {8, uuid_of(12)};
    for (uint8_t i = 0; i < 8; ++i) {
        context.history[i] = {{uint64_t{5} - i % 5U, uuid_of(static_cast<uint8_t>(20 + i))}, static_cast<Cause>(i % 6)};
    }
    context.peer_last = {4, uuid_of(13)};
    context.highest_token = {Epoch::make(3, NodeId{2}), 99};
    context.flags.constructed = context.flags.inconsistent = context.flags.outdated = true;
    return context;
}

inline Device made(const Context& context) {
    Device device;
    for (const auto& batch : Metadata::create(context, kDevice)) device.write(batch);
    return device;
}

}  // namespace kagami::mirror::test
