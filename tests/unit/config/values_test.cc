#include <catch2/catch.hpp>

#include "common/config/parameter.h"

using namespace kagami;
using namespace kagami::config;

TEST_CASE("durations are read with their unit, decimals included") {
    CHECK(parse_duration("300ms") == Duration(300ms));
    CHECK(parse_duration("2s") == Duration(2s));
    CHECK(parse_duration("0.5s") == Duration(500ms));
    CHECK(parse_duration("5min") == Duration(5min));
    CHECK(parse_duration("1h") == Duration(1h));
    CHECK(parse_duration("0s") == Duration(0));
    CHECK(parse_duration("83333333ns") == Duration(83333333));
}

TEST_CASE("a malformed duration says what is wrong and how to write it") {
    const auto message = [](std::string_view text) {
        const auto result = parse_duration(text);
        REQUIRE_FALSE(result);
        CHECK(result.error().remedy == "write a number and a unit: \"300ms\", \"2s\", \"5min\", \"1h\"");
        return result.error().message;
    };
    CHECK(message("60") == "\"60\" is a duration without a unit");
    CHECK(message("") == "\"\" is not a duration");
    CHECK(message("s") == "\"s\" is not a duration");
    CHECK(message("-1s") == "\"-1s\" is not a duration");
    CHECK(message("1.s") == "\"1.s\" is not a duration");
    CHECK(message("1.2.3s") == "\"1.2.3s\" is not a duration");
    CHECK(message("5m") == "\"5m\" is a duration with an unknown unit");
    CHECK(message("5 s") == "\"5 s\" is a duration with an unknown unit");
    CHECK(message("9999999999h") == "\"9999999999h\" is not a possible duration");
    CHECK(message("99999999999999999999s") == "\"99999999999999999999s\" is not a possible duration");
    CHECK(message("1.5ns") == "\"1.5ns\" is not a possible duration");
}

TEST_CASE("a formatted duration is short and reads back as itself") {
    CHECK(format_duration(0s) == "0s");
    CHECK(format_duration(60s) == "60s");
    CHECK(format_duration(5min) == "5min");
    CHECK(format_duration(1h) == "1h");
    CHECK(format_duration(1500ms) == "1500ms");
    for (const int64_t ns : {1LL, 999LL, 1000LL, 83333333LL, 1000000000LL, 3599000000000LL, 86400000000000LL}) {
        CHECK(parse_duration(format_duration(Duration(ns))) == Duration(ns));
    }
}

TEST_CASE("values are read by type; a declared value that is absent is empty, not wrong") {
    const Values values({{"count", {"17"}}, {"on", {"true"}}, {"wait", {"2s"}}, {"list", {"a", "b"}}, {"absent", {}}});
    CHECK(values.integer("count") == 17);
    CHECK(values.boolean("on"));
    CHECK(values.duration("wait") == Duration(2s));
    CHECK(values.list("list") == std::vector<std::string>{"a", "b"});
    CHECK(values.has("count"));
    CHECK_FALSE(values.has("absent"));
    CHECK(values.text("absent").empty());
    CHECK(values.list("absent").empty());
}
