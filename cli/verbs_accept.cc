// `kagami accept`: carries the evaluation out from outside the cluster, for its nodes go down in turn. It reaches them
// and switches them on by the commands that it is given.
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "cli/acceptance.h"
#include "cli/change.h"
#include "cli/json.h"
#include "cli/program.h"
#include "cli/table.h"
#include "cli/verbs.h"

namespace kagami::cli {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

constexpr Duration kCommandLimit = 10min;
constexpr Duration kLook = 300ms;  // between two looks at the cluster
constexpr size_t kMaxOutput = size_t{8} << 20U;

struct Plan {
    Cast cast;
    Variant variant = Variant::kAutomatic;
    std::string first;
    std::string through;  // "ssh root@{node}"
    std::string boot;     // empty = a person does it
    std::string check;    // empty = none
    Duration limit{};     // of a step
};

struct Outcome {
    Step step;
    std::string found;   // row
    std::string answer;  // what the commands said
    double seconds = 0;
    bool passed = false;
};

std::string replaced(std::string text, const std::string& what, const std::string& by) {
    for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
        text.replace(at, what.size(), by);
    return text;
}

// "ssh root@{node}" -> {"ssh", "root@node1"}; words are separated by blanks, no shell is involved.
std::vector<std::string> words_of(const std::string& command, const std::string& node, int step = 0) {
    std::vector<std::string> words;
    std::istringstream in(command);
    for (std::string word; in >> word;)
        words.push_back(replaced(replaced(word, "{node}", node), "{step}", std::to_string(step)));
    return words;
}

class Run {
 public:
    Run(Session& session, Plan plan) : console_(session.console), plan_(std::move(plan)) {}

    std::vector<Outcome> all() {
        std::vector<Outcome> outcomes;
        for (const Step& step : evaluation(plan_.cast, plan_.variant, plan_.first)) {
            console_.err << step.number << ". " << step.text << " ..." << std::flush;
            outcomes.push_back(one(step));
            console_.err << (outcomes.back().passed ? " " : " FAILED: ") << outcomes.back().found << "\n";
            if (!outcomes.back().passed) break;  // what follows would start from another place
        }
        return outcomes;
    }

 private:
    Outcome one(const Step& step) {
        const auto begun = Clock::now();
        answer_.clear();
        Outcome outcome{step, "", "", 0, false};
        Status done = carry_out(step);
        if (done) done = wait_for(step, outcome);
        if (done) done = check(step);
        if (done) done = told_where(step);
        outcome.seconds = std::chrono::duration<double>(Clock::now() - begun).count();
        outcome.answer = answer_;
        if (!done) outcome.answer += (answer_.empty() ? "" : "; ") + done.error().message;
        if (outcome.found.empty()) outcome.found = row_of(look().value_or(nobody()), plan_.cast);
        outcome.passed = done.has_value();
        return outcome;
    }

    static Placement nobody() { return {"", "", "", false, false}; }

    Status carry_out(const Step& step) {
        switch (step.operation) {
            case Operation::kObserve: return {};
            case Operation::kStopGroups: return each_group({"group", "stop", "{group}", "--yes", "--wait"});
            case Operation::kStartGroups: return each_group({"group", "start", "{group}", "--wait"});
            case Operation::kShutdownNode: return kagami(step.node, {"node", "shutdown", step.node, "--yes"});
            case Operation::kBootNode: return boot(step.node);
            case Operation::kReturnNode: return bring_back(step.node);
            case Operation::kMoveHome: return move_home();
            case Operation::kShutdownCluster: return on_any({"cluster", "shutdown", "--yes"});
            case Operation::kBootBoth: return boot_both(step);
            case Operation::kReturnBoth: {
                const Status one = bring_back(plan_.cast.one);
                return one ? bring_back(plan_.cast.two) : one;
            }
            case Operation::kStartOnFirst: return start_on_purpose(step);
        }
        return {};
    }

    // ---- commands ----

    Status run(const std::vector<std::string>& command) {
        const auto ended = run_program(command, kMaxOutput, kCommandLimit);
        if (!ended) return tl::unexpected(ended.error());
        std::string said = ended->output;
        while (!said.empty() && said.back() == '\n') said.pop_back();
        if (!said.empty()) answer_ += (answer_.empty() ? "" : "; ") + replaced(said, "\n", "; ");
        if (ended->status == 0) return {};
        return fail(command.back() + " ended with status " + std::to_string(ended->status) + ": " + said);
    }

    std::vector<std::string> command_on(const std::string& node, const std::vector<std::string>& arguments) const {
        std::vector<std::string> command = words_of(plan_.through, node);
        command.emplace_back("kagami");
        command.insert(command.end(), arguments.begin(), arguments.end());
        return command;
    }

    Status kagami(const std::string& node, const std::vector<std::string>& arguments) {
        return run(command_on(node, arguments));
    }

    // On the first node that answers.
    Status on_any(const std::vector<std::string>& arguments) {
        for (const std::string& node : {plan_.cast.one, plan_.cast.two})
            if (status_of(node)) return kagami(node, arguments);
        return fail("no node answers");
    }

    Status each_group(std::vector<std::string> arguments) {
        for (const std::string& group : {plan_.cast.a, plan_.cast.b}) {
            arguments[2] = group;
            if (Status done = on_any(arguments); !done) return done;
        }
        return {};
    }

    Status boot(const std::string& node) {
        if (plan_.boot.empty()) {
            console_.err << "\nSwitch " << node << " on, then press Enter: " << std::flush;
            std::string line;
            if (!std::getline(console_.in, line)) return fail("nobody could be asked to switch " + node + " on");
            return {};
        }
        Status done;
        const auto until = Clock::now() + plan_.limit;
        do {  // it may still be on its way down
            if (done = run(words_of(plan_.boot, node)); done) return done;
            std::this_thread::sleep_for(kLook);
        } while (Clock::now() < until);
        return done;
    }

    Status boot_both(const Step& step) {
        for (const std::string& node : {plan_.cast.one, plan_.cast.two})
            if (Status done = boot(node); !done) return done;
        if (plan_.variant == Variant::kAutomatic || step.expected.a.empty()) return {};
        if (Status up = wait_members(); !up) return up;
        return each_group({"group", "start", "{group}", "--wait"});  // they wait for that
    }

    Status bring_back(const std::string& node) {
        return plan_.variant == Variant::kAutomatic ? Status{} : on_any({"node", "return", node, "--wait"});
    }

    Status move_home() {
        const Result<Placement> now = look();
        if (!now) return tl::unexpected(now.error());
        const Cast& cast = plan_.cast;
        const std::vector<std::tuple<std::string, std::string, std::string>> homes = {
            {cast.a, now->a, cast.one}, {cast.b, now->b, cast.two}, {cast.management, now->management, cast.one}};
        for (const auto& [group, place, home] : homes) {
            if (place == home) continue;
            if (Status done = on_any({"group", "move", group, "--to", home, "--wait"}); !done) return done;
        }
        return {};
    }

    // In the automatic variant they run already: then the refusal names the node.
    Status start_on_purpose(const Step& step) {
        for (const std::string& group : {plan_.cast.a, plan_.cast.b}) {
            const Status done = on_any({"group", "start", group, "--to", step.node, "--wait"});
            if (!done && plan_.variant == Variant::kManual) return done;
        }
        return {};
    }

    // The answer says where the latest data is.
    Status told_where(const Step& step) const {
        if (step.operation != Operation::kStartOnFirst || answer_.find(step.expected.a) != std::string::npos) return {};
        return fail("the answer does not name " + step.expected.a + ", where the latest data is");
    }

    // ---- looking ----

    Result<control::v1::Status> status_of(const std::string& node) const {
        const auto ended = run_program(command_on(node, {"status", "--json"}), kMaxOutput, 20s, Errors::kDropped);
        if (!ended) return tl::unexpected(ended.error());
        if (ended->status != 0) return fail(node + " does not answer");
        return status_from_json(ended->output);
    }

    Result<Placement> look() {
        for (const std::string& node : {plan_.cast.one, plan_.cast.two}) {
            const auto status = status_of(node);
            if (!status) continue;
            mirrors_well_ = true;
            for (const auto& mirror : status->mirrors()) mirrors_well_ = mirrors_well_ && mirror.state() == "Normal";
            return placement_of(*status, plan_.cast);
        }
        return nobody();
    }

    Status wait_members() {
        const auto until = Clock::now() + plan_.limit;
        while (Clock::now() < until) {
            const Result<Placement> now = look();
            if (now && now->one_up && now->two_up) return {};
            std::this_thread::sleep_for(kLook);
        }
        return fail("not both nodes are back in the cluster");
    }

    // With both nodes up and the groups running, the copies must be equal before the next step.
    bool well(const Step& step, const Placement& now) const {
        const bool copies = step.expected.one_up && step.expected.two_up && !step.expected.a.empty();
        return now == step.expected && (!copies || mirrors_well_);
    }

    Status wait_for(const Step& step, Outcome& outcome) {
        const auto until = Clock::now() + plan_.limit;
        do {
            const Result<Placement> now = look();
            if (now) outcome.found = row_of(*now, plan_.cast);
            if (now && well(step, *now)) return {};
            std::this_thread::sleep_for(kLook);
        } while (Clock::now() < until);
        const std::string wanted = row_of(step.expected, plan_.cast);
        return fail(ErrorCode::kTimedOut, outcome.found == wanted ? "the copies of the mirrors did not become equal in time"
                                                                  : "expected " + wanted + ", found " + outcome.found);
    }

    Status check(const Step& step) {
        if (plan_.check.empty()) return {};
        return run(words_of(plan_.check, step.node, step.number));
    }

    Console& console_;
    Plan plan_;
    std::string answer_;
    bool mirrors_well_ = false;
};

Result<Plan> plan_of(const Arguments& arguments) {
    Plan plan;
    const std::vector<std::string> nodes = arguments.texts("nodes");
    if (nodes.size() != 2)
        return fail(ErrorCode::kUsage, "the evaluation needs two nodes", "give --nodes NODE1 --nodes NODE2");
    const auto named = [&](const char* option, const char* absent) {
        return arguments.has(option) ? arguments.text(option) : std::string(absent);
    };
    plan.cast = {nodes[0], nodes[1], named("group-a", "A"), named("group-b", "B"), named("management", "T")};
    const std::string variant = named("variant", "automatic");
    if (variant != "automatic" && variant != "manual")
        return fail(ErrorCode::kUsage, "--variant: \"" + variant + "\" is neither automatic nor manual", "");
    plan.variant = variant == "manual" ? Variant::kManual : Variant::kAutomatic;
    plan.first = named("first", nodes[1].c_str());
    if (plan.first != nodes[0] && plan.first != nodes[1])
        return fail(ErrorCode::kUsage, "--first: \"" + plan.first + "\" is none of the two nodes", "");
    plan.through = named("through", "ssh root@{node}");
    plan.boot = named("boot", "");
    plan.check = named("check", "");
    plan.limit = arguments.duration("limit", 5min);
    return plan;
}

std::string report_text(const std::vector<Outcome>& outcomes, const Plan& plan, bool colour) {
    Table table({"STEP", "OPERATION", "EXPECTED", "FOUND", "SECONDS", "RESULT"});
    for (const Outcome& each : outcomes) {
        char seconds[32];
        std::snprintf(seconds, sizeof(seconds), "%.1f", each.seconds);
        table.row({std::to_string(each.step.number), each.step.text, row_of(each.step.expected, plan.cast), each.found,
                   seconds, {each.passed ? "passed" : "FAILED", each.passed ? Tone::kGood : Tone::kBad}});
    }
    return table.print(colour);
}

std::string plan_text(const Plan& plan, bool colour) {
    Table table({"STEP", "OPERATION", "EXPECTED"});
    for (const Step& step : evaluation(plan.cast, plan.variant, plan.first))
        table.row({std::to_string(step.number), step.text, row_of(step.expected, plan.cast)});
    return table.print(colour);
}

Json report_json(const std::vector<Outcome>& outcomes, const Plan& plan, bool passed) {
    Json json = {{"schema", "kagami.acceptance/1"},
                 {"passed", passed},
                 {"variant", plan.variant == Variant::kManual ? "manual" : "automatic"},
                 {"first", plan.first},
                 {"steps", Json::array()}};
    for (const Outcome& each : outcomes) {
        json["steps"].push_back({{"number", each.step.number},
                                 {"operation", each.step.text},
                                 {"expected", row_of(each.step.expected, plan.cast)},
                                 {"found", each.found},
                                 {"seconds", each.seconds},
                                 {"passed", each.passed},
                                 {"answer", each.answer}});
    }
    return json;
}

}  // namespace

int run_accept(Session& session, const Arguments& arguments) {
    const Console& console = session.console;
    const Result<Plan> plan = plan_of(arguments);
    if (!plan) return report(console, plan.error());
    if (arguments.has("plan")) {
        console.out << plan_text(*plan, console.colour);
        return 0;
    }
    const Result<bool> go = agreed(session, arguments,
                                   "Both nodes are shut down and booted several times, with everything that runs on them.",
                                   "");
    if (!go) return report(console, go.error());
    if (!*go) return static_cast<int>(ErrorCode::kFailed);
    const std::vector<Outcome> outcomes = Run(session, *plan).all();
    const bool passed = outcomes.size() == evaluation(plan->cast, plan->variant, plan->first).size() && outcomes.back().passed;
    const Json json = report_json(outcomes, *plan, passed);
    if (arguments.has("report")) std::ofstream(arguments.text("report")) << dump(json);
    console.out << (arguments.has("json") ? dump(json) : report_text(outcomes, *plan, console.colour));
    if (passed) return 0;
    return report(console, Error{ErrorCode::kFailed, "step " + std::to_string(outcomes.back().step.number) + " failed: " + outcomes.back().answer,
                                 "look at `kagami why` on the nodes; the steps after it were not tried"});
}

}  // namespace kagami::cli
