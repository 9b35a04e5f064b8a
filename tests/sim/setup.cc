#include "tests/sim/setup.h"

#include <array>
#include <map>

#include "common/config/bundle.h"
#include "common/config/reader.h"

namespace kagami::sim {
namespace {

using config::Parameter;
using config::ParameterKind;
using config::TypeDescription;

constexpr std::array<Parameter, 1> kExec = {
    {{"start", ParameterKind::kString, false, "start.sh", 0, 0, "Its start script."}}};
constexpr std::array<Parameter, 1> kFip = {{{"address", ParameterKind::kString, false, "", 0, 0, "Its address."}}};
constexpr std::array<Parameter, 9> kMirror = {{
    {"data", ParameterKind::kPath, false, "/dev/data", 0, 0, "Its data device."},
    {"metadata", ParameterKind::kPath, false, "/dev/metadata", 0, 0, "Its metadata device."},
    {"mount", ParameterKind::kPath, false, "", 0, 0, "Where it is mounted."},
    {"filesystem", ParameterKind::kString, false, "ext4", 0, 0, "Its file system."},
    {"mode", ParameterKind::kString, false, "sync", 0, 0, "How it replicates."},
    {"port", ParameterKind::kInteger, false, "29011", 1024, 65535, "Its port."},
    {"mkfs", ParameterKind::kBoolean, false, "true", 0, 0, "Makes the file system."},
    {"initial_copy", ParameterKind::kBoolean, false, "true", 0, 0, "Copy at first."},
    {"automatic_resync", ParameterKind::kBoolean, false, "true", 0, 0, "Resync by itself."},
}};
constexpr std::array<std::string_view, 2> kExecAfter = {"fip", "md"};

std::string node_text(int id) {
    const std::string n = std::to_string(id);
    return "[[node]]\nname = \"node" + n + "\"\naddress = { net1 = \"10.77.1." + n + "\", net2 = \"10.77.2." + n +
           "\" }\n";
}

std::string order_text(int nodes, int first, int count) {
    std::string order;
    for (int i = 0; i < count; ++i)
        order += (i > 0 ? ", " : "") + ("\"node" + std::to_string((first + i) % nodes + 1) + "\"");
    return order;
}

std::string mirror_group_text(int nodes, int first, bool initial_copy) {
    return "[[group]]\nname = \"store\"\nnodes = [" + order_text(nodes, first, 2) + "]\n" +
           "[[group.resource]]\ntype = \"md\"\nname = \"md1\"\ninitial_copy = " + (initial_copy ? "true" : "false") +
           "\nactivate_timeout = \"30s\"\ndeactivate_timeout = \"30s\"\n"
           "on_activation_failure = { retry = 1, failover = 1 }\n"
           "on_deactivation_failure = { retry = 1, final = \"stop-cluster-and-reboot\" }\n"
           "[[group.resource]]\ntype = \"exec\"\nname = \"store-app\"\n"
           "activate_timeout = \"3s\"\ndeactivate_timeout = \"3s\"\n"
           "on_activation_failure = { retry = 1, failover = 1 }\n"
           "on_deactivation_failure = { retry = 1, final = \"stop-cluster-and-reboot\" }\n";
}

std::string monitor_text(const std::string& name, const std::string& target) {
    return "[[monitor]]\ntype = \"pidw\"\nname = \"" + name + "\"\ntarget = \"" + target +
           "\"\ninterval = \"30s\"\non_error = { restart = 2, failover = 1 }\n";
}

// Of the last resource: the path of a script around each of its steps.
constexpr const char* kStepScripts =
    "scripts = { before_activation = \"/opt/a\", after_activation = \"/opt/b\", before_deactivation = \"/opt/c\", "
    "after_deactivation = \"/opt/d\", before_final = \"/opt/e\" }\n";

std::string group_text(const std::string& name, const std::string& keys, int nodes, int first) {
    const std::string order = order_text(nodes, first, nodes);
    return "[[group]]\nname = \"" + name + "\"\nnodes = [" + order + "]\n" + keys +
           "[[group.resource]]\ntype = \"fip\"\nname = \"" + name + "-ip\"\n" +
           "[[group.resource]]\ntype = \"exec\"\nname = \"" + name +
           "-app\"\nactivate_timeout = \"3s\"\ndeactivate_timeout = \"3s\"\n" +
           "on_activation_failure = { retry = 1, failover = 1 }\n"
           "on_deactivation_failure = { retry = 1, final = \"stop-cluster-and-reboot\" }\n";
}

}  // namespace

const config::TypeCatalogue& simulated_types() {
    static const config::TypeCatalogue types = {{TypeDescription{"exec", "runs scripts", kExec, kExecAfter, false},
                                                 TypeDescription{"fip", "an address", kFip, {}, false},
                                                 TypeDescription{"md", "a mirror disk", kMirror, {}, false}},
                                                {TypeDescription{"pidw", "watches a process", {}, {}, true},
                                                 TypeDescription{"genw", "runs a script", {}, {}, false}}};
    return types;
}

Packed pack_configuration(const std::string& toml) {
    const config::Parsed parsed = config::parse(toml, "cluster.toml", simulated_types());
    if (!parsed.config) {
        std::string all;
        for (const auto& problem : parsed.problems) all += to_string(problem) + "\n";
        return {{}, nullptr, all};
    }
    auto bundle = config::pack({toml, {}});
    if (!bundle) return {{}, nullptr, bundle.error().message};
    return {std::move(*bundle), std::make_shared<const config::Config>(*parsed.config), {}};
}

std::shared_ptr<const config::Config> parse_packed(const Bytes& packed) {
    static std::map<Bytes, std::shared_ptr<const config::Config>> known;
    const auto found = known.find(packed);
    if (found != known.end()) return found->second;
    std::shared_ptr<const config::Config> read;
    if (const auto bundle = config::unpack(packed)) {
        const config::Parsed parsed = config::parse(bundle->text, "cluster.toml", simulated_types());
        if (parsed.config) read = std::make_shared<const config::Config>(*parsed.config);
    }
    if (known.size() > 256) known.clear();
    known.emplace(packed, read);
    return read;
}

std::string write_toml(const Shape& shape) {
    std::string text = "[cluster]\nname = \"sim\"\nprofile = \"" + shape.profile + "\"\nstartup_wait = \"" +
                       shape.startup_wait + "\"\nauto_return = " + (shape.auto_return ? "true" : "false") +
                       "\nfailover_latch = " + (shape.latch ? "true" : "false") + "\ncomment = \"" +
                       std::to_string(shape.comment) +
                       "\"\n[[network]]\nname = \"net1\"\n[[network]]\nname = \"net2\"\n";
    for (int id = 1; id <= shape.nodes; ++id) text += node_text(id);
    text += shape.witness
                ? "[arbitration]\noption = \"witness\"\nwitness = [{ kind = \"server\", address = \"10.77.1.250\" }]\n"
                : "[arbitration]\noption = \"tie\"\n";
    if (shape.exclusive != Exclusive::kNo)
        text += std::string("[[exclusive_rule]]\nname = \"apart\"\nkind = \"") +
                (shape.exclusive == Exclusive::kAbsolute ? "absolute" : "normal") + "\"\ngroups = [\"web\", \"db\"]\n";
    text += group_text("web", shape.dynamic ? "failover = \"dynamic\"\nforced_failover = true\n" : "", shape.nodes, 0);
    if (shape.app_version != 0) text += "start = \"start" + std::to_string(shape.app_version) + ".sh\"\n";
    text += group_text("db", shape.waits ? "start_wait = { groups = [\"web\"], timeout = \"20s\", on_timeout = \"go-on\" }\n" : "",
                       shape.nodes, 1);
    text += kStepScripts;
    if (shape.strict_group) text += group_text("vol", "exclusion = \"strict\"\n", shape.nodes, 0);
    if (shape.manual_group) text += group_text("batch", "failover = \"manual\"\n", shape.nodes, 1);
    if (shape.monitors) {
        for (const std::string group : {"web", "db"}) text += monitor_text(group + "-alive", group + "-app");
    }
    if (shape.mirror)
        text +=
            mirror_group_text(shape.nodes, shape.mirror_first, shape.initial_copy) + monitor_text("md1-works", "md1");
    return text;
}

}  // namespace kagami::sim
