// The options of the commands of existing runbooks, as they are written in scripts.
#include <catch2/catch.hpp>

#include "cli/clp.h"

using namespace kagami;
using namespace kagami::cli;

namespace {

constexpr ClpOption kOptions[] = {{'s', "", ClpValue::kOptional},     {'h', "", ClpValue::kRequired},
                                  {'f', "", ClpValue::kNone},         {'\0', "push", ClpValue::kNone},
                                  {'\0', "grp", ClpValue::kOptional}, {'g', "get", ClpValue::kNone}};

Result<ClpArguments> parsed(const std::vector<std::string>& given) {
    return parse_clp("clpx", kOptions, given);
}

void refused(const std::vector<std::string>& given, const std::string& message) {
    const auto arguments = parsed(given);
    REQUIRE_FALSE(arguments);
    CHECK(arguments.error().code == ErrorCode::kUsage);
    CHECK(arguments.error().message == "clpx: " + message);
}

}  // namespace

TEST_CASE("nothing given is nothing asked for") {
    const auto arguments = parsed({});
    REQUIRE(arguments);
    CHECK(arguments->options.empty());
    CHECK(arguments->others.empty());
    CHECK(arguments->text("h").empty());
}

TEST_CASE("a value stands in the next word, or behind an equals sign of a long option") {
    const auto arguments = parsed({"-s", "web", "-h", "node1", "--grp=db"});
    REQUIRE(arguments);
    CHECK(arguments->text("s") == "web");
    CHECK(arguments->text("h") == "node1");
    CHECK(arguments->text("grp") == "db");
}

TEST_CASE("an optional value may be missing: the next word is an option, or there is none") {
    const auto arguments = parsed({"-s", "-f", "--grp"});
    REQUIRE(arguments);
    CHECK(arguments->has("s"));
    CHECK(arguments->text("s").empty());
    CHECK(arguments->has("f"));
    CHECK(arguments->has("grp"));
}

TEST_CASE("an option with a letter and a word is one option") {
    CHECK(parsed({"-g"})->has("g"));
    CHECK(parsed({"--get"})->has("g"));
}

TEST_CASE("words that belong to no option are kept apart, a lone dash too") {
    const auto arguments = parsed({"-f", "web", "-"});
    REQUIRE(arguments);
    CHECK(arguments->others == std::vector<std::string>{"web", "-"});
}

TEST_CASE("of an option that is given twice the last one counts") {
    CHECK(parsed({"-h", "node1", "-h", "node2"})->text("h") == "node2");
}

TEST_CASE("an unknown option is named") {
    refused({"-x"}, "unknown option -x");
    refused({"--everything"}, "unknown option --everything");
    refused({"--everything=yes"}, "unknown option --everything");
    refused({"-push"}, "unknown option -push");
    refused({"--s"}, "unknown option --s");
    refused({"--"}, "unknown option --");
    refused({"-sf"}, "unknown option -sf");
}

TEST_CASE("a missing value is named, and so is one too many") {
    refused({"-h"}, "-h needs a value");
    refused({"-h", "-f"}, "-h needs a value");
    refused({"--push=now"}, "--push takes no value");
}
