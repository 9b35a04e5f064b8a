// A person's work on the devices of a replica, without its driver: look at the metadata, make them anew.
//
// Looking opens read-only and disturbs nobody: the driver may be writing meanwhile, then what is seen is what a crash at
// that moment would have left. Making anew needs both devices for itself, so it is refused while the driver has them.
// What it destroys: the knowledge which blocks differ from the other copy. So a full copy follows, from the other copy or,
// by a person's `mirror force`, to it. The data themselves are touched by InitData::kWipe alone.
// Blocking.
#pragma once

#include <optional>

#include "mirror-driver/engine/metadata.h"

namespace kagami::mirror {

struct Inspection {
    uint64_t device_bytes = 0;
    Identified identified;
    std::optional<Loaded> loaded;
    Error error;  // why it could not be loaded
};
Result<Inspection> inspect(const std::string& metadata_path);

enum class InitData : uint8_t {
    kBlank,  // the data device must be blank (signature.h, content_of), unless metadata of this mirror were there
    kUse,    // what is on it shall be mirrored
    kWipe,   // what is on it is given up: the beginning and the end are overwritten
};
struct InitOrder {
    std::string name;
    Uuid cluster{};
    Uuid mirror{};
    NodeId self;
    NodeId peer;
    std::string data;
    std::string metadata;
    InitData on_data = InitData::kBlank;
    bool replace = true;  // false: the metadata device must be blank
};
// What the order would overwrite: "the metadata of another mirror (…) of this cluster"; empty when there is nothing.
std::string overwritten_by(const InitOrder& order, const Identified& found);
// What was done, in a sentence.
Result<std::string> initialise(const InitOrder& order);

}  // namespace kagami::mirror
