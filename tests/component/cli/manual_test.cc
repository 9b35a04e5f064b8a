// Completion, man pages and docs/cli.md: whole, current, and taken by the programs that read them.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

#include "cli/completion.h"
#include "cli/manual.h"
#include "cli/types.h"
#include "common/config/keys.h"
#include "tests/component/cli/bench.h"
#include "tests/component/cli/fake_daemon.h"
#include "tests/component/cli/run_program.h"

using namespace kagami::cli;
namespace config = kagami::config;

namespace {

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

// As roff and Markdown write it.
std::string plain(std::string text) {
    for (const std::string mark : {"\\fB", "\\fI", "\\fR", "\\"}) {
        for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark)) text.erase(at, mark.size());
    }
    return text;
}

std::string long_name(const Option& option) {
    return std::string(option.names.substr(option.names.find("--")));
}

void check_current(const std::string& name, const std::string& text) {
    const std::string path = std::string(KAGAMI_SOURCE_DIRECTORY) + "/" + name;
    INFO(name << "; KAGAMI_UPDATE=1 rewrites it");
    if (std::getenv("KAGAMI_UPDATE") != nullptr) std::ofstream(path) << text;
    std::ostringstream there;
    there << std::ifstream(path).rdbuf();
    CHECK(there.str() == text);
}

std::string file_of(const Bench& bench, const std::string& name, const std::string& text) {
    return bench.write(name, text);
}

bool installed(const char* program) {
    if (::access(program, X_OK) == 0) return true;
    std::cout << "SKIPPED: " << program << " is not installed\n";
    return false;
}

// What bash would offer for the words so far, the last of them unfinished.
std::string offered(const Bench& bench, const std::vector<std::string>& words) {
    std::string script = bash_completion() + "\nCOMP_WORDS=(";
    for (const std::string& word : words) script += "'" + word + "' ";
    script += ")\nCOMP_CWORD=" + std::to_string(words.size() - 1) + "\n_kagami\necho \"${COMPREPLY[*]}\"\n";
    const std::string path = file_of(bench, "offer.sh", script);
    return run_program({"/bin/bash", path}, bench.root).output;
}

// The same of zsh, with its two functions for offers replaced; `options` and `commands` are its own there.
std::string offered_by_zsh(const Bench& bench, const std::vector<std::string>& words) {
    std::string script =
        "zmodload zsh/parameter\ncompadd() { shift; print -r -- $*; }\n_describe() { print -r -- ${(P)2}; }\n"
        "_files() { print -r -- files $*; }\nwords=(";
    for (const std::string& word : words) script += "'" + word + "' ";
    script += ")\nCURRENT=" + std::to_string(words.size()) + "\n" + zsh_completion();
    return run_program({"/usr/bin/zsh", "-f", file_of(bench, "offer.zsh", script)}, bench.root).output;
}

}  // namespace

TEST_CASE("every verb and every option stands in the manual, the table and both completions") {
    const std::string page = plain(kagami_page());
    const std::string table = command_table();
    const std::string bash = bash_completion();
    const std::string zsh = zsh_completion();
    for (const Command& command : commands()) {
        INFO(command.words);
        CHECK(has(page, "\n" + std::string(command.words)));
        CHECK(has(table, "| `" + std::string(command.words)));
        for (const Option& option : all_options(command)) {
            INFO(option.names);
            CHECK(has(page, long_name(option)));
            CHECK(has(bash, long_name(option)));
            CHECK(has(zsh, long_name(option)));
        }
        for (const std::string& text : {bash, zsh}) CHECK(has(text, "\"" + std::string(command.words) + "\") value="));
    }
}

TEST_CASE("every key of cluster.toml and of every type stands in its page") {
    const config::TypeCatalogue types = types_of_this_program();
    const std::string page = plain(configuration_page(types));
    for (const config::Section* section : config::sections()) {
        for (const config::Key& key : section->keys) CHECK(has(page, ".TP\n" + std::string(key.name)));
    }
    for (const auto& all : {types.resources, types.monitors}) {
        for (const config::TypeDescription& type : all) {
            CHECK(has(page, ".SS " + std::string(type.word) + "\n"));
            for (const config::Parameter& parameter : type.parameters)
                CHECK(has(page, ".TP\n" + std::string(parameter.name)));
        }
    }
}

TEST_CASE("the pages in docs are those that the program writes") {
    check_current("docs/man/kagami.1", kagami_page());
    check_current("docs/man/cluster.toml.5", configuration_page(types_of_this_program()));
    check_current("docs/cli.md", command_table());
}

TEST_CASE("groff takes the pages without a warning") {
    if (!installed("/usr/bin/groff")) return;
    Bench bench;
    for (const std::string& page : {kagami_page(), configuration_page(types_of_this_program())}) {
        const std::string path = file_of(bench, "page", page);
        const Ran ran = run_program({"/usr/bin/groff", "-man", "-ww", "-z", "-Tutf8", path}, bench.root);
        CHECK(ran.status == 0);
        CHECK(ran.output.empty());
    }
}

TEST_CASE("man --all writes the pages into a directory") {
    Bench bench;
    CHECK(bench.run({"man", "--all", bench.root}) == 0);
    for (const char* name : {"kagami.1", "cluster.toml.5", "cli.md"}) CHECK(std::filesystem::exists(bench.root / name));
    CHECK(bench.run({"man", "--all", bench.root / "missing"}) != 0);
    CHECK(bench.run({"man", "cli.md"}) == 0);
    CHECK(bench.out == command_table());
    CHECK(bench.run({"man", "kagami.2"}) == 2);
}

TEST_CASE("the shells take their completions") {
    Bench bench;
    CHECK(bench.run({"completion", "bash"}) == 0);
    CHECK(bench.out == bash_completion());
    const Ran bash = run_program({"/bin/bash", "-n", file_of(bench, "bash", bash_completion())}, bench.root);
    CHECK(bash.status == 0);
    CHECK(bash.output.empty());
    if (!installed("/usr/bin/zsh")) return;
    const Ran zsh = run_program({"/usr/bin/zsh", "-n", file_of(bench, "zsh", zsh_completion())}, bench.root);
    CHECK(zsh.status == 0);
    CHECK(zsh.output.empty());
}

TEST_CASE("bash offers commands, verbs, options, words and files") {
    Bench bench;
    CHECK(offered(bench, {"kagami", "stat"}) == "statistics status\n");
    CHECK(offered(bench, {"kagami", "group", "st"}) == "start stop\n");
    CHECK(offered(bench, {"kagami", "leader", "m"}) == "move\n");
    CHECK(offered(bench, {"kagami", "group", "stop", "--y"}) == "--yes\n");
    CHECK(offered(bench, {"kagami", "maintenance", "begin", "--kind", ""}) == "observe unmanaged\n");
    CHECK(offered(bench, {"kagami", "log", "--level", "W"}) == "WARN\n");
    bench.write("here/cluster.toml", "");
    const std::string start = bench.root / "here/clus";
    CHECK(offered(bench, {"kagami", "config", "check", start}) == start + "ter.toml\n");
}

TEST_CASE("bash asks the program for names, by the kind that stands there") {
    Bench bench;
    const std::string program =
        bench.write("bin/kagami", "#!/bin/bash\n[[ $1 == names ]] && echo \"a-$2\" && echo \"b-$2\"\n");
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    CHECK(offered(bench, {program, "group", "move", ""}) == "a-GROUP b-GROUP\n");
    CHECK(offered(bench, {program, "group", "move", "web", "--to", "b"}) == "b-NODE\n");
    CHECK(offered(bench, {program, "why", "a"}) == "a-NAME\n");
    CHECK(offered(bench, {program, "config", "rollback", ""}) == "a-VERSION b-VERSION\n");
    const std::string silent = bench.write("bin/silent", "#!/bin/bash\nexit 7\n");
    std::filesystem::permissions(silent, std::filesystem::perms::owner_all);
    CHECK(offered(bench, {silent, "group", "move", ""}) == "\n");
}

TEST_CASE("zsh offers the same") {
    if (!installed("/usr/bin/zsh")) return;
    Bench bench;
    CHECK(has(offered_by_zsh(bench, {"kagami", ""}), "failover:"));
    CHECK(offered_by_zsh(bench, {"kagami", "group", ""}) == "start stop move\n");
    CHECK(has(offered_by_zsh(bench, {"kagami", "group", "stop", "-"}), "--dry-run --wait"));
    CHECK(offered_by_zsh(bench, {"kagami", "maintenance", "begin", "--kind", ""}) == "observe unmanaged\n");
    CHECK(offered_by_zsh(bench, {"kagami", "logs", "collect", "-o", ""}) == "files -/\n");
    const std::string program = bench.write("bin/kagami", "#!/bin/bash\necho \"a-$2\"; echo \"b-$2\"\n");
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    CHECK(offered_by_zsh(bench, {program, "leader", "move", ""}) == "a-NODE b-NODE\n");
    CHECK(offered_by_zsh(bench, {program, "group", "start", "web", "--to", ""}) == "a-NODE b-NODE\n");
}
