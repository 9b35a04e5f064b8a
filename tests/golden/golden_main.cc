// kagami-golden: plays every case of a folder and compares the transcript with the one in the file; --update rewrites
// it.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <CLI/CLI.hpp>

#include "cluster-daemon/engine/message_catalogue.h"
#include "tests/golden/player.h"

namespace {

using kagami::golden::Case;
using kagami::engine::Reason;
using kagami::golden::Played;

struct Arguments {
    std::string directory = KAGAMI_GOLDEN_DIRECTORY;
    std::vector<std::string> names;
    bool update = false;
    bool print = false;
};

std::vector<std::string> lines_of(const std::string& text) {
    std::istringstream in(text);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

// From the first difference on, a few lines of both.
void show_difference(const std::string& expected, const std::string& found) {
    const auto old_lines = lines_of(expected);
    const auto new_lines = lines_of(found);
    const size_t shorter = std::min(old_lines.size(), new_lines.size());
    size_t first = 0;
    while (first < shorter && old_lines[first] == new_lines[first]) ++first;
    for (size_t i = first > 3 ? first - 3 : 0; i < first; ++i) std::printf("    %s\n", old_lines[i].c_str());
    for (size_t i = first; i < std::min(first + 8, old_lines.size()); ++i)
        std::printf("  - %s\n", old_lines[i].c_str());
    for (size_t i = first; i < std::min(first + 8, new_lines.size()); ++i)
        std::printf("  + %s\n", new_lines[i].c_str());
}

bool play_case(const std::string& path, const Arguments& arguments, std::set<Reason>& reasons) {
    const auto read = kagami::golden::read_case(path, arguments.directory + "/configurations");
    if (!read) {
        std::printf("FAILED %s\n", read.error().message.c_str());
        return false;
    }
    const Played played = kagami::golden::Player(*read).play();
    reasons.insert(played.reasons.begin(), played.reasons.end());
    if (arguments.print) std::printf("%s%s", read->head.c_str(), played.transcript.c_str());
    const std::string name = std::filesystem::path(path).stem();
    for (const std::string& failure : played.failures) std::printf("FAILED %s: %s\n", name.c_str(), failure.c_str());
    const bool same = played.transcript == read->expected;
    if (!same && arguments.update) {
        std::ofstream(path) << read->head << kagami::golden::kDivider << played.transcript;
        std::printf("rewritten: %s\n", name.c_str());
    } else if (!same) {
        std::printf("FAILED %s: the transcript differs (kagami-golden --update rewrites it)\n", name.c_str());
        show_difference(read->expected, played.transcript);
    }
    return played.failures.empty() && (same || arguments.update);
}

// Every reason for a decision has a story. The daemon's watch of the mirror driver says two without the engine
// (tests/system/test_mirror_watchdog.py).
bool every_reason_has_a_case(const std::set<Reason>& reasons) {
    bool all = true;
    for (const auto& message : kagami::engine::messages()) {
        const bool said_by_the_daemon =
            message.reason == Reason::kMirrorDriverKilled || message.reason == Reason::kMirrorAborted;
        if (said_by_the_daemon || reasons.contains(message.reason)) continue;
        std::printf("FAILED no case shows %s, %s\n", message.code, message.name);
        all = false;
    }
    return all;
}

bool asked_for(const std::string& name, const std::vector<std::string>& names) {
    return names.empty() || std::any_of(names.begin(), names.end(),
                                        [&](const std::string& part) { return name.find(part) != std::string::npos; });
}

}  // namespace

int main(int argc, char** argv) {
    Arguments arguments;
    CLI::App app{"Plays the golden cases: stories of a cluster with the transcript that is expected.", "golden"};
    app.add_option("names", arguments.names, "cases whose name contains one of these (default: all)");
    app.add_option("--directory", arguments.directory, "where cases/ and configurations/ lie");
    app.add_flag("--update", arguments.update, "rewrite the transcripts that differ");
    app.add_flag("--print", arguments.print, "print each case as it is played");
    CLI11_PARSE(app, argc, argv);
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(arguments.directory + "/cases")) {
        if (entry.path().extension() == ".case" && asked_for(entry.path().stem(), arguments.names))
            paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    size_t passed = 0;
    std::set<Reason> reasons;
    for (const std::string& path : paths) passed += play_case(path, arguments, reasons) ? 1 : 0;
    const bool complete = !arguments.names.empty() || every_reason_has_a_case(reasons);
    std::printf("%zu passed, %zu failed\n", passed, paths.size() - passed);
    return passed == paths.size() && !paths.empty() && complete ? 0 : 1;
}
