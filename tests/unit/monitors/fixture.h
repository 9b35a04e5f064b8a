// One monitor of a type on a fake machine.
#pragma once

#include <catch2/catch.hpp>

#include "common/host/fake_host.h"
#include "monitors/monitor.h"
#include "tests/support/type_values.h"

namespace kagami::monitors {

struct Bench {
    host::FakeHost fake;
    Context context;
    std::unique_ptr<Monitor> monitor;

    explicit Bench(const std::string& word, const testing::Texts& values = {}) {
        const Type* type = find(word);
        REQUIRE(type != nullptr);
        monitor = type->make(fake.host);
        context.monitor = "watch";
        context.values = testing::type_values(type->description, values);
        context.script_directory = "/var/lib/kagami/active/scripts";
        context.deadline = fake.time + 60s;
    }
    Finding look() { return monitor->check(context).value(); }
    Health health() { return look().health; }
    std::string message() { return look().message; }
    Error error() { return monitor->check(context).error(); }
};

}  // namespace kagami::monitors
