#include <catch2/catch.hpp>
#include <random>

#include "tests/unit/config/sample.h"

using namespace kagami::config;

namespace {

// Whatever the text, parse() ends with a configuration or with problems that have a place.
void survive(const std::string& text) {
    const Parsed parsed = parse(text, "cluster.toml", sample_types());
    REQUIRE((parsed.config.has_value() == parsed.problems.empty()));
    for (const Problem& problem : parsed.problems) {
        REQUIRE((problem.line >= 1));
        REQUIRE((problem.column >= 1));
        REQUIRE_FALSE(problem.message.empty());
    }
}

}  // namespace

TEST_CASE("every truncation of a valid file is read without a crash") {
    for (size_t length = 0; length <= kSample.size(); ++length) survive(kSample.substr(0, length));
}

TEST_CASE("random mutations of a valid file are read without a crash") {
    const std::vector<std::string> pieces = {"[",
                                             "]",
                                             "{",
                                             "}",
                                             "\"",
                                             "=",
                                             ".",
                                             ",",
                                             "\n",
                                             "#",
                                             "-1",
                                             "1e999",
                                             "99999999999999999999",
                                             "true",
                                             "\"\"",
                                             "[[node]]",
                                             "[[group.resource]]",
                                             "node.node1 = 3\n",
                                             "\xff",
                                             "\xe2\x82",
                                             "'",
                                             "\\u0000"};
    std::mt19937 random(20261121);
    const auto below = [&](size_t bound) { return std::uniform_int_distribution<size_t>(0, bound - 1)(random); };
    for (int round = 0; round < 3000; ++round) {
        std::string text = kSample;
        for (size_t left = 1 + below(3); left > 0; --left) {
            const size_t at = below(text.size());
            const size_t length = below(12);
            text.replace(
                at, std::min(length, text.size() - at),
                below(3) == 0 ? kSample.substr(below(kSample.size()), below(40)) : pieces[below(pieces.size())]);
            if (text.empty()) break;
        }
        survive(text);
    }
}

TEST_CASE("deep nesting is a problem, not a crash") {
    survive("[cluster]\nname = " + std::string(100000, '[') + "\n");
    std::string dotted = "a";
    for (int i = 0; i < 20000; ++i) dotted += ".a";
    survive(dotted + " = 1\n");
}
