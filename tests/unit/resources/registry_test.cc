#include <set>

#include "tests/unit/resources/resource_fixture.h"

using namespace kagami;
using namespace kagami::resources;
using Catch::Matchers::Contains;

namespace {

const config::Parameter& parameter(const std::string& word, std::string_view name) {
    for (const auto& known : find(word)->description.parameters) {
        if (known.name == name) return known;
    }
    FAIL("no parameter " << name);
    throw;
}

}  // namespace

TEST_CASE("every type has a word, a summary, helped parameters and defaults that pass their own check") {
    std::set<std::string_view> words;
    for (const Type& type : registry()) {
        INFO(type.description.word);
        CHECK(words.insert(type.description.word).second);
        CHECK_FALSE(type.description.summary.empty());
        std::set<std::string_view> names;
        for (const auto& known : type.description.parameters) {
            INFO(known.name);
            CHECK(names.insert(known.name).second);
            CHECK_THAT(std::string(known.help), Catch::Matchers::EndsWith("."));
            CHECK((known.required ? known.default_text.empty() : true));
            if (known.check != nullptr && !known.default_text.empty()) CHECK(known.check(known.default_text));
            if (known.kind == config::ParameterKind::kDuration) CHECK(config::parse_duration(known.default_text));
        }
    }
    CHECK(words == std::set<std::string_view>{"exec", "fip", "md", "dummy"});
    CHECK(find("nonsense") == nullptr);
}

TEST_CASE("values that a type cannot use are refused") {
    CHECK(parameter("exec", "start_mode").check("sync"));
    CHECK_FALSE(parameter("exec", "start_mode").check("Sync"));
    CHECK(parameter("fip", "address").check("fd00::100/64"));
    CHECK_FALSE(parameter("fip", "address").check("10.77.1.100"));
    CHECK(parameter("fip", "interface").check("eth0.100"));
    for (const char* bad : {"", ".", "..", "a/b", "an interface", "interface-with-long-name"})
        CHECK_FALSE(parameter("fip", "interface").check(bad));
    CHECK_FALSE(parameter("dummy", "fail").check("everything"));
}

TEST_CASE("a dummy takes its delay, fails where it is told, and is known to be active until the process ends") {
    ResourceFixture dummy("dummy", testing::Texts{{"delay", {"3s"}}});
    dummy.context.resource = "d1";
    const Instant begin = dummy.fake.time;
    CHECK(dummy.resource->probe(dummy.context).value() == Probe::kInactive);
    CHECK(dummy.activation_error() == "");
    CHECK(dummy.fake.time == begin + 3s);
    CHECK(find("dummy")->make(dummy.fake.host)->probe(dummy.context).value() == Probe::kActive);
    CHECK(dummy.deactivation_error() == "");
    CHECK(dummy.resource->probe(dummy.context).value() == Probe::kInactive);
    dummy.context.deadline = dummy.fake.time + 1s;
    CHECK_THAT(dummy.activation_error(), Contains("delay is longer than the time-out"));
    CHECK(dummy.resource->probe(dummy.context).value() == Probe::kInactive);

    for (const std::string operation : {"activate", "deactivate", "probe"}) {
        ResourceFixture bad("dummy", testing::Texts{{"fail", {operation}}});
        bad.context.resource = "d2-" + operation;
        CHECK(bad.resource->activate(bad.context).has_value() == (operation != "activate"));
        CHECK(bad.resource->probe(bad.context).has_value() == (operation != "probe"));
        CHECK(bad.resource->deactivate(bad.context).has_value() == (operation != "deactivate"));
    }
}
