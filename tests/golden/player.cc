#include "tests/golden/player.h"

#include <algorithm>
#include <cstdio>
#include <sstream>

#include "common/config/parameter.h"

namespace kagami::golden {
namespace {

using engine::OperatorVerb;

sim::WorldOptions calm_world(const Case& played) {
    sim::WorldOptions options;
    options.toml = played.toml;
    options.calm = true;
    options.drivers = false;
    return options;
}

std::string stamp(sim::Moment at) {
    char text[32];
    std::snprintf(text, sizeof text, "%8.2f s  ", seconds(at.time_since_epoch()));
    return text;
}

const char* word(engine::OperatorOutcome outcome) {
    switch (outcome) {
        case engine::OperatorOutcome::kAccepted: return "accepted";
        case engine::OperatorOutcome::kDone: return "done";
        case engine::OperatorOutcome::kRefused: return "refused";
        case engine::OperatorOutcome::kFailed: return "failed";
    }
    return "";
}

tl::unexpected<Error> usage(const std::string& form) {
    return fail(ErrorCode::kUsage, "write: " + form);
}

}  // namespace

Player::Player(const Case& played)
    : case_(played), world_(calm_world(played)), replicas_(world_, [this](const std::string& text) { write(text); }) {
    world_.on_decision = [this](const sim::Node& node, const engine::Decision& decision) {
        played_.reasons.insert(decision.reason);
        write(world_.name(node.id()) + ": " + decision.sentence);
        for (const std::string& rejected : decision.rejected) write("        not " + rejected);
    };
    world_.on_reply = [this](const sim::Node&, const engine::OperatorReply& reply) {
        write(std::string("answer: ") + word(reply.outcome) + ": " + reply.message +
              (reply.remedy.empty() ? "" : " (" + reply.remedy + ")"));
    };
    add_machine_commands();
    add_network_commands();
    add_service_commands();
    add_person_commands();
    add_mirror_commands();
    add_operation_commands();
    add_detail_commands();
    actions_["expect"] = [this](const Words& words) { return expect(words); };
}

Played Player::play() {
    for (const Command& command : case_.commands) {
        world_.run_until(sim::Moment{} + command.at);
        if (!world_.checker().violated().empty()) break;
        carry_out(command);
    }
    world_.run_until(sim::Moment{} + case_.end);
    write_places();
    if (!world_.checker().violated().empty())
        played_.failures.push_back(world_.checker().violated() + "\n" + world_.last_lines());
    return played_;
}

void Player::carry_out(const Command& command) {
    const auto action = actions_.find(command.words.front());
    const bool silent = command.words.front() == "expect";
    if (!silent && world_.now() > sim::Moment{}) write_places();
    if (!silent) write("> " + command.text);
    Status status = action == actions_.end() ? fail("unknown command \"" + command.words.front() + "\"")
                                             : action->second(command.words);
    if (!status)
        played_.failures.push_back(case_.path + ":" + std::to_string(command.line) + ": " + status.error().message);
}

void Player::write(const std::string& text) {
    played_.transcript += stamp(world_.now()) + text + "\n";
}

std::string Player::places_of(const std::string& group) {
    std::string places;
    for (size_t i = 0; i < world_.configured(); ++i) {
        const sim::Node& node = world_.at(i);
        if (!node.powered() || !node.machine().anything(group)) continue;
        const config::Group* known = world_.config().group(group);
        const bool all = known == nullptr || node.machine().active_resources(group).size() == known->resources.size();
        places += (places.empty() ? "" : " and ") + world_.name(node.id());
        if (node.machine().suspended(group)) {
            places += " (suspended)";
        } else if (!all) {
            places += " (in part)";
        }
    }
    return places.empty() ? "nowhere" : places;
}

void Player::write_places() {
    std::string text;
    for (const auto& [name, entry] : world_.checker().chosen().groups)
        text += (text.empty() ? "" : ", ") + name + " on " + places_of(name);
    const sim::Node* leader = world_.leader();
    write("= " + text + "; leader: " + (leader == nullptr ? "nobody" : world_.name(leader->id())));
}

// expect GROUP on NODE | expect GROUP nowhere | expect leader NODE|nobody
Status Player::expect(const Words& words) {
    if (words.size() < 3) return usage("expect GROUP on NODE, expect GROUP nowhere, or expect leader NODE");
    std::string wanted;
    for (size_t i = words[2] == "nowhere" || words[1] == "leader" ? 2 : 3; i < words.size(); ++i)
        wanted += (wanted.empty() ? "" : " ") + words[i];
    const sim::Node* leader = world_.leader();
    const std::string found = words[1] != "leader" ? places_of(words[1])
                              : leader == nullptr  ? "nobody"
                                                   : world_.name(leader->id());
    if (found != wanted) return fail("expected " + words[1] + ": " + wanted + ", found: " + found);
    return {};
}

Result<sim::Node*> Player::node(const Words& words, size_t index) {
    if (index >= words.size()) return usage(words[0] + " NODE ...");
    for (size_t i = 0; i < world_.count(); ++i) {
        if (world_.name(world_.at(i).id()) == words[index]) return &world_.at(i);
    }
    return fail("no node is called " + words[index]);
}

std::string Player::option(const Words& words, const std::string& key) const {
    const auto at = std::find(words.begin(), words.end(), key);
    return at == words.end() || at + 1 == words.end() ? "" : *(at + 1);
}

void Player::for_node(const std::string& command, std::function<void(sim::Node&)> action) {
    actions_[command] = [this, action = std::move(action)](const Words& words) -> Status {
        if (words.size() > 1 && words[1] == "all") {
            for (size_t i = 0; i < world_.count(); ++i) action(world_.at(i));
            return {};
        }
        auto found = node(words, 1);
        if (!found) return tl::unexpected(found.error());
        action(**found);
        return {};
    };
}

void Player::add_machine_commands() {
    for_node("boot", [](sim::Node& n) { n.power_on(); });
    for_node("power-off", [](sim::Node& n) { n.power_off(); });
    for_node("stop-daemon", [](sim::Node& n) { n.kill_daemon(); });
    for_node("start-daemon", [](sim::Node& n) { n.start_daemon(); });
    for_node("restart-daemon", [this](sim::Node& n) {
        n.kill_daemon();
        world_.queue().after(20ms, [&n] { n.start_daemon(); });
    });
    for_node("lose-store", [this](sim::Node& n) { world_.lose_store(n); });
    for_node("kill-fails", [](sim::Node& n) { n.guard().set_kill_fails(true); });
    const auto timed = [this](const std::string& command, std::function<void(sim::Node&, Duration)> action) {
        actions_[command] = [this, action = std::move(action)](const Words& words) -> Status {
            auto found = node(words, 1);
            if (!found) return tl::unexpected(found.error());
            const auto length = config::parse_duration(words.back());
            if (!length) return tl::unexpected(length.error());
            action(**found, *length);
            return {};
        };
    };
    timed("freeze", [this](sim::Node& n, Duration length) {
        n.freeze();
        world_.queue().after(length, [&n] { n.thaw(); });
    });
    timed("guard-kill", [](sim::Node& n, Duration away) { n.crash_guard(away); });
    timed("slow-disk", [](sim::Node& n, Duration takes) { n.disk().set_speed({takes, takes}); });
    timed("restore-store", [this](sim::Node& n, Duration at) {
        if (!world_.restore_store(n, sim::Moment{} + at))
            played_.failures.push_back("restore-store: the daemon runs, or there is no image that old");
    });
}

void Player::add_network_commands() {
    const auto between = [this](bool on) {
        return [this, on](const Words& words) -> Status {
            auto a = node(words, 1);
            auto b = node(words, 2);
            if (!a) return tl::unexpected(a.error());
            if (!b) return tl::unexpected(b.error());
            const std::string network = option(words, "network");
            if (network.empty()) {
                world_.cut((*a)->id(), (*b)->id(), on, words.back() == "one-way");
            } else {
                world_.network().cut_path((*a)->slot(), (*b)->slot(), network == "2" ? 1 : 0, on);
            }
            return {};
        };
    };
    actions_["cut"] = between(true);
    actions_["mend"] = between(false);
    for_node("isolate", [this](sim::Node& n) { world_.isolate(n.id(), true); });
    actions_["heal"] = [this](const Words&) -> Status {
        world_.heal_network();
        return {};
    };
    actions_["impostor"] = [this](const Words& words) { return impostor(words); };
}

// A second machine with the same node id: its heartbeats reach everybody for a while.
Status Player::impostor(const Words& words) {
    auto found = node(words, 1);
    if (!found) return tl::unexpected(found.error());
    const auto length = config::parse_duration(words.back());
    if (!length) return tl::unexpected(length.error());
    engine::Heartbeat beat;
    beat.incarnation = {(*found)->id(), (*found)->boot()};
    beat.incarnation.boot[15] = 0xee;
    beat.guard_alive = true;
    beat.timing_digest = world_.timing().digest;
    beat.voter.node = (*found)->id();
    for (Duration at{}; at < *length; at += world_.timing().renew) {
        world_.queue().after(at, [this, beat, from = *found] {
            for (size_t i = 0; i < world_.count(); ++i) {
                if (&world_.at(i) != from) world_.at(i).receive(from->id(), engine::encode(engine::Message(beat)));
            }
        });
    }
    return {};
}

// fail start RESOURCE on NODE xN
Status Player::trouble(const Words& words, bool hangs) {
    if (words.size() != 6 || words[5].front() != 'x' || (words[1] != "start" && words[1] != "stop"))
        return usage(words[0] + " start|stop RESOURCE on NODE xN");
    auto found = node(words, 4);
    if (!found) return tl::unexpected(found.error());
    const auto action = words[1] == "start" ? engine::ResourceAction::kActivate : engine::ResourceAction::kDeactivate;
    (*found)->machine().trouble(words[2], {action, std::stoi(words[5].substr(1)), hangs, false});
    return {};
}

void Player::add_service_commands() {
    actions_["fail"] = [this](const Words& words) { return trouble(words, false); };
    actions_["hang"] = [this](const Words& words) { return trouble(words, true); };
    actions_["service-dies"] = [this](const Words& words) -> Status {
        if (words.size() != 2) return usage("service-dies RESOURCE");
        for (const config::Group& group : world_.config().groups) {
            for (size_t i = 0; i < world_.configured(); ++i) world_.at(i).machine().service_dies(group.name, words[1]);
        }
        return {};
    };
    const auto monitor = [this](bool on) {
        return [this, on](const Words& words) -> Status {
            auto found = node(words, 3);
            if (!found) return tl::unexpected(found.error());
            (*found)->machine().monitor_fails(words[1], on);
            return {};
        };
    };
    actions_["monitor-error"] = monitor(true);
    actions_["monitor-normal"] = monitor(false);
}

// VERB SUBJECT [to NODE] [via NODE] [force|alone|halt|reboot]
Status Player::ask(OperatorVerb verb, const Words& words, engine::OperatorRequest request) {
    request.verb = verb;
    if (words.size() > 1 && request.bundle.empty()) request.subject = words[1];
    const auto has = [&](const char* word) { return std::find(words.begin(), words.end(), word) != words.end(); };
    request.force = has("force");
    request.alone = has("alone");
    request.dry_run = has("dry-run");
    request.halt = has("halt");
    request.reboot = has("reboot");
    const std::string target = option(words, "to");
    if (const config::Node* known = world_.config().node(target.empty() ? request.subject : target))
        request.node = known->id;
    const std::string via = option(words, "via");
    for (size_t i = 0; i < world_.configured(); ++i) {
        sim::Node& node = world_.at(i);
        if (!node.running() || (!via.empty() && world_.name(node.id()) != via)) continue;
        world_.ask(node, request);
        return {};
    }
    return fail("no daemon runs that could take the command");
}

// "\n" in a case stands for a new line.
std::string Player::with_lines(std::string text) {
    for (size_t at = text.find("\\n"); at != std::string::npos; at = text.find("\\n", at)) text.replace(at, 2, "\n");
    return text;
}

// apply `this` -> `that`: the configuration with one text replaced.
Status Player::apply(const Words& words) {
    std::string text;
    for (size_t i = 1; i < words.size(); ++i) text += (i > 1 ? " " : "") + words[i];
    const size_t arrow = text.find("` -> `");
    if (arrow == std::string::npos || text.front() != '`' || text.find('`', arrow + 6) == std::string::npos)
        return usage("apply `this` -> `that`");
    const size_t close = text.find('`', arrow + 6);
    const std::string from = with_lines(text.substr(1, arrow - 1));
    const std::string to = with_lines(text.substr(arrow + 6, close - arrow - 6));
    std::string toml = case_.toml;
    const size_t at = toml.find(from);
    if (at == std::string::npos) return fail("the configuration has no `" + from + "`");
    toml.replace(at, from.size(), to);
    const sim::Packed packed = sim::pack_configuration(toml);
    if (!packed.config) return fail(packed.problem);
    Words options = {words[0]};
    std::istringstream rest(text.substr(close + 1));
    for (std::string word; rest >> word;) options.push_back(word);
    engine::OperatorRequest request;
    request.bundle = packed.bundle;
    if (const std::string within = option(options, "within"); !within.empty()) {
        const auto length = config::parse_duration(within);
        if (!length) return tl::unexpected(length.error());
        request.amount = static_cast<uint32_t>(*length / 1s);
    }
    return ask(OperatorVerb::kConfigApply, options, request);
}

void Player::add_person_commands() {
    const auto verb = [this](OperatorVerb v) { return [this, v](const Words& words) { return ask(v, words); }; };
    actions_["start"] = verb(OperatorVerb::kGroupStart);
    actions_["stop"] = verb(OperatorVerb::kGroupStop);
    actions_["move"] = verb(OperatorVerb::kGroupMove);
    actions_["shutdown"] = verb(OperatorVerb::kNodeShutdown);
    actions_["return"] = verb(OperatorVerb::kNodeReturn);
    actions_["confirm-down"] = verb(OperatorVerb::kConfirmDown);
    actions_["cluster-start"] = [this](const Words& words) {
        return ask(OperatorVerb::kClusterStart, {words.begin() + 1, words.end()});
    };
    actions_["cluster-stop"] = [this](const Words& words) {
        return ask(OperatorVerb::kClusterStop, {words.begin() + 1, words.end()});
    };
    actions_["leader-move"] = [this](const Words& words) {
        return ask(OperatorVerb::kLeaderMove, {words.begin() + 1, words.end()});
    };
    actions_["config-confirm"] = verb(OperatorVerb::kConfigConfirm);
    actions_["apply"] = [this](const Words& words) { return apply(words); };
}

void Player::add_mirror_commands() {
    const auto played = [this](Status (Replicas::*what)(NodeId, const Words&)) {
        return [this, what](const Words& words) -> Status {
            const auto found = node(words, 1);
            if (!found) return tl::unexpected(found.error());
            return (replicas_.*what)((*found)->id(), words);
        };
    };
    actions_["mirror-report"] = played(&Replicas::report);
    actions_["wish"] = played(&Replicas::wish);
    const auto verb = [this](OperatorVerb v) { return [this, v](const Words& words) { return ask(v, words); }; };
    actions_["mirror-force"] = verb(OperatorVerb::kMirrorForce);
    actions_["mirror-resync"] = verb(OperatorVerb::kMirrorResync);
    actions_["mirror-cancel"] = verb(OperatorVerb::kMirrorCancel);
    actions_["mirror-break"] = verb(OperatorVerb::kMirrorBreak);
    actions_["mirror-rejoin"] = verb(OperatorVerb::kMirrorRejoin);
}

}  // namespace kagami::golden
