// md: a disk that two nodes hold alike, with the file system on it (docs/mirror.md).
//
// Activation: promote the node's copy (the register decides whether it may be), then, unless it is used raw: make the
// file system if the disk is blank, check it, mount it. Deactivation: unmount (ending who keeps it busy), demote. All of
// it may be done again, and goes on with what an earlier daemon left: what is mounted from the mirror's device is ours.
// Nothing is ever written over data that are recognised. Programs run in the resource's cgroup.
//
// Probe: active = promoted and mounted (raw: promoted); partial = one of the two; inactive = neither.
// Left to others: who may promote (protocol.md 9), I/O errors and resyncs (monitor mdw), the kill at the end of a lease
// (guard).
#pragma once

#include <memory>

#include "resources/resource.h"

namespace kagami::resources {

const config::TypeDescription& mirror_disk_description();
std::unique_ptr<Resource> make_mirror_disk(host::Host& host);

}  // namespace kagami::resources
