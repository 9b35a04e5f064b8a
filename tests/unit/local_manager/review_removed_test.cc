// Groups that come and go with configurations: what a node remembers of them has a bound, because its report and its
// store have one.
#include "cluster-daemon/engine/coder.h"
#include "tests/unit/local_manager/bench.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

TEST_CASE("groups that were removed are forgotten before they fill the report; what runs or is configured is not") {
    Bench b;
    b.resource("app");
    b.run();
    const Token token = b.document.groups["web"].token;
    for (uint32_t i = 0; i < 2 * kMaxGroups; ++i) {
        StopGroup order;
        order.group = "old" + std::to_string(i);
        order.token = token;
        b.manager.on_stop(order, b.input());
        ++b.document.config.hash[0];  // another configuration
        if (i % 2 == 0) ++b.document.config.hash[1];
        b.advance();
    }
    CHECK(b.manager.groups().size() <= kMaxGroups / 2 + 1);
    CHECK(b.manager.report().groups.size() <= kMaxGroups / 2 + 1);
    CHECK(b.manager.groups().at("web").max_token == token);
    CHECK(b.state() == GroupState::kActive);
}

TEST_CASE("a group that still runs here is remembered although the configuration knows it no more") {
    Bench b;
    b.resource("app");
    b.run();
    config::Config& config = b.config;
    config.groups[0].name = "other";
    b.document.groups.erase("web");
    for (uint32_t i = 0; i < kMaxGroups; ++i) {
        StopGroup order;
        order.group = "old" + std::to_string(i);
        order.token = b.document.version;
        b.manager.on_stop(order, b.input());
    }
    ++b.document.config.hash[0];
    b.advance();
    CHECK(b.manager.groups().contains("web"));
    CHECK_FALSE(b.manager.groups().contains("old7"));
}
