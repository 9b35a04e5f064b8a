// kagami-sim: runs seeds of the simulator and tells which of them broke a rule of protocol.md.
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <map>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tests/sim/run.h"

namespace {

using kagami::sim::Kind;
using kagami::sim::RunOptions;
using kagami::sim::RunResult;

struct Arguments {
    RunOptions run;
    std::optional<uint64_t> seed;
    uint64_t seeds = 20;
    uint64_t first = 1;
    bool calm = false;
    bool single = false;
    std::string json;
};

struct Totals {
    uint64_t passed = 0;
    uint64_t failed = 0;
    uint64_t faults = 0;
    uint64_t elections = 0;
    double simulated_s = 0;
    double real_s = 0;
    std::map<std::string, std::pair<double, double>> by_size;  // simulated, real
    std::map<std::string, uint64_t> broken;
    std::vector<uint64_t> failed_seeds;
};

void tell_failure(const RunOptions& options, const RunResult& result) {
    std::printf("seed %llu FAILED at %.6f s (%s): %s\n%sreproduce: %s --verbose\n\n",
                static_cast<unsigned long long>(options.seed), kagami::seconds(result.at), result.cluster.c_str(),
                result.failure.c_str(), result.story.c_str(), kagami::sim::command_of(options).c_str());
}

void run_one(const RunOptions& options, bool brief, Totals& totals) {
    const std::clock_t begin = std::clock();  // of one core, whatever else runs on the machine
    const RunResult result = kagami::sim::run(options);
    const double real = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    (result.passed ? totals.passed : totals.failed) += 1;
    totals.faults += result.faults;
    totals.elections += result.elections;
    totals.simulated_s += kagami::seconds(result.simulated);
    totals.real_s += real;
    auto& size = totals.by_size[result.cluster.substr(0, result.cluster.find(','))];
    size.first += kagami::seconds(result.simulated);
    size.second += real;
    if (result.passed) {
        if (!brief)
            std::printf("seed %llu passed: %s, %llu faults, %llu elections, %llu messages\n",
                        static_cast<unsigned long long>(options.seed), result.cluster.c_str(),
                        static_cast<unsigned long long>(result.faults),
                        static_cast<unsigned long long>(result.elections),
                        static_cast<unsigned long long>(result.messages));
        return;
    }
    totals.broken[result.invariant] += 1;
    totals.failed_seeds.push_back(options.seed);
    if (totals.failed <= 3) {
        tell_failure(options, result);
    } else {
        std::printf("seed %llu FAILED: %s\n", static_cast<unsigned long long>(options.seed), result.failure.c_str());
    }
}

nlohmann::json value_row(const std::string& name, const std::string& figure, const std::string& unit, double value) {
    return {{"case", name}, {"figure", figure}, {"unit", unit}, {"value", value}};
}

void write_json(const Arguments& arguments, const Totals& totals) {
    nlohmann::json rows = nlohmann::json::array();
    rows.push_back(value_row("sim", "seeds", "1", static_cast<double>(totals.passed + totals.failed)));
    rows.push_back(value_row("sim", "violations", "1", static_cast<double>(totals.failed)));
    rows.push_back(value_row("sim", "faults", "1", static_cast<double>(totals.faults)));
    rows.push_back(value_row("sim", "speed", "x", totals.simulated_s / totals.real_s));
    for (const auto& [size, times] : totals.by_size)
        rows.push_back(value_row(size, "speed", "x", times.first / times.second));
    for (const auto& [invariant, count] : totals.broken)
        rows.push_back(value_row("violations", invariant, "1", static_cast<double>(count)));
    const nlohmann::json all = {
        {"name", "sim"}, {"profile", arguments.run.profile.empty() ? "drawn" : arguments.run.profile}, {"rows", rows}};
    std::ofstream(arguments.json) << all.dump(2) << "\n";
}

int run_all(const Arguments& arguments) {
    Totals totals;
    RunOptions options = arguments.run;
    options.kind = arguments.calm ? Kind::kCalm : arguments.single ? Kind::kSingle : Kind::kFaults;
    const uint64_t first = arguments.seed.value_or(arguments.first);
    const uint64_t count = arguments.seed ? 1 : arguments.seeds;
    for (uint64_t seed = first; seed < first + count; ++seed) {
        options.seed = seed;
        run_one(options, count > 1, totals);
    }
    for (const auto& [invariant, times] : totals.broken) {
        std::printf("%s broken in %llu seeds\n", invariant.c_str(), static_cast<unsigned long long>(times));
    }
    std::printf("%.0f simulated minutes, %llu faults, %llu elections, %.0f x real time", totals.simulated_s / 60,
                static_cast<unsigned long long>(totals.faults), static_cast<unsigned long long>(totals.elections),
                totals.simulated_s / totals.real_s);
    for (const auto& [size, times] : totals.by_size)
        std::printf(", %s %.0f x", size.c_str(), times.first / times.second);
    std::printf("\n%llu passed, %llu failed\n", static_cast<unsigned long long>(totals.passed),
                static_cast<unsigned long long>(totals.failed));
    if (!arguments.json.empty()) write_json(arguments, totals);
    return totals.failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    Arguments arguments;
    if (const char* seeds = std::getenv("KAGAMI_SIM_SEEDS")) arguments.seeds = std::strtoull(seeds, nullptr, 10);
    CLI::App app{
        "Simulates whole clusters with the real engine, each from one seed, and checks the invariants of protocol.md.",
        "sim"};
    app.add_option("--seed", arguments.seed, "run this seed only");
    app.add_option("--seeds", arguments.seeds, "how many seeds (default: KAGAMI_SIM_SEEDS, else 20)");
    app.add_option("--first", arguments.first, "the first of them");
    app.add_option("--nodes", arguments.run.nodes, "number of nodes (default: drawn from the seed)")
        ->check(CLI::Range(2, 32));
    app.add_option("--profile", arguments.run.profile, "timing (default: drawn)")
        ->check(CLI::IsMember({"test", "fast", "lan", "vm"}));
    app.add_option("--minutes", arguments.run.minutes, "simulated minutes of a seed")->check(CLI::Range(10, 100000));
    app.add_flag("--calm", arguments.calm, "no faults: nothing may happen");
    app.add_flag("--single", arguments.single, "one fault: at most one move of a group");
    app.add_flag("--verbose", arguments.run.verbose, "print every message and decision");
    app.add_option("--json", arguments.json, "write the figures to this file");
    CLI11_PARSE(app, argc, argv);
    return run_all(arguments);
}
