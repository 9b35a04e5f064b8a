// The beginning of a replica's metadata: by the driver on a blank device, by a person's `mirror init` on any. Whether
// that may be done is the caller's to decide. Blocking.
#pragma once

#include "mirror-driver/io/block_device.h"

namespace kagami::mirror {

struct NewReplica {
    Uuid cluster{};
    Uuid mirror{};
    NodeId self;
    NodeId peer;
};

// Is there room for the metadata of such a data device?
Status check_room(const BlockDevice& data, const BlockDevice& metadata);
// Of a metadata device, at `path`, that holds something else (MetadataKind::kForeign).
Error holds_something_else(const BlockDevice& metadata, const Identified& found, const std::string& path);
// Durable when it returns; after a failure the device is blank or damaged, never half a replica's.
Status write_new_metadata(const NewReplica& replica, const BlockDevice& data, const BlockDevice& metadata);

}  // namespace kagami::mirror
