#include "common/config/diff.h"

#include <map>

namespace kagami::config {
namespace {

struct Scope {
    RestartScope kind = RestartScope::kNothing;
    std::string name;
};
constexpr RestartScope kCluster = RestartScope::kCluster;

// One named thing of the configuration as flat texts. An object that exists on one side only is one change, and hides
// its parts.
struct Object {
    std::string shown;  // as the new or old text when it is added or removed: "exec"
    Scope added;
    Scope removed;
    struct Field {
        std::string text;
        Scope scope;
    };
    std::map<std::string, Field> fields;
};
using Objects = std::map<std::string, Object>;  // by path; a parent sorts before its parts

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
    return text;
}

std::string yes(bool value) {
    return value ? "true" : "false";
}

Object cluster_object(const Config& config) {
    Object object;
    const Scope all{kCluster, ""};
    object.fields = {{"name", {config.cluster_name, all}},
                     {"comment", {config.comment, {}}},
                     {"profile", {config.profile, {}}},
                     {"lease", {format_duration(config.timing.hold), all}},
                     {"watchdog", {format_duration(config.timing.watchdog), all}},
                     {"reset", {format_duration(config.timing.reset), all}},
                     {"io", {format_duration(config.timing.io), all}},
                     {"startup_wait", {format_duration(config.startup_wait), {}}},
                     {"auto_return", {yes(config.auto_return), {}}},
                     {"failovers_per_hour", {std::to_string(config.failovers_per_hour), {}}},
                     {"failover_latch", {yes(config.failover_latch), {}}},
                     {"last_node_survives", {yes(config.last_node_survives), {}}},
                     {"final_action_limit", {std::to_string(config.final_action_limit), {}}},
                     {"final_action_reset", {format_duration(config.final_action_reset), {}}},
                     {"minimum_memory", {std::to_string(config.minimum_memory_mib), {}}},
                     {"minimum_disk", {std::to_string(config.minimum_disk_mib), {}}}};
    return object;
}

void add_networks(const Config& config, Objects& objects) {
    const Scope all{kCluster, ""};
    std::vector<std::string> order;
    for (const Network& network : config.networks) {
        std::vector<std::string> use;
        if (network.control) use.emplace_back("control");
        if (network.heartbeat) use.emplace_back("heartbeat");
        if (network.mirror) use.emplace_back("mirror");
        order.push_back(network.name);
        objects["network." + network.name] = {joined(use), all, all, {{"use", {joined(use), all}}}};
    }
    objects["order"].fields["networks"] = {joined(order), all};
}

void add_nodes(const Config& config, Objects& objects) {
    const Scope all{kCluster, ""};
    for (const Node& node : config.nodes) {
        Object object{"", {}, {}, {}};  // nodes come and go while the cluster runs
        object.fields["id"] = {std::to_string(node.id.value), all};
        object.fields["comment"] = {node.comment, {}};
        for (const auto& [network, address] : node.address) object.fields["address." + network] = {address, all};
        objects["node." + node.name] = std::move(object);
    }
}

void add_arbitration(const Config& config, Objects& objects) {
    const Scope all{kCluster, ""};
    Object& object = objects["arbitration"];
    object.fields["option"] = {std::string(word(config.arbitration.option)), all};
    for (const auto& [network, address] : config.arbitration.witness_address) {
        object.fields[network.empty() ? "witness.address" : "witness.address." + network] = {address, all};
    }
}

// Values that are the same on every node stand once; others once a node.
void add_values(const Config& config, const std::map<NodeId, Values>& values, const Scope& scope, Object& object) {
    if (values.empty()) return;
    for (const auto& [key, first] : values.begin()->second.all()) {
        bool same = true;
        for (const auto& [node, own] : values) same = same && own.list(key) == first;
        if (same) {
            object.fields[key] = {joined(first), scope};
            continue;
        }
        for (const auto& [node, own] : values)
            object.fields[key + "[" + config.node_name(node) + "]"] = {joined(own.list(key)), scope};
    }
}

std::string names_of(const Config& config, const std::vector<NodeId>& nodes) {
    std::vector<std::string> names;
    names.reserve(nodes.size());
    for (const NodeId node : nodes) names.push_back(config.node_name(node));
    return joined(names);
}

void add_server_groups(const Config& config, Objects& objects) {
    for (const ServerGroup& group : config.server_groups) {
        const std::string nodes = names_of(config, group.nodes);
        objects["server_group." + group.name] = {nodes, {}, {}, {{"nodes", {nodes, {}}}}};
    }
    for (const ExclusiveRule& rule : config.exclusive_rules) {
        const std::string groups = joined(rule.groups);
        objects["exclusive_rule." + rule.name] = {
            groups, {}, {}, {{"groups", {groups, {}}}, {"kind", {rule.absolute ? "absolute" : "normal", {}}}}};
    }
}

std::string stops_of(const StopWait& wait) {
    std::vector<std::string> stops;
    if (wait.at_cluster_stop) stops.emplace_back("cluster-stop");
    if (wait.at_node_stop) stops.emplace_back("node-stop");
    if (wait.at_group_stop) stops.emplace_back("group-stop");
    return joined(stops);
}

void add_waits(const Group& group, Object& object) {
    const StartWait& start = group.start_wait;
    const StopWait& stop = group.stop_wait;
    object.fields["start_wait.groups"] = {joined(start.groups), {}};
    object.fields["start_wait.same_node"] = {yes(start.same_node), {}};
    object.fields["start_wait.timeout"] = {format_duration(start.timeout), {}};
    object.fields["start_wait.on_timeout"] = {std::string(word(start.on_timeout)), {}};
    object.fields["stop_wait.groups"] = {joined(stop.groups), {}};
    object.fields["stop_wait.at"] = {stops_of(stop), {}};
    object.fields["stop_wait.timeout"] = {format_duration(stop.timeout), {}};
    object.fields["stop_wait.on_timeout"] = {std::string(word(stop.on_timeout)), {}};
}

Object resource_object(const Config& config, const Group& group, const Resource& resource) {
    const Scope scope{RestartScope::kGroup, group.name};
    Object object{resource.type, scope, scope, {}};
    const ActivationFailure& start = resource.on_activation_failure;
    const DeactivationFailure& stop = resource.on_deactivation_failure;
    object.fields = {{"type", {resource.type, scope}},
                     {"comment", {resource.comment, {}}},
                     {"after", {joined(resource.after), {}}},
                     {"activate_timeout", {format_duration(resource.activate_timeout), {}}},
                     {"deactivate_timeout", {format_duration(resource.deactivate_timeout), {}}},
                     {"on_activation_failure.retry", {std::to_string(start.retry), {}}},
                     {"on_activation_failure.failover", {std::to_string(start.failover), {}}},
                     {"on_activation_failure.final", {std::string(word(start.final)), {}}},
                     {"on_deactivation_failure.retry", {std::to_string(stop.retry), {}}},
                     {"on_deactivation_failure.final", {std::string(word(stop.final)), {}}},
                     {"scripts.before_activation", {resource.scripts.before_activation, {}}},
                     {"scripts.after_activation", {resource.scripts.after_activation, {}}},
                     {"scripts.before_deactivation", {resource.scripts.before_deactivation, {}}},
                     {"scripts.after_deactivation", {resource.scripts.after_deactivation, {}}},
                     {"scripts.before_final", {resource.scripts.before_final, {}}},
                     {"scripts.timeout", {format_duration(resource.scripts.timeout), {}}}};
    add_values(config, resource.values, scope, object);
    return object;
}

void add_groups(const Config& config, Objects& objects) {
    for (const Group& group : config.groups) {
        Object object{"", {}, {RestartScope::kGroup, group.name}, {}};
        object.fields = {{"comment", {group.comment, {}}},
                         {"nodes", {names_of(config, group.nodes), {}}},
                         {"kind", {group.kind == GroupKind::kFailover ? "failover" : "management", {}}},
                         {"forced_failover", {yes(group.forced_failover), {}}},
                         {"smart_failover", {yes(group.smart_failover), {}}},
                         {"server_groups", {joined(group.server_groups), {}}},
                         {"server_group_policy", {std::string(word(group.server_group_policy)), {}}},
                         {"check_both_active", {yes(group.check_both_active), {}}},
                         {"start", {group.start == StartAttribute::kAuto ? "auto" : "manual", {}}},
                         {"failover", {std::string(word(group.failover)), {}}},
                         {"failback", {group.failback ? "auto" : "manual", {}}},
                         {"exclusion", {group.exclusion == ExclusionKind::kData ? "data" : "strict", {}}}};
        add_waits(group, object);
        const std::string path = "group." + group.name;
        objects[path] = std::move(object);
        for (const Resource& resource : group.resources) {
            objects[path + ".resource." + resource.name] = resource_object(config, group, resource);
        }
    }
}

void add_monitors(const Config& config, Objects& objects) {
    for (const Monitor& monitor : config.monitors) {
        const Scope scope{RestartScope::kMonitor, monitor.name};
        Object object{monitor.type, {}, scope, {}};
        object.fields = {{"type", {monitor.type, scope}},
                         {"comment", {monitor.comment, {}}},
                         {"target", {monitor.target, scope}},
                         {"group", {monitor.target_group, scope}},
                         {"interval", {format_duration(monitor.interval), scope}},
                         {"timeout", {format_duration(monitor.timeout), scope}},
                         {"start_wait", {format_duration(monitor.start_wait), scope}},
                         {"retry", {std::to_string(monitor.retry), scope}},
                         {"on_error.script", {std::to_string(monitor.on_error.script), {}}},
                         {"on_error.restart", {std::to_string(monitor.on_error.restart), {}}},
                         {"on_error.failover", {std::to_string(monitor.on_error.failover), {}}},
                         {"on_error.final", {std::string(word(monitor.on_error.final)), {}}},
                         {"on_error.script_before_restart", {yes(monitor.on_error.script_before_restart), {}}},
                         {"on_error.script_before_failover", {yes(monitor.on_error.script_before_failover), {}}},
                         {"on_error.script_before_final", {yes(monitor.on_error.script_before_final), {}}},
                         {"on_error.script_timeout", {format_duration(monitor.on_error.script_timeout), {}}},
                         {"retry_on_timeout", {yes(monitor.retry_on_timeout), {}}},
                         {"recover_on_timeout", {yes(monitor.recover_on_timeout), {}}},
                         {"delay_warning", {std::to_string(monitor.delay_warning), {}}},
                         {"nice", {std::to_string(monitor.nice), scope}},
                         {"recover", {std::string(word(monitor.recovery_target)), {}}}};
        add_values(config, monitor.values, scope, object);
        objects["monitor." + monitor.name] = std::move(object);
    }
}

std::string channels_of(const AlertRoute& route) {
    std::vector<std::string> channels;
    if (route.syslog) channels.emplace_back("syslog");
    if (route.mail) channels.emplace_back("mail");
    if (route.webhook) channels.emplace_back("webhook");
    return channels.empty() ? "nowhere" : joined(channels);
}

void add_alerts(const Alerts& alerts, Objects& objects) {
    objects["alerts"].fields = {{"syslog", {yes(alerts.syslog), {}}}};
    if (alerts.mail) {
        const MailAlerts& mail = *alerts.mail;
        Object object{mail.server, {}, {}, {}};
        object.fields = {{"server", {mail.server, {}}},
                         {"port", {std::to_string(mail.port), {}}},
                         {"tls", {std::string(word(mail.tls)), {}}},
                         {"ca_file", {mail.ca_file, {}}},
                         {"user", {mail.user, {}}},
                         {"password_file", {mail.password_file, {}}},
                         {"from", {mail.from, {}}},
                         {"to", {joined(mail.to), {}}},
                         {"subject_prefix", {mail.subject_prefix, {}}},
                         {"minimum_level", {std::string(word(mail.minimum)), {}}}};
        objects["alerts.mail"] = std::move(object);
    }
    for (const WebhookAlerts& webhook : alerts.webhooks) {
        Object object{"", {}, {}, {}};
        object.fields = {{"secret_file", {webhook.secret_file, {}}},
                         {"ca_file", {webhook.ca_file, {}}},
                         {"minimum_level", {std::string(word(webhook.minimum)), {}}}};
        objects["alerts.webhook." + webhook.url] = std::move(object);
    }
    for (const AlertRoute& route : alerts.routes) {
        const std::string channels = channels_of(route);
        objects["alerts.route." + route.message] = {channels, {}, {}, {{"channels", {channels, {}}}}};
    }
}

Objects flatten(const Config& config) {
    Objects objects;
    objects["cluster"] = cluster_object(config);
    add_networks(config, objects);
    add_nodes(config, objects);
    add_arbitration(config, objects);
    add_server_groups(config, objects);
    add_groups(config, objects);
    add_monitors(config, objects);
    add_alerts(config.alerts, objects);
    return objects;
}

Change change(ChangeKind kind, std::string path, std::string old_text, std::string new_text, const Scope& scope) {
    return {kind, std::move(path), std::move(old_text), std::move(new_text), scope.kind, scope.name};
}

void diff_fields(const std::string& path, const Object& from, const Object& to, std::vector<Change>& changes) {
    const std::string prefix = path + ".";
    for (const auto& [key, old_field] : from.fields) {
        const auto found = to.fields.find(key);
        const std::string at = prefix + key;
        if (found == to.fields.end()) {
            changes.push_back(change(ChangeKind::kRemoved, at, old_field.text, "", old_field.scope));
        } else if (found->second.text != old_field.text) {
            changes.push_back(change(ChangeKind::kChanged, at, old_field.text, found->second.text, old_field.scope));
        }
    }
    for (const auto& [key, field] : to.fields) {
        if (!from.fields.contains(key))
            changes.push_back(change(ChangeKind::kAdded, prefix + key, "", field.text, field.scope));
    }
}

// "group.web" is the parent of "group.web.resource.fip1".
bool has_parent_in(const std::string& path, const Objects& own, const Objects& other) {
    const size_t at = path.find(".resource.");
    if (at == std::string::npos) return false;
    const std::string parent = path.substr(0, at);
    return own.contains(parent) && !other.contains(parent);
}

// A value on a node that comes or goes: nothing runs there yet, or any more.
bool is_of_one_side(const Config& from, const Config& to, const std::string& path) {
    const size_t at = path.find('[');
    if (at == std::string::npos || path.back() != ']') return false;
    const std::string node = path.substr(at + 1, path.size() - at - 2);
    return from.node(node) == nullptr || to.node(node) == nullptr;
}

}  // namespace

std::vector<Change> diff(const Config& from, const Config& to) {
    const Objects olds = flatten(from);
    const Objects news = flatten(to);
    std::vector<Change> changes;
    for (const auto& [path, object] : olds) {
        const auto found = news.find(path);
        if (found != news.end()) {
            diff_fields(path, object, found->second, changes);
        } else if (!has_parent_in(path, olds, news)) {
            changes.push_back(change(ChangeKind::kRemoved, path, object.shown, "", object.removed));
        }
    }
    for (const auto& [path, object] : news) {
        if (olds.contains(path) || has_parent_in(path, news, olds)) continue;
        changes.push_back(change(ChangeKind::kAdded, path, "", object.shown, object.added));
    }
    for (Change& found : changes)
        if (is_of_one_side(from, to, found.path)) found.restarts = RestartScope::kNothing;
    return changes;
}

std::vector<Change> diff_scripts(const Bundle& from, const Bundle& to) {
    std::vector<Change> changes;
    for (const auto& [name, content] : from.scripts) {
        const auto found = to.scripts.find(name);
        if (found == to.scripts.end()) changes.push_back(change(ChangeKind::kRemoved, "script." + name, "", "", {}));
        if (found != to.scripts.end() && found->second != content)
            changes.push_back(change(ChangeKind::kChanged, "script." + name, "", "", {}));
    }
    for (const auto& [name, content] : to.scripts) {
        if (!from.scripts.contains(name)) changes.push_back(change(ChangeKind::kAdded, "script." + name, "", "", {}));
    }
    return changes;
}

std::string restart_words(const Change& change) {
    switch (change.restarts) {
        case RestartScope::kNothing: return "nothing restarts";
        case RestartScope::kMonitor: return "restarts monitor " + change.restarts_name;
        case RestartScope::kGroup:
            return (change.kind == ChangeKind::kRemoved && change.path == "group." + change.restarts_name
                        ? "stops group "
                        : "restarts group ") +
                   change.restarts_name;
        case RestartScope::kCluster: return "restarts the cluster";
    }
    return "";
}

}  // namespace kagami::config
