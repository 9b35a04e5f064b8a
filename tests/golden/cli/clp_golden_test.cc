// The commands of existing runbooks (cli/clp.h): what they ask the daemon, every text and the exit status. clp/*.case;
// the format stands in clp/README.md. KAGAMI_UPDATE=1 rewrites what follows "== exit"; read the diff.
#include <catch2/catch.hpp>
#include <filesystem>
#include <sstream>

#include "cli/clp.h"
#include "tests/golden/cli/case_player.h"

using namespace kagami::cli;
namespace fs = std::filesystem;

TEST_CASE("every clp command: what it asks the daemon, what it prints, and its exit status") {
    CHECK(check_cases(KAGAMI_GOLDEN_DIRECTORY "/clp") >= 100);
}

TEST_CASE("each clp command has a case") {
    std::string names;
    for (const auto& entry : fs::directory_iterator(KAGAMI_GOLDEN_DIRECTORY "/clp"))
        names += " " + entry.path().filename().string();
    for (const ClpCommand& command : clp_commands()) {
        INFO(command.name);
        CHECK(names.find(" " + std::string(command.name)) != std::string::npos);
    }
}
