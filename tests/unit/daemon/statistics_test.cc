#include "cluster-daemon/runtime/daemon/statistics.h"

#include <catch2/catch.hpp>

#include "cluster-daemon/runtime/daemon/machine_measures.h"
#include "proto/control.pb.h"
#include "tests/unit/daemon/sample.h"

using namespace kagami;
using namespace kagami::runtime;
using engine::Reason;

namespace {

engine::Decision decision(Reason reason, const std::string& subject = "group web") {
    engine::Decision all;
    all.reason = reason;
    all.subject = subject;
    return all;
}

control::v1::Statistics read(const Statistics& statistics) {
    control::v1::Statistics out;
    statistics.fill(out);
    return out;
}

}  // namespace

TEST_CASE("starts and stops of a group are measured, the last and the longest") {
    Statistics statistics;
    statistics.set_config(*kagami::testing::sample_config());
    CHECK(read(statistics).groups(0).last_start_ms() == -1);
    statistics.decided(decision(Reason::kStarting), Instant(10s));
    statistics.decided(decision(Reason::kActive), Instant(12s));
    statistics.decided(decision(Reason::kStopping), Instant(20s));
    statistics.decided(decision(Reason::kStopped), Instant(20500ms));
    statistics.decided(decision(Reason::kStarting), Instant(30s));
    statistics.decided(decision(Reason::kActive), Instant(31s));
    const auto web = read(statistics).groups(0);
    CHECK(web.group() == "web");
    CHECK(web.starts() == 2);
    CHECK(web.last_start_ms() == 1000);
    CHECK(web.longest_start_ms() == 2000);
    CHECK(web.stops() == 1);
    CHECK(web.last_stop_ms() == 500);
}

TEST_CASE("a start that was broken off is none, and an end without a beginning neither") {
    Statistics statistics;
    statistics.set_config(*kagami::testing::sample_config());
    statistics.decided(decision(Reason::kActive), Instant(1s));
    statistics.decided(decision(Reason::kStarting), Instant(10s));
    statistics.decided(decision(Reason::kStopping), Instant(11s));
    statistics.decided(decision(Reason::kActive), Instant(12s));
    CHECK(read(statistics).groups(0).starts() == 0);
}

TEST_CASE("checks are counted with their mean, their longest and their time-outs") {
    Statistics statistics;
    statistics.set_config(*kagami::testing::sample_config());
    statistics.checked("nginx-alive", 2ms, false);
    statistics.checked("nginx-alive", 4ms, true);
    const auto monitor = read(statistics).monitors(0);
    CHECK(monitor.checks() == 2);
    CHECK(monitor.timeouts() == 1);
    CHECK(monitor.last_ms() == Approx(4.0));
    CHECK(monitor.mean_ms() == Approx(3.0));
    CHECK(monitor.longest_ms() == Approx(4.0));
}

TEST_CASE("names that the configuration does not have take no memory") {
    Statistics statistics;
    statistics.set_config(*kagami::testing::sample_config());
    statistics.checked("nobody", 2ms, false);
    statistics.decided(decision(Reason::kStarting, "group nobody"), Instant(10s));
    CHECK(read(statistics).monitors_size() == 1);
    CHECK(read(statistics).groups_size() == 1);
    statistics.set_config(config::Config{});
    CHECK(read(statistics).groups_size() == 0);
}

TEST_CASE("free memory is what programs can get, and a machine that does not say it is not invented") {
    CHECK(memory_field_mib("MemTotal:  100 kB\nMemFree:   50 kB\nMemAvailable:    2097152 kB\n", "MemAvailable:") ==
          2048u);
    CHECK_FALSE(memory_field_mib("MemTotal: 100 kB\n", "MemAvailable:").has_value());
    CHECK_FALSE(memory_field_mib("MemAvailable:", "MemAvailable:").has_value());
    CHECK_FALSE(memory_field_mib("MemAvailable: x kB", "MemAvailable:").has_value());
    CHECK(measure_machine("/").disk_free_mib > 0);
    CHECK(measure_machine("/nonexistent").disk_free_mib == 0);
}
