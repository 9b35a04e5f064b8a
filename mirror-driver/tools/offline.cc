#include "mirror-driver/tools/offline.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

// Behind sys/ioctl.h: both know the numbers.
#include <linux/fs.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/files.h"
#include "mirror-driver/engine/signature.h"
#include "mirror-driver/io/block_device.h"
#include "mirror-driver/io/new_metadata.h"

namespace kagami::mirror {
namespace {

constexpr uint64_t kWipedAtStart = uint64_t{4} << 20U;
constexpr uint64_t kWipedAtEnd = uint64_t{1} << 20U;

Result<uint64_t> size_of(int fd, const std::string& path) {
    struct stat found{};
    uint64_t bytes = 0;
    if (fstat(fd, &found) != 0) return fail("metadata device " + path + ": " + errno_text(errno));
    if (S_ISREG(found.st_mode)) return static_cast<uint64_t>(found.st_size);
    if (S_ISBLK(found.st_mode) && ioctl(fd, BLKGETSIZE64, &bytes) == 0) return bytes;
    return fail(ErrorCode::kRefused, "metadata device " + path + " is neither a block device nor a regular file",
                "correct the configuration");
}

// Past the page cache where that is possible: the driver writes past it as well.
UniqueFd open_to_look(const std::string& path) {
    UniqueFd direct(::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
    if (direct.valid() || errno != EINVAL) return direct;
    return UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

BlockReader reader_of(int fd) {
    return [fd](uint64_t offset, std::array<uint8_t, kMetadataBlockBytes>& bytes) {
        alignas(kMetadataBlockBytes) static thread_local uint8_t block[kMetadataBlockBytes];
        if (pread(fd, block, sizeof(block), static_cast<off_t>(offset)) != static_cast<ssize_t>(sizeof(block))) return false;
        std::memcpy(bytes.data(), block, sizeof(block));
        return true;
    };
}

Status check_metadata(const InitOrder& order, const BlockDevice& metadata, const Identified& found) {
    if (found.kind == MetadataKind::kForeign)
        return tl::unexpected(holds_something_else(metadata, found, order.metadata));
    if (found.kind != MetadataKind::kBlank && !order.replace) {
        return fail(ErrorCode::kRefused, metadata.subject() + " holds " + overwritten_by(order, found),
                    "when they are of no use any more: kagami mirror init " + order.name +
                        " makes new ones, after which everything is copied");
    }
    return {};
}

Status check_data(const InitOrder& order, const BlockDevice& data, const Identified& metadata) {
    if (identify(data.reader(), data.size_bytes()).kind == MetadataKind::kOurs) {
        return fail(ErrorCode::kRefused, data.subject() + " carries the metadata of a mirror",
                    "data and metadata may be swapped in the configuration: correct it");
    }
    // Damaged metadata on the configured device count as this mirror's: a disk that was repaired.
    const bool ours = metadata.kind == MetadataKind::kOurs && metadata.cluster == order.cluster &&
                      metadata.mirror == order.mirror;
    if (order.on_data != InitData::kBlank || ours || metadata.kind == MetadataKind::kDamaged) return {};
    const std::string found = content_of(data.reader(), data.size_bytes());
    if (found.empty()) return {};
    return fail(ErrorCode::kRefused, data.subject() + " holds " + found,
                "to mirror these data: --use-data; to give them up: --wipe");
}

Status wipe(const BlockDevice& data) {
    std::vector<BlockWrite> blocks;
    blocks.reserve((kWipedAtStart + kWipedAtEnd) / kMetadataBlockBytes);
    const auto add = [&](uint64_t from, uint64_t to) {
        for (uint64_t at = from; at < to; at += kMetadataBlockBytes) blocks.push_back({at, {}});
    };
    const uint64_t start = std::min(kWipedAtStart, data.size_bytes());
    add(0, start);
    add(std::max(start, data.size_bytes() - std::min(kWipedAtEnd, data.size_bytes())), data.size_bytes());
    return data.write_blocks(blocks);
}

// The devices are the driver's while it runs the mirror.
Error with_driver_hint(Error error, const std::string& name) {
    error.remedy += (error.remedy.empty() ? "" : "; ") + std::string("when it is the mirror driver that uses it, mirror ") + name +
                    " is attached and needs no new metadata";
    return error;
}

}  // namespace

Result<Inspection> inspect(const std::string& metadata_path) {
    const UniqueFd file = open_to_look(metadata_path);
    if (!file.valid()) {
        return fail(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kFailed,
                    "metadata device " + metadata_path + ": " + errno_text(errno), errno_remedy(errno, metadata_path));
    }
    const auto bytes = size_of(file.get(), metadata_path);
    if (!bytes) return tl::unexpected(bytes.error());
    Inspection seen;
    seen.device_bytes = *bytes;
    seen.identified = identify(reader_of(file.get()), *bytes);
    auto loaded = Metadata::load(reader_of(file.get()), *bytes);
    if (loaded) {
        seen.loaded = std::move(*loaded);
    } else {
        seen.error = loaded.error();
    }
    return seen;
}

std::string overwritten_by(const InitOrder& order, const Identified& found) {
    switch (found.kind) {
        case MetadataKind::kBlank: return {};
        case MetadataKind::kForeign: return found.what;
        case MetadataKind::kDamaged: return "metadata that cannot be used (" + found.what + ")";
        case MetadataKind::kOurs: break;
    }
    const std::string mirror = kagami::to_string(found.mirror);
    if (found.cluster != order.cluster)
        return "the metadata of mirror " + mirror + " of another cluster (" + kagami::to_string(found.cluster) + ")";
    if (found.mirror != order.mirror) return "the metadata of another mirror (" + mirror + ") of this cluster";
    if (found.self != order.self)
        return "the metadata of the copy of mirror " + order.name + " on " + kagami::to_string(found.self);
    return "the metadata of this copy of mirror " + order.name;
}

Result<std::string> initialise(const InitOrder& order) {
    if (auto distinct = check_distinct(order.data, order.metadata); !distinct) return tl::unexpected(distinct.error());
    const auto data = BlockDevice::open(order.data, DeviceUse::kData);
    if (!data) return tl::unexpected(with_driver_hint(data.error(), order.name));
    const auto metadata = BlockDevice::open(order.metadata, DeviceUse::kMetadata);
    if (!metadata) return tl::unexpected(with_driver_hint(metadata.error(), order.name));
    if (auto room = check_room(*data, *metadata); !room) return tl::unexpected(room.error());
    const Identified found = identify(metadata->reader(), metadata->size_bytes());
    if (auto usable = check_metadata(order, *metadata, found); !usable) return tl::unexpected(usable.error());
    if (auto usable = check_data(order, *data, found); !usable) return tl::unexpected(usable.error());
    const bool wiped = order.on_data == InitData::kWipe;
    if (wiped) {
        if (auto done = wipe(*data); !done) return tl::unexpected(done.error());
    }
    const NewReplica replica{order.cluster, order.mirror, order.self, order.peer};
    if (auto written = write_new_metadata(replica, *data, *metadata); !written) return tl::unexpected(written.error());
    return metadata->subject() + " has new metadata of mirror " + order.name + (wiped ? "; " + data->subject() + " was wiped" : "") + ".";
}

}  // namespace kagami::mirror
