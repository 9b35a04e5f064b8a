#include "tests/sim/persons.h"

#include "common/config/parameter.h"

namespace kagami::sim {

using engine::MaintenanceKind;
using engine::MaintenanceScope;
using engine::OperatorRequest;
using engine::OperatorVerb;

Node* Persons::someone_running() {
    const Node& first = any_node();
    for (size_t i = 0; i < world_.configured(); ++i) {
        Node& node = world_.at((first.slot() + i) % world_.configured());
        if (node.running()) return &node;
    }
    return nullptr;
}

std::string Persons::any_group() {
    return random().pick(world_.config().groups).name;
}

std::string Persons::any_resource() {
    return random().pick(random().pick(world_.config().groups).resources).name;
}

std::string Persons::or_nonsense(std::string name) {
    return random().chance(0.95) ? name : "nonsense";
}

// Every tenth command is only tried out.
void Persons::ask(OperatorRequest request, const std::string& words) {
    Node* node = someone_running();
    if (node == nullptr) return;
    request.dry_run = random().chance(0.1);
    world_.note_fault("a person on " + world_.name(node->id()) + (request.dry_run ? " tries: " : ": ") + words);
    world_.ask(*node, request);
}

void Persons::act() {
    const uint64_t dice = random().below(100);
    if (dice < 40) return group_command();
    if (dice < 60) return node_command();
    if (dice < 70) return apply_configuration();
    if (dice < 76) return resource_command();
    if (dice < 82) return monitor_command();
    if (dice < 88) return failover_command();
    if (dice < 95) return maintenance_command();
    setting_command();
}

void Persons::apply_configuration() {
    ++shape_.comment;
    if (random().chance(0.3)) shape_.monitors = !shape_.monitors;
    if (random().chance(0.2)) shape_.manual_group = !shape_.manual_group;
    if (random().chance(0.2)) shape_.exclusive = static_cast<Exclusive>(random().below(3));
    if (random().chance(0.2)) shape_.dynamic = !shape_.dynamic;
    if (random().chance(0.2)) shape_.app_version = static_cast<int>(random().below(3));
    OperatorRequest request;
    request.verb = random().chance(0.85) ? OperatorVerb::kConfigApply : OperatorVerb::kConfigConfirm;
    request.bundle = pack_configuration(write_toml(shape_)).bundle;
    if (random().chance(0.1)) request.bundle.pop_back();  // damaged
    if (random().chance(0.3)) request.amount = 30;        // to be confirmed
    request.force = random().chance(0.3);
    ask(request, request.verb == OperatorVerb::kConfigApply ? "applies a configuration" : "confirms the configuration");
}

void Persons::group_command() {
    OperatorRequest request;
    const std::vector<OperatorVerb> verbs = {OperatorVerb::kGroupStart, OperatorVerb::kGroupStop,
                                             OperatorVerb::kGroupMove, OperatorVerb::kGroupMove};
    request.verb = random().pick(verbs);
    request.subject = or_nonsense(any_group());
    if (random().chance(0.5)) request.node = random().chance(0.95) ? any_node().id() : NodeId{17};
    request.force = random().chance(0.1);
    ask(request, "group command " + std::to_string(static_cast<int>(request.verb)) + " for " + request.subject);
}

void Persons::node_command() {
    OperatorRequest request;
    const Node& target = any_node();
    request.subject = world_.name(target.id());
    request.node = target.id();
    const uint64_t dice = random().below(10);
    request.verb = dice < 4   ? OperatorVerb::kNodeShutdown
                   : dice < 7 ? OperatorVerb::kNodeReturn
                   : dice < 8 ? OperatorVerb::kClusterStart
                              : OperatorVerb::kClusterStop;
    request.reboot = random().chance(0.4);
    request.halt = !request.reboot && random().chance(0.5);
    if (request.reboot && random().chance(0.4)) request.minutes = 1 + static_cast<uint32_t>(random().below(3));
    if (!target.powered() && dice < 7) request.verb = OperatorVerb::kConfirmDown;
    ask(request, "node command " + std::to_string(static_cast<int>(request.verb)) + " for " + request.subject);
}

void Persons::resource_command() {
    OperatorRequest request;
    request.verb = random().chance(0.5) ? OperatorVerb::kResourceStop : OperatorVerb::kResourceStart;
    request.subject = or_nonsense(any_resource());
    request.force = random().chance(0.5);
    ask(request, std::string(request.verb == OperatorVerb::kResourceStop ? "stops" : "starts") + " resource " +
                     request.subject);
}

void Persons::monitor_command() {
    OperatorRequest request;
    const std::vector<OperatorVerb> verbs = {OperatorVerb::kMonitorSuspend, OperatorVerb::kMonitorResume,
                                             OperatorVerb::kMonitorDummyOn, OperatorVerb::kMonitorDummyOff,
                                             OperatorVerb::kMonitorClear};
    request.verb = random().pick(verbs);
    if (!world_.config().monitors.empty() && random().chance(0.8))
        request.subject = or_nonsense(random().pick(world_.config().monitors).name);
    if (random().chance(0.5)) request.node = any_node().id();
    ask(request, "monitor command " + std::to_string(static_cast<int>(request.verb)) + " for " +
                     (request.subject.empty() ? "all" : request.subject));
}

void Persons::failover_command() {
    OperatorRequest request;
    const std::vector<OperatorVerb> verbs = {OperatorVerb::kFailoverOn, OperatorVerb::kFailoverOff,
                                             OperatorVerb::kFailoverForce, OperatorVerb::kLeaderMove};
    request.verb = random().pick(verbs);
    if (random().chance(0.5)) request.node = any_node().id();
    ask(request, "failover command " + std::to_string(static_cast<int>(request.verb)));
}

void Persons::maintenance_command() {
    OperatorRequest request;
    request.verb = random().chance(0.6) ? OperatorVerb::kMaintenanceBegin : OperatorVerb::kMaintenanceEnd;
    request.scope = static_cast<MaintenanceScope>(random().below(3));
    const Node& target = any_node();
    if (request.scope == MaintenanceScope::kNode) {
        request.subject = world_.name(target.id());
        request.node = target.id();
    }
    if (request.scope == MaintenanceScope::kGroup) request.subject = or_nonsense(any_group());
    request.maintenance = random().chance(0.7) ? MaintenanceKind::kObserve : MaintenanceKind::kUnmanaged;
    request.minutes = static_cast<uint32_t>(random().below(4));
    ask(request, std::string(request.verb == OperatorVerb::kMaintenanceBegin ? "begins" : "ends") + " maintenance of " +
                     (request.subject.empty() ? "the cluster" : request.subject));
}

void Persons::setting_command() {
    OperatorRequest request;
    request.verb = random().chance(0.6) ? OperatorVerb::kTimeoutRatio : OperatorVerb::kFinalActionsClear;
    request.amount = static_cast<uint32_t>(random().below(5));
    request.minutes = 1 + static_cast<uint32_t>(random().below(3));
    ask(request, "setting " + std::to_string(static_cast<int>(request.verb)));
}

void Persons::give(OperatorVerb verb, const std::string& subject) {
    Node* node = world_.leader();
    if (node == nullptr) return;
    OperatorRequest request;
    request.verb = verb;
    request.subject = subject;
    request.amount = 1;
    request.force = verb == OperatorVerb::kResourceStart;  // with what it comes after
    world_.ask(*node, request);
}

void Persons::help() {
    const engine::Document document = world_.checker().chosen();
    const auto end_maintenance = [this](MaintenanceScope scope, const std::string& subject, NodeId id) {
        Node* node = world_.leader();
        if (node == nullptr) return;
        OperatorRequest request;
        request.verb = OperatorVerb::kMaintenanceEnd;
        request.scope = scope;
        request.subject = subject;
        request.node = id;
        world_.ask(*node, request);
    };
    if (document.unconfirmed) give(OperatorVerb::kConfigConfirm, "");
    if (document.maintenance.kind != MaintenanceKind::kNone) end_maintenance(MaintenanceScope::kCluster, "", kNobody);
    for (const auto& [id, entry] : document.nodes)
        if (entry.maintenance.kind != MaintenanceKind::kNone)
            end_maintenance(MaintenanceScope::kNode, world_.name(id), id);
    for (const auto& [name, entry] : document.groups) {
        if (entry.maintenance.kind != MaintenanceKind::kNone) end_maintenance(MaintenanceScope::kGroup, name, kNobody);
        for (const std::string& resource : entry.stopped_resources) give(OperatorVerb::kResourceStart, resource);
    }
    give(OperatorVerb::kMonitorDummyOff, "");
    give(OperatorVerb::kMonitorResume, "");
    give(OperatorVerb::kTimeoutRatio, "");
    if (!document.failover.on) give(OperatorVerb::kFailoverOn, "");
}

}  // namespace kagami::sim
