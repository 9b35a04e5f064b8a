#include "mirror-driver/driver/attach.h"

#include "mirror-driver/engine/signature.h"
#include "mirror-driver/io/new_metadata.h"

namespace kagami::mirror {
namespace {

using mirror_link::MirrorConfig;

std::string init_command(const MirrorConfig& config) {
    return "kagami mirror init " + config.name;
}

Status check_not_swapped(const MirrorConfig& config, const BlockDevice& data) {
    const Identified on_data = identify(data.reader(), data.size_bytes());
    if (on_data.kind != MetadataKind::kOurs) return {};
    return fail(
        ErrorCode::kRefused,
        data.subject() + " carries the metadata of a mirror: are data and metadata of " + config.name + " swapped?",
        "correct the configuration; if that metadata is of no use any more, overwrite its first 2 MiB: "
        "dd if=/dev/zero of=" + config.data + " bs=1M count=2");
}

Status create_metadata(const MirrorConfig& config, const NewReplica& replica, const BlockDevice& data,
                       const BlockDevice& metadata) {
    if (const std::string found = content_of(data.reader(), data.size_bytes()); !found.empty()) {
        return fail(ErrorCode::kRefused,
                    data.subject() + " holds " + found + ", and mirror " + config.name + " was never initialised",
                    "to mirror these data: " + init_command(config) + " --use-data; to give them up: " +
                        init_command(config) + " --wipe (wipefs alone leaves data of an unknown kind)");
    }
    return write_new_metadata(replica, data, metadata);
}

Status check_identified(const MirrorConfig& config, const Uuid& cluster, NodeId self, const std::optional<Uuid>& mirror,
                        const BlockDevice& metadata, const Identified& found) {
    const std::string remedy = "configure the device that belongs to it, or give this one up: " + init_command(config);
    if (found.kind == MetadataKind::kForeign)
        return tl::unexpected(holds_something_else(metadata, found, config.metadata));
    if (found.kind == MetadataKind::kDamaged) {
        return fail(ErrorCode::kRefused, metadata.subject() + ": its metadata cannot be used: " + found.what,
                    "repair or replace the device; then " + init_command(config) +
                        " makes new metadata, and a full copy follows");
    }
    if (found.cluster != cluster) {
        return fail(ErrorCode::kRefused,
                    metadata.subject() + " belongs to another cluster (" + kagami::to_string(found.cluster) + ")",
                    remedy);
    }
    if (mirror && found.mirror != *mirror) {
        return fail(ErrorCode::kRefused,
                    metadata.subject() + " belongs to another mirror (" + kagami::to_string(found.mirror) +
                        "), not to " + config.name,
                    remedy);
    }
    if (found.self != self) {
        return fail(ErrorCode::kRefused,
                    metadata.subject() + " is the copy of " + kagami::to_string(found.self) + ", not of this node",
                    remedy);
    }
    return {};
}

Status check_context(const MirrorConfig& config, const Context& context, const BlockDevice& data) {
    const std::string remedy =
        "configure the device that it was made with, or make the pair anew: " + init_command(config);
    if (context.flags.failed)
        return fail(ErrorCode::kFailed, data.subject() + " has failed", "repair or replace it; then " + init_command(config));
    if (context.peer != config.peer) {
        return fail(ErrorCode::kRefused,
                    "mirror " + config.name + " was made with " + kagami::to_string(context.peer) +
                        " as its peer, not " + config.peer_name,
                    remedy);
    }
    if (context.size_bytes != data.size_bytes()) {
        return fail(ErrorCode::kRefused,
                    data.subject() + " has " + std::to_string(data.size_bytes()) + " bytes, but had " +
                        std::to_string(context.size_bytes) + " when mirror " + config.name + " was made",
                    remedy);
    }
    if (!same_device(context.device_identity, data.identity())) {
        return fail(ErrorCode::kRefused,
                    data.subject() + " is another device (" + data.identity() + ") than mirror " + config.name +
                        " was made with (" + context.device_identity + ")",
                    "configure the device that it was made with; if this is the same disk (its name or number changed, "
                    "or its file was restored) and the other node's copy is up to date (kagami mirror status): " +
                        init_command(config) + " makes new metadata, and a full copy from the other node follows");
    }
    return {};
}

}  // namespace

Result<Attachment> attach(const MirrorConfig& config, const Uuid& cluster, NodeId self,
                          const std::optional<Uuid>& mirror) {
    if (auto distinct = check_distinct(config.data, config.metadata); !distinct)
        return tl::unexpected(distinct.error());
    auto data = BlockDevice::open(config.data, DeviceUse::kData);
    if (!data) return tl::unexpected(data.error());
    auto metadata = BlockDevice::open(config.metadata, DeviceUse::kMetadata);
    if (!metadata) return tl::unexpected(metadata.error());
    if (auto swapped = check_not_swapped(config, *data); !swapped) return tl::unexpected(swapped.error());
    const Identified found = identify(metadata->reader(), metadata->size_bytes());
    const bool blank = found.kind == MetadataKind::kBlank;
    if (auto room = check_room(*data, *metadata); !room) return tl::unexpected(room.error());
    if (blank && !mirror) {
        return fail(ErrorCode::kRefused,
                    metadata->subject() + " is blank, and the cluster has not named mirror " + config.name + " yet",
                    "wait until the cluster has a leader");
    }
    auto usable = blank ? create_metadata(config, {cluster, *mirror, self, config.peer}, *data, *metadata)
                        : check_identified(config, cluster, self, mirror, *metadata, found);
    if (!usable) return tl::unexpected(usable.error());
    auto loaded = Metadata::load(metadata->reader(), metadata->size_bytes());
    if (!loaded)
        return tl::unexpected(
            Error{loaded.error().code, metadata->subject() + ": " + loaded.error().message, loaded.error().remedy});
    if (auto context = check_context(config, loaded->context, *data); !context) return tl::unexpected(context.error());
    return Attachment{std::move(*data), std::move(*metadata), std::move(*loaded), blank};
}

}  // namespace kagami::mirror
