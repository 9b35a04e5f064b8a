#include "mirror-driver/io/metadata_device.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/assert.h"

namespace kagami::mirror {
namespace {

constexpr size_t kStagingBlocks = 128;
constexpr size_t kStagingBytes = kStagingBlocks * kMetadataBlockBytes;
constexpr size_t kUsualBlocks = 512;  // room for a batch; a larger one (a resync's end) lets it grow once

}  // namespace

MetadataDevice::MetadataDevice(const BlockDevice& device, const Loaded& loaded, const Bitmap& bitmap, Ring& ring,
                               Ring::Tag tag)
    : fd_(device.fd()), metadata_(loaded, device.size_bytes()), ring_(ring), tag_(tag) {
    void* at = mmap(nullptr, kStagingBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    KAGAMI_ASSERT(at != MAP_FAILED, "half a MiB at the start");
    staging_ = static_cast<uint8_t*>(at);
    mlock(at, kStagingBytes);
    blocks_.reserve(kUsualBlocks + std::min<size_t>(bitmap.pages(), kUsualBlocks));
}

MetadataDevice::~MetadataDevice() {
    munmap(staging_, kStagingBytes);
}

void MetadataDevice::begin(const MetadataBatch& batch, const Context& context, const Bitmap& bitmap) {
    KAGAMI_ASSERT(!busy_, "one batch at a time");
    metadata_.encode(batch, context, bitmap, blocks_);
    if (failed_) blocks_.clear();  // nothing may follow what nobody knows the end of
    busy_ = true;
    flushing_ = false;
    serial_ = batch.serial;
    next_ = 0;
    write_some();
}

// As much as fits into the staging area; neighbours on the device go in one request. A batch of one block is written
// through at once, which saves the flush.
void MetadataDevice::write_some() {
    const size_t count = std::min(blocks_.size() - next_, kStagingBlocks);
    const bool durable = blocks_.size() == 1;
    flushing_ = durable;
    for (size_t i = 0; i < count;) {
        const uint64_t offset = blocks_[next_ + i].offset;
        uint8_t* const from = staging_ + i * kMetadataBlockBytes;
        size_t length = 0;
        for (; i < count && blocks_[next_ + i].offset == offset + length; ++i, length += kMetadataBlockBytes) {
            std::memcpy(from + length, blocks_[next_ + i].bytes.data(), kMetadataBlockBytes);
        }
        ++under_way_;
        ring_.write(fd_, {from, length}, offset, durable, tag_);
    }
    next_ += count;
    if (count != 0) return;
    flushing_ = true;
    ++under_way_;
    ring_.flush(fd_, tag_);
}

std::optional<MetadataDone> MetadataDevice::finished(int error) {
    KAGAMI_ASSERT(busy_ && under_way_ > 0, "only what was begun");
    failed_ |= error != 0;
    if (--under_way_ > 0) return std::nullopt;
    if (!failed_ && !flushing_) {
        write_some();  // the rest, or the flush
        return std::nullopt;
    }
    busy_ = false;
    return MetadataDone{serial_, !failed_};
}

}  // namespace kagami::mirror
