// Command lines against a daemon that answers from a script: verbs/*.case. The format stands in verbs/README.md.
// KAGAMI_UPDATE=1 rewrites what follows "== exit"; read the diff.
#include <catch2/catch.hpp>
#include <filesystem>
#include <sstream>

#include "cli/console.h"
#include "tests/golden/cli/case_player.h"

using namespace kagami::cli;
namespace fs = std::filesystem;

TEST_CASE("every verb: what it asks the daemon, what it prints, and its exit status") {
    CHECK(check_cases(KAGAMI_GOLDEN_DIRECTORY "/verbs") >= 80);
}

TEST_CASE("no line of a verb's text is wider than 80 columns, but for the status page and names") {
    for (const auto& entry : fs::directory_iterator(fs::path(KAGAMI_GOLDEN_DIRECTORY) / "verbs")) {
        if (entry.path().extension() != ".case") continue;
        const std::string text = content_of(entry.path());
        if (text.find("--json") != std::string::npos || text.starts_with("== kagami status")) continue;
        INFO(entry.path().filename().string());
        for (const Section& section : sections_of(text)) {
            if (section.title != "out") continue;
            std::istringstream in(section.text);
            for (std::string line; std::getline(in, line);) CHECK(display_width(line) <= 80);
        }
    }
}
