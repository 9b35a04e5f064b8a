#include "tests/sim/run.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <set>

#include "tests/sim/faults.h"

namespace kagami::sim {
namespace {

using engine::OperatorRequest;
using engine::OperatorVerb;

constexpr Duration kSettling = 60s;       // the first start
constexpr Duration kQuietEnd = 6min;      // after the faults
constexpr Duration kStartTimeouts = 14s;  // address and script with one retry each, as write_toml() sets them
constexpr Duration kResync = 20s;         // of any of our small mirrors, the register's part included
constexpr uint64_t kElectionsAfterHeal = 2;

class Run {
 public:
    explicit Run(const RunOptions& options)
        : options_(options), shape_(draw_shape(options)), world_(world_options()), faults_(world_, shape_) {}

    RunResult go() {
        world_.on_decision = [this](const Node&, const engine::Decision& decision) {
            if (decision.reason == engine::Reason::kHandedOver) ++hand_overs_;
            if (decision.reason == engine::Reason::kActive) gave_up_.erase(decision.subject);
            if (decision.reason == engine::Reason::kGroupNoPlace &&
                decision.sentence.find("failed on") != std::string::npos)
                gave_up_.insert(decision.subject);
        };
        current = this;
        world_.boot_all(options_.kind == Kind::kFaults ? 10s : 500ms);
        switch (options_.kind) {
            case Kind::kFaults: with_faults(); break;
            case Kind::kCalm: calm(); break;
            case Kind::kSingle: single(); break;
        }
        return result();
    }

 private:
    WorldOptions world_options() const {
        WorldOptions world;
        world.seed = options_.seed;
        world.toml = write_toml(shape_);
        world.paths = 1 + options_.seed % 2;
        world.hardware_watchdog = shape_.strict_group;  // strict groups rest on it (A2, A4)
        world.mutation = options_.mutation;
        world.verbose = options_.verbose;
        return world;
    }

    Moment end() const { return Moment{} + std::chrono::minutes(options_.minutes); }
    bool failed() const { return !world_.checker().violated().empty(); }
    void run_for(Duration length) { world_.run_until(world_.now() + length); }

    // The bound of L1, beside the time that daemons and connections need to come back.
    Duration recovery() const {
        return world_.timing().grant + world_.timing().prefer + kStartTimeouts + 2s + world_.config().startup_wait + 5s;
    }

    void with_faults() {
        const Moment heal = end() - kQuietEnd;
        faults_.schedule(20 + static_cast<int>(world_.random().below(20)), Moment{} + kSettling, heal - 10s);
        world_.run_until(heal);
        if (failed()) return;
        const uint64_t elections = world_.checker().elections();
        const uint64_t hand_overs = hand_overs_;
        faults_.heal();
        run_for(recovery());
        expect_groups(false);
        person_helps();
        run_for(recovery());
        if (faults_.mirrors().possible()) {
            faults_.mirrors().help_the_rest();
            run_for(kResync);
        }
        expect_groups(true);
        expect_mirrors();
        const uint64_t since = world_.checker().elections() - elections - (hand_overs_ - hand_overs);
        if (since > kElectionsAfterHeal) fail("L2", std::to_string(since) + " elections after everything worked again");
        stay_quiet();
    }

    void calm() {
        run_for(kSettling);
        expect_groups(false);
        expect_mirrors();
        if (world_.checker().elections() - hand_overs_ > 2) fail("calm", "more than two elections at the first start");
        stay_quiet();
    }

    void single() {
        run_for(kSettling);
        expect_groups(false);
        std::map<std::string, uint64_t> moves;
        for (const auto& group : world_.config().groups) moves[group.name] = world_.checker().moves(group.name);
        faults_.one();
        run_for(3min);
        faults_.heal();
        run_for(2min);
        expect_mirrors();
        for (const auto& [group, before] : moves) {
            const uint64_t times = world_.checker().moves(group) - before;
            if (times > 1) fail("L4", "group " + group + " moved " + std::to_string(times) + " times for one fault");
        }
    }

    // Until the end nothing happens any more.
    void stay_quiet() {
        if (failed()) return;
        const uint64_t elections = world_.checker().elections();
        const uint64_t suspensions = world_.checker().suspensions();
        std::map<std::string, uint64_t> moves;
        for (const auto& group : world_.config().groups) moves[group.name] = world_.checker().moves(group.name);
        world_.run_until(end());
        if (world_.checker().elections() != elections) fail("calm", "an election although nothing was wrong");
        if (world_.checker().suspensions() != suspensions) fail("calm", "a suspension although nothing was wrong");
        for (const auto& [group, before] : moves) {
            if (world_.checker().moves(group) != before)
                fail("calm", "group " + group + " moved although nothing was wrong");
        }
        expect_groups(options_.kind == Kind::kFaults);
    }

    // What a person does after a bad day: bring back who was isolated, start what was stopped.
    void person_helps() {
        if (failed()) return;
        Node* node = world_.leader();
        if (node == nullptr) return fail("L1", "nobody leads although everything works again");
        for (size_t i = 0; i < world_.count(); ++i) {
            world_.at(i).power_on();
            world_.at(i).start_daemon();
        }
        OperatorRequest request;
        request.verb = OperatorVerb::kClusterStart;
        world_.ask(*node, request);
        request.verb = OperatorVerb::kNodeReturn;
        for (const config::Node& known : world_.config().nodes) {
            request.subject = known.name;
            request.node = known.id;
            world_.ask(*node, request);
        }
        faults_.persons().help();
        faults_.mirrors().help();
        run_for(faults_.mirrors().possible() ? 15s : 1s);
        start_groups();
    }

    void start_groups() {
        Node* node = &world_.at(0);
        if (failed() || !node->running()) return;
        OperatorRequest request;
        request.verb = OperatorVerb::kGroupStart;
        const auto groups = world_.checker().chosen().groups;  // of now: it goes on to change
        for (const auto& [name, entry] : groups) {
            if (places(name) == 1) continue;
            if (entry.stop_failed) {  // the stop works now
                request.verb = OperatorVerb::kGroupStop;
                request.subject = name;
                world_.ask(*node, request);
                run_for(10s);
                request.verb = OperatorVerb::kGroupStart;
            }
            request.subject = name;
            world_.ask(*node, request);
        }
    }

    int places(const std::string& group) {
        int count = 0;
        const config::Group* known = current_config()->group(group);
        for (size_t i = 0; i < world_.configured(); ++i) {
            const Node& node = world_.at(i);
            const bool all =
                known != nullptr && node.machine().active_resources(group).size() == known->resources.size();
            if (node.powered() && !node.frozen() && all && node.machine().effects(group)) ++count;
        }
        return count;
    }

    std::shared_ptr<const config::Config> current_config() const {
        return parse_packed(world_.checker().chosen().config.packed);
    }

    // Whether the cluster must run the group without a person's help.
    bool wanted(const engine::GroupEntry& entry, const config::Group& group) const {
        const bool clean = !entry.held && !entry.stop_failed && entry.failed_on.empty() && entry.failovers == 0;
        return clean && group.start == config::StartAttribute::kAuto &&
               group.failover != config::FailoverAttribute::kManual && left_to_itself(entry);
    }

    // Nobody's order keeps the cluster from running it.
    bool left_to_itself(const engine::GroupEntry& entry) const {
        const engine::Document& document = world_.checker().chosen();
        const auto managed = [](const engine::Maintenance& m) { return m.kind == engine::MaintenanceKind::kNone; };
        const bool nodes = std::all_of(document.nodes.begin(), document.nodes.end(), [&](const auto& item) {
            return managed(item.second.maintenance) && item.second.reserved_minutes == 0;
        });
        const bool watched = std::all_of(document.monitors.begin(), document.monitors.end(), [](const auto& item) {
            return item.second.suspended.empty() && item.second.dummy_failure.empty();
        });
        const bool apart = shape_.exclusive == Exclusive::kAbsolute;  // more groups than nodes to hold them apart
        return document.failover.on && managed(document.maintenance) && managed(entry.maintenance) && nodes &&
               watched && entry.stopped_resources.empty() && !(apart && shape_.nodes == 2);
    }

    bool everybody_is_in() const {
        const engine::Document& document = world_.checker().chosen();
        for (size_t i = 0; i < world_.configured(); ++i) {
            const engine::NodeEntry& entry = document.node(world_.at(i).id());
            if (entry.state != engine::NodeState::kMember || entry.isolated) return false;
        }
        return !document.cluster_stopped;
    }

    void expect_groups(bool all) {
        if (failed() || (!all && !everybody_is_in() && options_.kind == Kind::kFaults && !shape_.auto_return)) return;
        const engine::Document& document = world_.checker().chosen();
        if (!all && document.cluster_stopped) return;
        const auto config = current_config();
        for (const auto& [name, entry] : document.groups) {
            const config::Group* group = config->group(name);
            if (group == nullptr || (!all && (!wanted(entry, *group) || !has_copy(name)))) continue;
            const int count = places(name);
            if (count != 1)
                fail("L1", "group " + name + " is active on " + std::to_string(count) + " nodes" +
                               (all ? " although a person has started it" : ""));
        }
    }

    void expect_mirrors() {
        for (const auto& pair : world_.mirrors()) {
            const std::string what = failed() ? "" : pair->checker().unfinished();
            if (!what.empty()) pair->violation("L3", what);
        }
    }

    // A mirror whose only current copy is lost needs a person, as does a group that failed where its only copy is.
    bool has_copy(const std::string& group) {
        for (const auto& pair : world_.mirrors()) {
            const mirror::Record* record = pair->checker().record();
            if (pair->spec().group != group) continue;
            if (record == nullptr || pair->checker().lost_copy(*record) || gave_up_.contains("group " + group))
                return false;
            for (const Side side : {Side{0}, Side{1}}) {
                const Driver& driver = pair->driver(side);
                const bool counts = record->standing(driver.node().id()) == mirror::Standing::kCurrent;
                if (counts && (!driver.attached() || driver.engine().report().disk == mirror::DiskState::kFailed))
                    return false;
            }
        }
        return true;
    }

    void fail(const std::string& invariant, const std::string& text) { world_.checker().violation(invariant, text); }

 public:
    // The story so far, when an assertion of the engine ends the process.
    static void tell_on_abort(int) {
        if (current != nullptr) {
            std::fprintf(stderr, "seed %llu: an assertion failed at %.6f s\n%sreproduce: %s\n",
                         static_cast<unsigned long long>(current->options_.seed),
                         seconds(current->world_.now().time_since_epoch()), current->world_.last_lines().c_str(),
                         command_of(current->options_).c_str());
        }
    }
    ~Run() { current = nullptr; }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

 private:
    RunResult result() {
        RunResult r;
        r.passed = !failed();
        r.invariant = world_.checker().invariant();
        r.failure = world_.checker().violated();
        if (!r.passed) r.story = world_.last_lines();
        r.cluster = std::to_string(shape_.nodes) + (shape_.witness ? " nodes + witness" : " nodes") + ", profile " +
                    shape_.profile;
        r.simulated = r.at = world_.now().time_since_epoch();
        r.faults = faults_.injected();
        r.messages = world_.messages();
        r.elections = world_.checker().elections();
        return r;
    }

    static inline Run* current = nullptr;

    RunOptions options_;
    Shape shape_;
    World world_;
    Faults faults_;
    uint64_t hand_overs_ = 0;
    std::set<std::string> gave_up_;  // decisions' subjects
};

}  // namespace

Shape draw_shape(const RunOptions& options) {
    Random random(options.seed ^ 0x5eed5eedULL);
    struct Size {
        int nodes;
        bool witness;
    };
    static const std::vector<Size> sizes = {{2, true},  {2, true},  {2, true}, {2, false},
                                            {2, false}, {3, false}, {4, true}, {5, false}};
    static const std::vector<std::string> profiles = {"test", "fast", "lan", "lan", "vm"};
    Size size = random.pick(sizes);
    Shape shape;
    shape.profile = random.pick(profiles);
    if (options.nodes != 0) size = {options.nodes, options.nodes % 2 == 0 && (options.nodes > 2 || random.chance(0.6))};
    if (!options.profile.empty()) shape.profile = options.profile;
    shape.nodes = size.nodes;
    shape.witness = size.witness;
    shape.strict_group = random.chance(0.5);
    shape.manual_group = random.chance(0.3);
    shape.auto_return = random.chance(0.8);
    shape.monitors = random.chance(0.7);
    shape.mirror = random.chance(0.7);
    shape.mirror_first = static_cast<int>(random.below(static_cast<uint64_t>(shape.nodes)));
    shape.initial_copy = random.chance(0.7);
    shape.exclusive = random.chance(0.7) ? Exclusive::kNo : random.pick(std::vector{Exclusive::kNormal, Exclusive::kAbsolute});
    shape.dynamic = random.chance(0.3);
    shape.waits = random.chance(0.3);
    shape.latch = random.chance(0.1);
    return shape;
}

RunResult run(const RunOptions& options) {
    std::signal(SIGABRT, Run::tell_on_abort);
    return Run(options).go();
}

std::string command_of(const RunOptions& options) {
    std::string text = "scripts/sim --seed " + std::to_string(options.seed);
    if (options.nodes != 0) text += " --nodes " + std::to_string(options.nodes);
    if (!options.profile.empty()) text += " --profile " + options.profile;
    if (options.minutes != 30) text += " --minutes " + std::to_string(options.minutes);
    if (options.kind == Kind::kCalm) text += " --calm";
    if (options.kind == Kind::kSingle) text += " --single";
    return text;
}

}  // namespace kagami::sim
