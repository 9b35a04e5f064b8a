// 100 groups on 16 nodes: a call of plan() stays far below what a failover could notice.
#include <chrono>
#include <cstdio>

#include "tests/unit/policy/scene.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

constexpr int kNodes = 16;
constexpr int kGroups = 100;

std::vector<std::string> names() {
    std::vector<std::string> found;
    for (int i = 0; i < kGroups; ++i) found.push_back("group-" + std::to_string(i));
    return found;
}

// Every rule at once.
Scene large() {
    Scene s(kNodes, names(), false);
    s.config.minimum_memory_mib = 100;
    for (int i = 0; i < kNodes; ++i) s.add_monitor("monitor-" + std::to_string(i));
    for (const config::Node& node : s.config.nodes) {
        s.memory[node.id] = 1000;
        for (int i = 0; i < kNodes; ++i)
            s.monitor_state(node.id, "monitor-" + std::to_string(i), MonitorState::kNormal);
    }
    for (int i = 0; i < kGroups; ++i) {
        config::Group& group = s.config.groups[static_cast<size_t>(i)];
        std::rotate(group.nodes.begin(), group.nodes.begin() + i % kNodes, group.nodes.end());
        group.failover = config::FailoverAttribute::kDynamic;
        group.smart_failover = group.failback = true;
        if (i % 10 != 0)
            s.config.exclusive_rules.push_back({"rule", false, {group.name, "group-" + std::to_string(i - 1)}});
        if (i % 10 != 0) group.start_wait.groups = {"group-" + std::to_string(i - i % 10)};
        for (const config::Node& node : s.config.nodes) s.report_state(node.id, GroupState::kStopped, group.name);
    }
    return s;
}

double milliseconds_of(const std::function<void()>& work) {
    double best = 1e9;  // of several: this machine does other things, too
    for (int i = 0; i < 5; ++i) {
        const auto from = std::chrono::steady_clock::now();
        work();
        best =
            std::min(best, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - from).count());
    }
    return best;
}

}  // namespace

TEST_CASE("100 groups on 16 nodes are planned in well under 10 ms a call") {
    Scene s = large();
    const PolicyInput cold = s.input();
    const double start = milliseconds_of([&] { (void)Policy().plan(cold); });
    for (int i = 0; i < kGroups; ++i)
        s.run_on(NodeId{static_cast<uint16_t>(1 + i % kNodes)}, "group-" + std::to_string(i));
    s.settle();
    const PolicyInput calm = s.input();
    const double idle = milliseconds_of([&] { (void)Policy().plan(calm); });
    for (int i = 0; i < kGroups; ++i) {
        const std::string name = "group-" + std::to_string(i);
        s.report_state(s.owner(name), GroupState::kStopped, name);
        s.run_on(n3, name);
    }
    s.lose(n3);
    const PolicyInput lost = s.input();
    size_t moved = 0;
    const double loss = milliseconds_of([&] {
        const PolicyOutput out = Policy().plan(lost);
        moved = 0;
        for (const auto& [name, entry] : out.next->groups) moved += entry.owner->node != n3 ? 1 : 0;
    });
    std::printf("plan of 100 groups x 16 nodes: cold start %.2f ms, calm %.2f ms, node lost %.2f ms\n", start, idle,
                loss);
    CHECK(moved >= 10);  // the others wait for these
    CHECK(start < 10);
    CHECK(idle < 10);
    CHECK(loss < 10);
}
