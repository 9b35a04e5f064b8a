#include "mirror-driver/io/new_metadata.h"

namespace kagami::mirror {

Status check_room(const BlockDevice& data, const BlockDevice& metadata) {
    const uint64_t needed = metadata_bytes_for(data.size_bytes());
    if (metadata.size_bytes() >= needed) return {};
    return fail(ErrorCode::kRefused,
                metadata.subject() + " has " + std::to_string(metadata.size_bytes()) + " bytes: too small for " +
                    data.subject(),
                "give it at least " + std::to_string((needed + (1U << 20U) - 1) >> 20U) + " MiB");
}

Error holds_something_else(const BlockDevice& metadata, const Identified& found, const std::string& path) {
    return {ErrorCode::kRefused, metadata.subject() + " holds " + found.what,
            "configure another device, or give its content up: wipefs --all " + path};
}

Status write_new_metadata(const NewReplica& replica, const BlockDevice& data, const BlockDevice& metadata) {
    Context context;
    context.cluster = replica.cluster;
    context.mirror = replica.mirror;
    context.self = replica.self;
    context.peer = replica.peer;
    context.size_bytes = data.size_bytes();
    context.device_identity = data.identity();
    for (const auto& batch : Metadata::create(context, metadata.size_bytes())) {
        if (auto written = metadata.write_blocks(batch); !written) return written;
    }
    return {};
}

}  // namespace kagami::mirror
