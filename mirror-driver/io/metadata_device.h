// Writes the engine's metadata batches: all blocks of a batch with O_DIRECT from one aligned, locked place, then a
// flush, then it is done. One batch at a time; a failure anywhere fails the batch, and the device takes no further one
// (the replica stops being primary, engine/mirror.h). Allocates in the constructor only. Leaves to others: what stands
// in the blocks (engine/metadata.h).
#pragma once

#include <optional>
#include <vector>

#include "mirror-driver/engine/mirror.h"
#include "mirror-driver/io/block_device.h"
#include "mirror-driver/io/buffers.h"
#include "mirror-driver/io/ring.h"

namespace kagami::mirror {

class MetadataDevice {
 public:
    // Everything it asks of the ring carries `tag`.
    MetadataDevice(const BlockDevice& device, const Loaded& loaded, const Bitmap& bitmap, Ring& ring, Ring::Tag tag);
    ~MetadataDevice();
    MetadataDevice(const MetadataDevice&) = delete;
    MetadataDevice& operator=(const MetadataDevice&) = delete;

    void begin(const MetadataBatch& batch, const Context& context, const Bitmap& bitmap);
    // A request of ours has finished. Says so when that was the last of the batch.
    std::optional<MetadataDone> finished(int error);
    bool busy() const { return busy_; }

 private:
    void write_some();
    int fd_;
    Metadata metadata_;
    Ring& ring_;
    Ring::Tag tag_;
    uint8_t* staging_;
    std::vector<BlockWrite> blocks_;
    size_t next_ = 0;  // block of the batch that was not yet handed to the ring
    uint32_t under_way_ = 0;
    uint64_t serial_ = 0;
    bool busy_ = false;
    bool flushing_ = false;
    bool failed_ = false;
};

}  // namespace kagami::mirror
