// A data or metadata device of a mirror: a block device, or a regular file of fixed size, opened for direct I/O and
// held exclusively for as long as this object lives, on the standby too: nobody can mount it meanwhile (mirror.md 5,
// rule 18). Refused here, with the device and the remedy in the message: missing, of another kind, read-only, mounted,
// used by something else, attached to a loop device, of a size that is no multiple of 4096, without direct I/O. Leaves
// to others: what lies on it (attach.h).
#pragma once

#include <string>

#include "common/files.h"
#include "common/result.h"
#include "mirror-driver/engine/metadata.h"

namespace kagami::mirror {

enum class DeviceUse : uint8_t { kData, kMetadata };

class BlockDevice {
 public:
    static Result<BlockDevice> open(const std::string& path, DeviceUse use);
    int fd() const { return fd_.get(); }
    uint64_t size_bytes() const { return size_bytes_; }
    // What stays over reboots, at most 191 bytes: "partuuid=…" and one of "dm=…", "md=…", "wwid=…", "serial=…", those
    // that are known, with ';' between; "file=INODE+BYTES"; "unidentified" (loop devices, disks that say nothing).
    const std::string& identity() const { return identity_; }
    const std::string& subject() const { return subject_; }  // "data device /dev/sdb1"
    // Blocking, for the time before the mirror runs.
    BlockReader reader() const;
    Status write_blocks(const std::vector<BlockWrite>& blocks) const;  // durable when it returns

 private:
    UniqueFd fd_;
    uint64_t size_bytes_ = 0;
    std::string identity_;
    std::string subject_;
};

// Whether two identities can be of one device: one part is the same, or one of them says nothing. Then only the size
// and our nonces tell disks apart.
bool same_device(const std::string& made_with, const std::string& found);

// Refuses one device in both places, also under two names. To be asked before either is opened.
Status check_distinct(const std::string& data, const std::string& metadata);

}  // namespace kagami::mirror
