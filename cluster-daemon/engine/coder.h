// Limits and small values shared by the fields() of document.cc, messages.cc and io.cc.
#pragma once

#include "cluster-daemon/engine/document.h"
#include "common/coder.h"
#include "common/mirror_coder.h"

namespace kagami::engine {

constexpr uint32_t kMaxNodes = 64;  // nodes and the witness, with room
constexpr uint32_t kMaxGroups = 256;
constexpr uint32_t kMaxResources = 256;  // of one group
constexpr uint32_t kMaxMonitors = 1024;
constexpr uint32_t kMaxMirrors = 64;
constexpr size_t kMaxReplyBytes = 8192;  // a dry run names everything that would follow
constexpr uint32_t kMaxPaths = 1024;  // of one node

template <typename C, Is<VoterId> V>
void fields(C& c, V& v) {
    c(v.node, v.generation);
}

}  // namespace kagami::engine
