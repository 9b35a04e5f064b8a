// The canonical bytes of common/mirror.h, for documents and messages that hold such values.
#pragma once

#include "common/coder.h"
#include "common/mirror.h"

namespace kagami::mirror {

constexpr uint32_t kMaxReplicas = 64;

template <typename C, Is<Generation> V>
void fields(C& c, V& v) {
    c(v.counter, v.random);
}
template <typename C, Is<RecordReplica> V>
void fields(C& c, V& v) {
    c(v.nonce, v.next_nonce);
    c.choice(v.standing, Standing::kSuspect);
}
template <typename C, Is<Record> V>
void fields(C& c, V& v) {
    c(v.uuid, v.generation);
    c.map(v.replicas, kMaxReplicas);
    c.choice(v.hold, Hold::kBroken);
}
template <typename C, Is<Wish> V>
void fields(C& c, V& v) {
    c.choice(v.kind, WishKind::kGiveUp);
    c(v.token, v.base, v.next, v.peer);
}
template <typename C, Is<Report> V>
void fields(C& c, V& v) {
    c(v.mirror);
    c.choice(v.role, Role::kPrimary);
    c.choice(v.disk, DiskState::kFailed);
    c.choice(v.mode, Mode::kHalted);
    c(v.token, v.nonce, v.next_nonce, v.generation, v.size_bytes, v.connected);
    c.choice(v.resync, Resync::kTarget);
    c(v.percent, v.dirty_bytes, v.wish);
    c.sentence(v.message);
}
template <typename C, Is<Authority> V>
void fields(C& c, V& v) {
    c(v.mirror, v.record, v.version, v.member, v.fresh, v.token, v.detect);
}

}  // namespace kagami::mirror
