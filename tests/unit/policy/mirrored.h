// A scene with a mirror, for the tests of its rules and of persons' orders about it.
#pragma once

#include "cluster-daemon/engine/placement.h"
#include "tests/unit/policy/scene.h"

namespace kagami::engine::test {

// Two nodes, group web with mirror md1: constructed, both copies current, running on node1.
struct Mirrored : Scene {
    Mirrored() {
        add_mirror();
        constructed();
        primary_on(n1);
        settle();
    }
    std::string obstacle(NodeId id) { return judge(input(), document, group(), id).obstacle; }
};

}  // namespace kagami::engine::test
