#include "common/ids.h"

#include <catch2/catch.hpp>

using namespace kagami;

TEST_CASE("an epoch holds its counter and its node and orders by counter first") {
    const Epoch low = Epoch::make(4, NodeId{9});
    const Epoch high = Epoch::make(5, NodeId{1});
    CHECK(low.counter() == 4);
    CHECK(low.node() == NodeId{9});
    CHECK(low < high);
    CHECK(to_string(high) == "5@1");
    CHECK(to_string(Version{high, 12}) == "5@1.12");
}

TEST_CASE("a uuid survives printing and parsing, and malformed text is refused") {
    const std::string text = "0123abcd-89ef-4567-8899-aabbccddeeff";
    const auto uuid = parse_uuid(text);
    REQUIRE(uuid);
    CHECK(to_string(*uuid) == text);
    CHECK_FALSE(parse_uuid("0123abcd-89ef-4567-8899-aabbccddeef"));
    CHECK_FALSE(parse_uuid("0123abcd+89ef-4567-8899-aabbccddeeff"));
    CHECK_FALSE(parse_uuid("0123abcg-89ef-4567-8899-aabbccddeeff"));
}

TEST_CASE("names are short, start with a letter or digit and hold nothing that a path or a shell could misread") {
    CHECK(valid_name("web"));
    CHECK(valid_name("db-1_x"));
    CHECK(valid_name(std::string(31, 'a')));
    for (const char* bad : {"", "-web", "_x", "a b", "a/b", "..", "a;b", "ä"}) CHECK_FALSE(valid_name(bad));
    CHECK_FALSE(valid_name(std::string(32, 'a')));
}
