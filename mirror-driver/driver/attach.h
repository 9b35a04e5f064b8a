// From a mirror's configuration to an opened pair of devices with readable metadata: what is refused, and why
// (mirror.md 4, 5 rule 18). Nothing is written but the metadata of a blank metadata device, and that only once the
// register has named the mirror, and when the data device is blank (content_of): data that somebody may still need
// are taken over by a person's word (`kagami mirror init NAME --use-data`). Blocking; for the time before the mirror
// runs. A refusal may be repaired meanwhile: try again.
#pragma once

#include <optional>

#include "mirror-driver/io/block_device.h"
#include "mirror-driver/link/messages.h"

namespace kagami::mirror {

struct Attachment {
    BlockDevice data;
    BlockDevice metadata;
    Loaded loaded;
    bool created = false;  // the metadata are new
};

// `mirror`: what the register calls it; nothing = it has not said so yet.
Result<Attachment> attach(const mirror_link::MirrorConfig& config, const Uuid& cluster, NodeId self,
                          const std::optional<Uuid>& mirror);

}  // namespace kagami::mirror
