// Beginnings that many cases share.
#pragma once

#include <catch2/catch.hpp>

#include "tests/unit/mirror_engine/world.h"

namespace kagami::mirror::test {

// Node 1 is primary, both copies are current and connected.
inline void bring_up(World& world) {
    REQUIRE(world.give_group(0));
    REQUIRE(world.reach([&] { return world.healthy(); }));
    REQUIRE(world.mode(0) == Mode::kConnected);
}

// Node 1 goes on alone; node 2 is stale and away.
inline void go_solo(World& world) {
    world.links = false;
    world.cut();
    REQUIRE(world.reach([&] { return world.mode(0) == Mode::kSolo; }));
}

inline void write_and_settle(World& world, size_t node, uint64_t block, uint64_t blocks = 1) {
    const uint64_t id = world.write(node, block, blocks);
    world.settle();
    REQUIRE(world.done(node, id));
    REQUIRE(world.result(node, id) == 0);
}

inline bool dirty(const World& world, size_t node, uint64_t block) {
    return world.nodes[node].engine->bitmap().any({block * kBlockBytes, kBlockBytes});
}
inline bool durably_dirty(const World& world, size_t node, uint64_t block) {
    return world.nodes[node].metadata.bitmap.any({block * kBlockBytes, kBlockBytes});
}
inline Standing standing(const World& world, size_t node) {
    return world.reg.record.standing(world.nodes[node].id);
}

// Delivers what lies between a write and the peer's disk, and nothing back.
inline void carry_to_peer(World& world, size_t from) {
    while (world.finish_metadata(from)) {
    }
    while (world.finish_io(from)) {
    }
    while (world.deliver(from, Channel::kBulk)) {
    }
    while (world.finish_io(1 - from)) {
    }
}

}  // namespace kagami::mirror::test
