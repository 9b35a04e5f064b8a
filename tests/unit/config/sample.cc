#include "tests/unit/config/sample.h"

#include <catch2/catch.hpp>

namespace kagami::config {
namespace {

using P = ParameterKind;

Status address_with_prefix(std::string_view text) {
    if (text.find('/') != std::string_view::npos) return {};
    return fail("has no prefix length", "write it as \"10.77.1.100/24\"");
}

constexpr Parameter kExec[] = {
    {"start", P::kScript, false, "start.sh", 0, 0, "Start script."},
    {"stop", P::kScript, false, "stop.sh", 0, 0, "Stop script."},
    {"start_timeout", P::kDuration, false, "30min", 1, 9999, "Limit of the start script."},
    {"stop_timeout", P::kDuration, false, "30min", 1, 9999, "Limit of the stop script."},
    {"sync", P::kBoolean, false, "true", 0, 0, "Wait for the end of the start script."},
    {"units", P::kStringList, false, "", 0, 0, "systemd units."},
};
constexpr Parameter kFip[] = {
    {"address", P::kString, true, "", 0, 0, "The floating address with its prefix length.", address_with_prefix},
    {"interface", P::kString, false, "", 0, 0, "The interface."},
    {"announcements", P::kInteger, false, "5", 1, 20, "How often it is announced."},
};
constexpr Parameter kDummy[] = {{"path", P::kPath, false, "", 0, 0, "A file."}};
constexpr Parameter kMiiw[] = {{"interface", P::kString, true, "", 0, 0, "The interface that is watched."}};
constexpr Parameter kIpw[] = {{"addresses", P::kStringList, true, "", 0, 0, "What is pinged."}};
constexpr std::string_view kAfterFip[] = {"fip"};
constexpr std::string_view kExecOnly[] = {"exec"};
constexpr std::string_view kFipOnly[] = {"fip"};

}  // namespace

const TypeCatalogue& sample_types() {
    static const TypeCatalogue types{{{"exec", "Scripts.", kExec, kAfterFip, false, {}},
                                      {"fip", "Floating IP.", kFip, {}, false, {}},
                                      {"dummy", "Nothing.", kDummy, {}, false, {}}},
                                     {{"pidw", "Processes.", {}, {}, true, kExecOnly},
                                      {"fipw", "Floating IP.", {}, {}, true, kFipOnly},
                                      {"miiw", "Link.", kMiiw, {}, false, {}},
                                      {"ipw", "Ping.", kIpw, {}, false, {}},
                                      {"userw", "Stall.", {}, {}, false, {}}}};
    return types;
}

const std::string kSample = R"([cluster]
name = "demo"
profile = "lan"
[[network]]
name = "net1"
[[network]]
name = "net2"
[[node]]
name = "node1"
address = { net1 = "10.77.1.1", net2 = "10.77.2.1" }
[[node]]
name = "node2"
address = { net1 = "10.77.1.2", net2 = "10.77.2.2" }
[arbitration]
option = "witness"
witness = [{ kind = "server", address = "10.77.1.9" }]
[[group]]
name = "web"
nodes = ["node1", "node2"]
[[group.resource]]
type = "fip"
name = "fip1"
address = "10.77.1.100/24"
[[group.resource]]
type = "exec"
name = "nginx"
start_timeout = "60s"
[[monitor]]
type = "pidw"
name = "nginx-alive"
target = "nginx"
)";

std::string sample_with(const std::string& piece, const std::string& replacement) {
    const size_t at = kSample.find(piece);
    REQUIRE(at != std::string::npos);
    REQUIRE(kSample.find(piece, at + 1) == std::string::npos);
    std::string text = kSample;
    return text.replace(at, piece.size(), replacement);
}

std::vector<std::string> problems_of(const std::string& text) {
    const Parsed parsed = parse(text, "cluster.toml", sample_types());
    CHECK(parsed.config.has_value() == parsed.problems.empty());
    std::vector<std::string> lines;
    for (const Problem& problem : parsed.problems) lines.push_back(to_string(problem));
    return lines;
}

Config sample_config(const std::string& text) {
    const Parsed parsed = parse(text, "cluster.toml", sample_types());
    for (const Problem& problem : parsed.problems) UNSCOPED_INFO(to_string(problem));
    REQUIRE(parsed.config);
    return *parsed.config;
}

}  // namespace kagami::config
