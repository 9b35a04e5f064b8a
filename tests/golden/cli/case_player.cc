#include "tests/golden/cli/case_player.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "cli/clp.h"
#include "tests/component/cli/bench.h"
#include "tests/golden/cli/scripted_daemon.h"

namespace kagami::cli {

namespace fs = std::filesystem;

std::string content_of(const fs::path& path) {
    std::ifstream in(path);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

std::vector<Section> sections_of(const std::string& text) {
    std::vector<Section> sections;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("== ")) {
            sections.push_back({line.substr(3), ""});
        } else if (!sections.empty()) {
            sections.back().text += line + "\n";
        }
    }
    return sections;
}

namespace {

std::vector<std::string> words_of(const std::string& line) {
    std::vector<std::string> words(1);
    bool quoted = false;
    for (const char c : line) {
        if (c == '"') {
            quoted = !quoted;
        } else if (c == ' ' && !quoted) {
            words.emplace_back();
        } else {
            words.back() += c;
        }
    }
    return words;
}

// "answer METHOD", "answer METHOD dry", "answer METHOD @FILE"; a line "--" parts the messages of a stream.
void add_answers(ScriptedDaemon& daemon, const std::vector<std::string>& title, const std::string& text) {
    const bool dry = title.size() > 2 && title[2] == "dry";
    const bool file = title.size() > 2 && title[2].starts_with("@");
    const std::string all = file ? content_of(fs::path(KAGAMI_GOLDEN_DIRECTORY) / title[2].substr(1)) : text;
    for (size_t at = 0; at <= all.size();) {
        const size_t end = std::min(all.find("--\n", at), all.size());
        daemon.answer(title[1], dry, parse_answer(title[1], all.substr(at, end - at)));
        at = end + 3;
    }
}

std::string without_root(std::string text, const std::string& root) {
    for (size_t at = text.find(root); at != std::string::npos; at = text.find(root))
        text.replace(at, root.size(), "ROOT");
    return text;
}

struct Played {
    std::string given;   // as it stands in the file
    std::string result;  // from "== exit" on
};

// What the command wrote into a directory "made".
std::string made_files(const fs::path& directory) {
    std::map<std::string, std::string> files;
    if (fs::exists(directory)) {
        for (const auto& entry : fs::recursive_directory_iterator(directory))
            if (entry.is_regular_file()) files[entry.path().lexically_relative(directory)] = content_of(entry.path());
    }
    std::string text;
    for (const auto& [name, content] : files) text.append("== made ").append(name).append("\n").append(content);
    return text;
}

int run_program(Bench& bench, const std::string& name, const std::vector<std::string>& words, const Section* typed) {
    if (name == "kagami") return typed != nullptr ? bench.run_typing(words, typed->text) : bench.run(words);
    return bench.run_as(
        [&](Session& session, const std::vector<std::string>& arguments) {
            return name == "clpstat" ? run_clpstat(session, arguments) : run_clp(name, session, arguments).value();
        },
        words);
}

Played play(const std::string& text) {
    Bench bench;
    std::unique_ptr<ScriptedDaemon> daemon = std::make_unique<ScriptedDaemon>(bench.places.socket);
    std::vector<std::string> command;
    std::string program;
    const Section* typed = nullptr;
    const auto sections = sections_of(text);
    for (const Section& section : sections) {
        const auto title = words_of(section.title);
        if (title[0] == "exit") break;
        if (title[0] == "kagami" || title[0].starts_with("clp")) {
            program = title[0];
            command.assign(title.begin() + 1, title.end());
        }
        if (title[0] == "typed") typed = &section;
        if (title[0] == "file") bench.write(title[1], section.text.empty() ? kValidToml : section.text);
        if (title[0] == "answer") add_answers(*daemon, title, section.text);
        if (title[0] == "missing") daemon->not_found(title[1], section.text.substr(0, section.text.find('\n')));
        if (title[0] == "no-daemon") daemon.reset(), fs::remove(bench.places.socket);
    }
    for (std::string& word : command) {
        if (word.starts_with("ROOT/")) word.replace(0, 4, bench.root.string());
    }
    const int code = run_program(bench, program, command, typed);
    const std::string asked = daemon != nullptr ? daemon->asked() : "";
    const std::string result = "== exit " + std::to_string(code) + "\n== asked\n" + asked + "== out\n" + bench.out +
                               "== err\n" + bench.err + made_files(bench.root / "made");
    return {text.substr(0, text.find("== exit")), without_root(result, bench.root)};
}

}  // namespace

size_t check_cases(const std::string& directory) {
    REQUIRE(setenv("TZ", "UTC", 1) == 0);
    tzset();
    size_t cases = 0;
    for (const auto& entry : fs::directory_iterator(directory)) {
        if (entry.path().extension() != ".case") continue;
        INFO(entry.path().filename().string() << "; KAGAMI_UPDATE=1 rewrites it");
        const std::string text = content_of(entry.path());
        const Played played = play(text);
        if (std::getenv("KAGAMI_UPDATE") != nullptr) std::ofstream(entry.path()) << played.given << played.result;
        CHECK(content_of(entry.path()) == played.given + played.result);
        ++cases;
    }
    return cases;
}

}  // namespace kagami::cli
