// What the configuration refuses of each kind, by its table of parameters.
#include <catch2/catch.hpp>

#include "common/config/reader.h"
#include "monitors/monitor.h"
#include "resources/resource.h"

using namespace kagami;
using Catch::Matchers::Contains;

namespace {

config::TypeCatalogue catalogue() {
    config::TypeCatalogue types;
    for (const auto& type : resources::registry()) types.resources.push_back(type.description);
    for (const auto& type : monitors::registry()) types.monitors.push_back(type.description);
    return types;
}

// The problems of a monitor `m1` with these lines, all in one text.
std::string problems(const std::string& lines, const std::set<std::string>* scripts = nullptr) {
    const std::string text = R"(
[cluster]
name = "test"
[[network]]
name = "net1"
[[node]]
name = "node1"
address = { net1 = "10.0.0.1" }
[[node]]
name = "node2"
address = { net1 = "10.0.0.2" }
[[group]]
name = "web"
[[group.resource]]
type = "fip"
name = "fip1"
address = "10.0.0.100/24"
[[monitor]]
type = "userw"
name = "m0"
[[monitor]]
name = "m1"
)" + lines;
    std::string all;
    for (const auto& problem : config::parse(text, "cluster.toml", catalogue(), scripts).problems)
        all += to_string(problem) + "\n";
    return all;
}

// Lines of a monitor, and a part of what is said about them.
constexpr std::pair<const char*, const char*> kRefused[] = {
    {"type = \"genw\"\nmode = \"often\"", "write one of \"sync\", \"async\""},
    {"type = \"genw\"\nnormal = [\"256\"]", "is not an exit status"},
    {"type = \"genw\"\nnormal = [\"00\"]", "is not an exit status"},
    {"type = \"genw\"\ncaution = [\"x\"]", "is not an exit status"},
    {"type = \"genw\"\nscript = \"../x.sh\"", "is neither a stored script nor an absolute path"},
    {"type = \"diskw\"", "has no \"object\""},
    {"type = \"diskw\"\nobject = \"sdb\"", "is not an absolute path"},
    {"type = \"diskw\"\nobject = \"/dev/sdb\"\nmethod = \"look\"",
     "write one of \"tur\", \"read\", \"read-direct\", \"write\""},
    {"type = \"diskw\"\nobject = \"/dev/sdb\"\nsize = 0", "out of range 1 to 99999999"},
    {"type = \"diskw\"\nobject = \"/dev/sdb\"\ndisk_full = \"ignore\"",
     "write one of \"error\", \"caution\", \"normal\""},
    {"type = \"psw\"", "has no \"process\""},
    {"type = \"psw\"\nprocess = \"\"", "means every process"},
    {"type = \"psw\"\nprocess = \"* *\"", "means every process"},
    {"type = \"psw\"\nprocess = \"x\"\nminimum = 1000", "out of range 1 to 999"},
    {"type = \"arpw\"", "needs a target"},
    {"type = \"mtw\"\nmonitors = []", "monitors is empty"},
    {"type = \"mtw\"\nmonitors = [\"m00\"]", "monitor m1: \"m00\" is no monitor; did you mean \"m0\"?"},
    {"type = \"mtw\"\nmonitors = [\"m0\", \"m1\"]", "monitor m1: \"m1\" is of type mtw"},
    {"type = \"mtw\"\nmonitors = [\"m0\"]\nnode.node2 = { monitors = [\"m7\"] }", "\"m7\" is no monitor"},
    {"type = \"ipw\"\naddresses = []", "addresses is empty"},
    {"type = \"mtw\"", "has no \"monitors\""},
    {"type = \"mtw\"\nmonitors = [\"a b\"]", "is not the name of a monitor"},
    {"type = \"mtw\"\nmonitors = [\"m0\", \"m0\"]", "stands there twice"},
    {"type = \"mtw\"\nmonitors = [\"m0\"]\nerror_threshold = 0", "out of range"},
    {"type = \"httpw\"\nserver = \"http://x\"", "is neither a host name nor an IP address"},
    {"type = \"httpw\"\nserver = \"x/y\"", "is neither a host name nor an IP address"},
    {"type = \"httpw\"\nserver = \"\"", "is neither a host name nor an IP address"},
    {"type = \"httpw\"\nport = 65536", "out of range 1 to 65535"},
    {"type = \"httpw\"\nuri = \"index.html\"", "is not a path of a URL"},
    {"type = \"httpw\"\nuri = \"/a b\"", "is not a path of a URL"},
    {"type = \"httpw\"\nmethod = \"POST\"", "write one of \"HEAD\", \"GET\""},
    {"type = \"httpw\"\nexpect = [\"2xx\"]", "is not a status of HTTP"},
    {"type = \"httpw\"\nexpect = [\"300-200\"]", "is not a status of HTTP"},
    {"type = \"httpw\"\nexpect = [\"99\"]", "is not a status of HTTP"},
    {"type = \"resw\"\nminimum_memory = -1", "out of range"},
    {"type = \"resw\"\npath = \"data\"", "is not an absolute path"},
    {"type = \"ipw\"\naddresses = [\"10.0.0.300\"]", "is not an IPv4 or IPv6 address"},
    {"type = \"ipw\"\naddresses = [\"10.0.0.9\"]\nrule = \"some\"", "write one of \"any\", \"all\""},
    {"type = \"miiw\"\ninterface = \"an interface\"", "is not the name of an interface"},
    {"type = \"miiw\"\ninterface = \"\"", "is not the name of an interface"},
    {"type = \"userw\"\nwrite_bytes = 10000000", "out of range 0 to 9999999"},
    {"type = \"userw\"\ndirectory = \"tmp\"", "is not an absolute path"},
};

}  // namespace

TEST_CASE("each kind is accepted with the least that it needs") {
    for (const char* lines :
         {"type = \"genw\"", "type = \"diskw\"\nobject = \"/dev/sdb\"", "type = \"psw\"\nprocess = \"nginx\"",
          "type = \"arpw\"\ntarget = \"fip1\"", "type = \"mtw\"\nmonitors = [\"m0\"]", "type = \"httpw\"",
          "type = \"resw\"\nminimum_memory = 100", "type = \"ipw\"\naddresses = [\"10.0.0.9\"]\nrule = \"all\"",
          "type = \"miiw\"\ninterface = \"eth0\"\nethtool = true", "type = \"userw\"\nwrite_bytes = 10000",
          "type = \"fipw\"\ntarget = \"fip1\"\nlink_check = true",
          "type = \"ipw\"\nnode.node1 = { addresses = [\"10.0.0.8\"] }\nnode.node2 = { addresses = [\"10.0.0.9\"] }"}) {
        CHECK(problems(lines) == "");
    }
}

TEST_CASE("what a kind cannot use is refused with what to write instead") {
    for (const auto& [lines, wanted] : kRefused) {
        INFO(lines);
        CHECK_THAT(problems(lines), Contains(wanted));
    }
}

TEST_CASE("scripts of monitors are stored with the configuration, or named by an absolute path") {
    const std::set<std::string> none;
    const std::set<std::string> stored = {"monitors/m1/check.sh", "monitors/m1/recovery.sh"};
    CHECK_THAT(problems("type = \"genw\"", &none),
               Contains("monitor m1: the script monitors/m1/genw.sh is not stored"));
    CHECK_THAT(problems("type = \"genw\"", &none),
               Contains("put it at scripts/monitors/m1/genw.sh beside cluster.toml"));
    CHECK(problems("type = \"genw\"\nscript = \"check.sh\"", &stored) == "");
    CHECK(problems("type = \"genw\"\nscript = \"/opt/check\"", &none) == "");
    CHECK_THAT(problems("type = \"genw\"\nscript = \"check.sh\"\nnode.node2 = { script = \"other.sh\" }", &stored),
               Contains("monitors/m1/other.sh is not stored"));
    CHECK_THAT(problems("type = \"userw\"\non_error = { script = 1 }", &none),
               Contains("the script monitors/m1/recovery.sh is not stored"));
    CHECK_THAT(problems("type = \"userw\"\non_error = { script_before_final = true }", &none),
               Contains("the script monitors/m1/recovery.sh is not stored"));
    CHECK(problems("type = \"userw\"\non_error = { script = 1 }", &stored) == "");
}

TEST_CASE("no group may have the name of the cgroup of monitors' scripts") {
    for (const std::string name : {"checks", "monitors"}) {
        CHECK_THAT(problems("type = \"userw\"\n[[group]]\nname = \"" + name + "\""),
                   Contains("a group must not be called \"" + name + "\""));
    }
}
