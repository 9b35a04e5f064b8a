// What lies on a device, by the marks that file systems, partition tables and volume managers leave: so that nobody's
// data are overwritten by mistake. Used for metadata devices and, before the first construction, for data devices.
#pragma once

#include <cstdint>
#include <string>

#include "mirror-driver/engine/metadata.h"

namespace kagami::mirror {

// "an ext4 file system", "a GPT partition table", "metadata of a mirror", ...; empty = nothing that we know. Where the
// marks cannot be read the answer is a sentence that says so, never empty.
std::string recognise(const BlockReader& read);

// The same, and "data of an unknown kind (...)" where anything but zeroes lies in the first MiB or the last 64 KiB: empty =
// nothing that anybody could miss.
std::string content_of(const BlockReader& read, uint64_t size_bytes);

}  // namespace kagami::mirror
