// What persons and machines do in an everyday cluster: the failover switch, maintenance, planned reboots, memory.
#include <algorithm>

#include "tests/golden/player.h"

namespace kagami::golden {
namespace {

using engine::MaintenanceKind;
using engine::MaintenanceScope;
using engine::OperatorVerb;

tl::unexpected<Error> usage(const std::string& form) {
    return fail(ErrorCode::kUsage, "write: " + form);
}

bool has(const std::vector<std::string>& words, const char* word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

uint32_t number(const std::string& word) {
    return word.empty() ? 0 : static_cast<uint32_t>(std::stoul(word));
}

}  // namespace

// memory NODE MIB | disk-space NODE MIB: what is free there from now on.
Status Player::measure(const Words& words) {
    auto found = node(words, 1);
    if (!found || words.size() != 3) return usage(words[0] + " NODE MIB");
    engine::MachineMeasured& measured = measured_[(*found)->id()];
    (words[0] == "memory" ? measured.memory_free_mib : measured.disk_free_mib) = number(words[2]);
    (*found)->feed(measured);
    return {};
}

// path-bad NODE PEER NETWORK [control] | paths-good NODE: what the node's channels find.
Status Player::paths(const Words& words) {
    auto from = node(words, 1);
    if (!from) return tl::unexpected(from.error());
    std::vector<engine::PathReport>& bad = bad_paths_[(*from)->id()];
    if (words[0] == "paths-good") {
        bad.clear();
    } else {
        auto peer = node(words, 2);
        if (!peer || words.size() < 4) return usage("path-bad NODE PEER NETWORK [control]");
        bad.push_back({(*peer)->id(), words[3], has(words, "control")});
    }
    (*from)->feed(engine::PathsSeen{bad});
    return {};
}

// foreign-timing NODE TIME: it asks for leases with another timing than the cluster's.
Status Player::foreign_timing(const Words& words) {
    auto from = node(words, 1);
    const auto length = config::parse_duration(words.back());
    if (!from || !length) return usage("foreign-timing NODE TIME");
    for (Duration at{}; at < *length; at += world_.timing().renew) {
        world_.queue().after(at, [this, node = *from] {
            engine::LeaseRequest request;
            request.incarnation = {node->id(), node->boot()};
            for (size_t i = 0; i < world_.count(); ++i)
                if (&world_.at(i) != node) world_.at(i).receive(node->id(), engine::encode(engine::Message(request)));
        });
    }
    return {};
}

// claims NODE GROUP TIME: its reports say that the group is active there, which it is not.
Status Player::claims(const Words& words) {
    auto found = node(words, 1);
    if (!found || words.size() != 4) return usage("claims NODE GROUP TIME");
    const auto length = config::parse_duration(words[3]);
    if (!length) return tl::unexpected(length.error());
    for (Duration at{}; at < *length; at += world_.timing().renew) {
        world_.queue().after(at, [this, from = *found, group = words[2]] {
            if (!from->running()) return;
            engine::NodeReport report = from->engine().snapshot(from->local_now()).own_report;
            ++report.serial;  // newer than what the others have
            std::erase_if(report.groups, [&](const engine::GroupReport& item) { return item.group == group; });
            engine::GroupReport claim;
            claim.group = group;
            claim.state = engine::GroupState::kActive;
            claim.token = world_.checker().chosen().groups.at(group).token;
            report.groups.push_back(claim);
            for (size_t i = 0; i < world_.count(); ++i)
                if (&world_.at(i) != from && !world_.at(i).witness())
                    world_.at(i).receive(from->id(), engine::encode(engine::Message(report)));
        });
    }
    return {};
}

// maintenance begin|end [node NODE|group GROUP] [unmanaged] [minutes N]
Status Player::maintenance(const Words& words) {
    if (words.size() < 2 || (words[1] != "begin" && words[1] != "end"))
        return usage("maintenance begin|end [node NODE|group GROUP] [unmanaged] [minutes N]");
    engine::OperatorRequest request;
    request.maintenance = has(words, "unmanaged") ? MaintenanceKind::kUnmanaged : MaintenanceKind::kObserve;
    request.minutes = number(option(words, "minutes"));
    const std::string of_node = option(words, "node");
    const std::string of_group = option(words, "group");
    request.scope = !of_node.empty()    ? MaintenanceScope::kNode
                    : !of_group.empty() ? MaintenanceScope::kGroup
                                        : MaintenanceScope::kCluster;
    request.subject = of_node + of_group;
    return tell(words[1] == "begin" ? OperatorVerb::kMaintenanceBegin : OperatorVerb::kMaintenanceEnd, words, request);
}

Status Player::failover(const Words& words) {
    if (words.size() < 2) return usage("failover on|off|force");
    const OperatorVerb verb = words[1] == "on"    ? OperatorVerb::kFailoverOn
                              : words[1] == "off" ? OperatorVerb::kFailoverOff
                                                  : OperatorVerb::kFailoverForce;
    return tell(verb, words, {});
}

// reboot NODE reserve MINUTES
Status Player::reserved_reboot(const Words& words) {
    if (words.size() < 2) return usage("reboot NODE [reserve MINUTES]");
    engine::OperatorRequest request;
    request.subject = words[1];
    request.reboot = true;
    request.minutes = number(option(words, "reserve"));
    return tell(OperatorVerb::kNodeShutdown, words, request);
}

// To the first daemon that runs, or to the one named by `via`.
Status Player::tell(OperatorVerb verb, const Words& words, engine::OperatorRequest request) {
    request.verb = verb;
    request.dry_run = words.back() == "dry-run";
    const std::string via = option(words, "via");
    for (size_t i = 0; i < world_.configured(); ++i) {
        sim::Node& node = world_.at(i);
        if (!node.running() || (!via.empty() && world_.name(node.id()) != via)) continue;
        world_.ask(node, request);
        return {};
    }
    return fail("no daemon runs that could take the command");
}

void Player::add_operation_commands() {
    actions_["memory"] = actions_["disk-space"] = [this](const Words& words) { return measure(words); };
    actions_["path-bad"] = actions_["paths-good"] = [this](const Words& words) { return paths(words); };
    actions_["foreign-timing"] = [this](const Words& words) { return foreign_timing(words); };
    actions_["claims"] = [this](const Words& words) { return claims(words); };
    actions_["maintenance"] = [this](const Words& words) { return maintenance(words); };
    actions_["failover"] = [this](const Words& words) { return failover(words); };
    actions_["reboot"] = [this](const Words& words) { return reserved_reboot(words); };
}

}  // namespace kagami::golden
