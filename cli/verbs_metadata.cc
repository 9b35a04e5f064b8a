// `mirror init`, `mirror dump` and `mirror check`: a person's work on this node's copy, without its driver.
#include "cli/verbs_metadata.h"
#include "cli/bundle_files.h"
#include "cli/change.h"
#include "cli/render_metadata.h"
#include "cli/setup.h"
#include "cli/verbs.h"
#include "common/config/nearest.h"

namespace kagami::cli {
namespace {

// The configuration in force on this machine, else the one that a person wrote.
Result<config::Config> local_config(Session& session) {
    for (const std::string& path : {active_config_path(session.places), default_config_path(session.places)}) {
        auto bundle = load_bundle(path);
        if (!bundle) continue;
        auto parsed = config::parse(bundle->text, path, session.types);
        if (parsed.config) return std::move(*parsed.config);
        return fail(ErrorCode::kUsage, path + " has problems", "see: kagami config check " + path);
    }
    return fail(ErrorCode::kNotFound, "there is no configuration on this machine",
                "give the path of the metadata device");
}

Result<std::string> metadata_device(Session& session, const Arguments& arguments) {
    const std::string& name = arguments.positional;
    if (name.starts_with('/')) return name;
    const auto config = local_config(session);
    if (!config) return tl::unexpected(config.error());
    const std::string here = arguments.has("node") ? arguments.text("node") : host_name();
    const config::Node* node = config->node(here);
    if (node == nullptr) {
        return fail(ErrorCode::kNotFound, "no node is called \"" + here + "\"",
                    "say which node this machine is: --node NODE");
    }
    std::vector<std::string_view> names;
    for (const config::Group& group : config->groups) {
        for (const config::Resource& resource : group.resources) {
            if (resource.type != "md") continue;
            names.push_back(resource.name);
            const auto values = resource.values.find(node->id);
            if (resource.name == name && values != resource.values.end()) return values->second.text("metadata");
        }
    }
    return fail(ErrorCode::kNotFound, "node " + here + " has no mirror \"" + name + "\"",
                names.empty() ? "none is configured" : config::nearest(name, names, "mirrors"));
}

struct Looked {
    std::string device;
    mirror::Inspection seen;
};
Result<Looked> look(Session& session, const Arguments& arguments) {
    auto device = metadata_device(session, arguments);
    if (!device) return tl::unexpected(device.error());
    auto seen = mirror::inspect(*device);
    if (!seen) return tl::unexpected(seen.error());
    return Looked{std::move(*device), std::move(*seen)};
}

// Names and numbers come from the daemon of this node: only the cluster knows what the mirror is called in its
// register.
Result<mirror::InitOrder> order_for(const pb::Status& status, const std::string& name) {
    for (const pb::Mirror& each : status.mirrors()) {
        if (each.name() != name) continue;
        mirror::InitOrder order;
        order.name = name;
        const auto cluster = parse_uuid(status.cluster_uuid());
        const auto uuid = parse_uuid(each.uuid());
        if (!cluster || !uuid) {
            return fail(ErrorCode::kRefused, "the cluster has not named mirror " + name + " yet",
                        "wait until it has a leader: kagami status");
        }
        order.cluster = *cluster;
        order.mirror = *uuid;
        for (const pb::MirrorCopy& copy : each.copies()) {
            const bool own = copy.node() == status.answering_node();
            (own ? order.self : order.peer) = NodeId{static_cast<uint16_t>(copy.node_id())};
            if (own) order.data = copy.data();
            if (own) order.metadata = copy.metadata();
        }
        if (!order.data.empty()) return order;
        return fail(ErrorCode::kRefused, "node " + status.answering_node() + " has no copy of mirror " + name,
                    "run it on a server of group " + each.group());
    }
    return fail(ErrorCode::kNotFound, "there is no mirror \"" + name + "\"", "see: kagami mirror status");
}

std::string next_step(const mirror::InitOrder& order, const std::string& node, const pb::Status& status) {
    if (order.on_data != mirror::InitData::kUse) return "";
    for (const pb::Mirror& each : status.mirrors()) {
        for (const pb::MirrorCopy& copy : each.copies()) {
            if (each.name() == order.name && copy.node() != node && copy.standing() == "current")
                return "The copy of " + copy.node() + " is current: a full copy from it overwrites " + order.data +
                       ".\n";
        }
    }
    return "Its data are mirrored once its copy is declared the one to begin with: kagami mirror force " + order.name +
           " --node " + node + "\n";
}

// A device that cannot be looked at is refused later, with the reason.
std::string consequence_of(const mirror::InitOrder& order, const std::string& node) {
    const auto seen = mirror::inspect(order.metadata);
    const std::string there = seen ? mirror::overwritten_by(order, seen->identified) : "";
    return "New metadata are made for the copy of mirror " + order.name + " on " + node + ", on " + order.metadata +
           ": a full copy follows." + (there.empty() ? "" : " This overwrites " + there + ".") +
           (order.on_data == mirror::InitData::kWipe ? " The data on " + order.data + " are lost." : "");
}

}  // namespace

int initialise_mirror(Session& session, const std::string& name, mirror::InitData on_data, bool replace,
                      const Agree& agree) {
    const Console& console = session.console;
    const auto client = Client::connect(session.places.socket);
    if (!client) return report(console, client.error());
    const auto status = (*client)->status();
    if (!status) return report(console, status.error());
    auto order = order_for(*status, name);
    if (!order) return report(console, order.error());
    order->on_data = on_data;
    order->replace = replace;
    const auto agreement = agree(consequence_of(*order, status->answering_node()));
    if (!agreement) return report(console, agreement.error());
    if (!*agreement) {
        console.err << "Nothing was changed.\n";
        return static_cast<int>(ErrorCode::kFailed);
    }
    const auto done = mirror::initialise(*order);
    if (!done) return report(console, done.error());
    console.err << *done << "\n" << next_step(*order, status->answering_node(), *status);
    return 0;
}

int run_mirror_init(Session& session, const Arguments& arguments) {
    if (arguments.has("use-data") && arguments.has("wipe")) {
        return report(session.console,
                      {ErrorCode::kUsage, "--use-data and --wipe exclude each other", "give one of them"});
    }
    const mirror::InitData on_data = arguments.has("use-data") ? mirror::InitData::kUse
                                     : arguments.has("wipe")   ? mirror::InitData::kWipe
                                                               : mirror::InitData::kBlank;
    return initialise_mirror(session, arguments.positional, on_data, true, [&](const std::string& consequence) {
        return agreed(session, arguments, consequence, arguments.positional);
    });
}

int run_mirror_dump(Session& session, const Arguments& arguments) {
    const auto looked = look(session, arguments);
    if (!looked) return report(session.console, looked.error());
    session.console.out << render_metadata(looked->device, looked->seen);
    return looked->seen.loaded ? 0 : report(session.console, looked->seen.error);
}

int run_mirror_check(Session& session, const Arguments& arguments) {
    const auto looked = look(session, arguments);
    if (!looked) return report(session.console, looked.error());
    const std::string device = "metadata device " + looked->device;
    const auto findings = metadata_findings(looked->seen);
    if (findings.empty()) {
        session.console.out << device << " is sound.\n";
        return 0;
    }
    for (const std::string& finding : findings) session.console.err << device << ": " << finding << "\n";
    return static_cast<int>(looked->seen.loaded ? ErrorCode::kDegraded : ErrorCode::kFailed);
}

}  // namespace kagami::cli
