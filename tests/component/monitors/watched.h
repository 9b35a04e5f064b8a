// One check of a monitor on the real machine.
#pragma once

#include <catch2/catch.hpp>

#include "common/host/boot_clock.h"
#include "common/host/linux_host.h"
#include "monitors/monitor.h"
#include "tests/support/type_values.h"

namespace kagami::monitors {

inline Context context_of(const std::string& word, const testing::Texts& values, Duration timeout = 10s) {
    Context context;
    context.monitor = "watch";
    context.values = testing::type_values(find(word)->description, values);
    context.deadline = host::boot_now() + timeout;
    return context;
}

inline Result<Finding> check(host::Host& host, const std::string& word, const testing::Texts& values,
                             Duration timeout = 10s) {
    return find(word)->make(host)->check(context_of(word, values, timeout));
}

}  // namespace kagami::monitors
