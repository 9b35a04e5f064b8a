// The catalogue of messages. That every Reason has an entry, in order and under its number, is checked when
// message_catalogue.cc is compiled.
#include <catch2/catch.hpp>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "cluster-daemon/engine/message_catalogue.h"

using namespace kagami;
using namespace kagami::engine;

TEST_CASE("ids and names of messages are unique, and each finds its own entry") {
    std::set<std::string> words;
    for (const MessageEntry& entry : messages()) {
        CAPTURE(entry.code, entry.name);
        CHECK(words.insert(entry.code).second);
        CHECK(words.insert(entry.name).second);
        CHECK(find_message(entry.code) == &entry);
        CHECK(find_message(entry.name) == &entry);
        CHECK(&message_of(entry.reason) == &entry);
        CHECK(name_of(entry.reason) == std::string(entry.name));
        CHECK(level_of(entry.reason) == entry.level);
    }
    CHECK(words.size() > 100);
}

TEST_CASE("a message is found in any case, and what is none is not found") {
    REQUIRE(find_message("kg-0302") != nullptr);
    CHECK(find_message("kg-0302")->reason == Reason::kGroupFailover);
    CHECK(find_message("Group-Failover") == find_message("KG-0302"));
    for (const char* bad : {"", "KG", "KG-03", "KG-03020", "group failover", "0302", "KG-9999"}) {
        CAPTURE(bad);
        CHECK(find_message(bad) == nullptr);
    }
}

TEST_CASE("ids of one block begin with one letter") {
    std::set<std::string> letters;
    for (const MessageEntry& entry : messages()) {
        const std::string letter = std::string(entry.code).substr(0, 2);
        const auto same_block = [&](const MessageEntry& other) {
            return static_cast<int>(other.reason) / 100 == static_cast<int>(entry.reason) / 100;
        };
        for (const MessageEntry& other : messages()) {
            if (same_block(other)) CHECK(std::string(other.code).substr(0, 2) == letter);
        }
        letters.insert(letter);
    }
    CHECK(letters == std::set<std::string>{"KD", "KG", "KM", "KN", "KO", "KR"});
}

TEST_CASE("every message says what it means and what to do, in sentences that fit into a table") {
    for (const MessageEntry& entry : messages()) {
        CAPTURE(entry.code);
        for (const std::string text : {entry.meaning, entry.remedy}) {
            CAPTURE(text);
            CHECK(text.size() > 5);
            CHECK(std::string(".?`").find(text.back()) != std::string::npos);
            CHECK(text.find_first_of("|\n") == std::string::npos);
            CHECK(text.find("  ") == std::string::npos);
        }
        CHECK(entry.remedy != std::string(entry.level == Level::kError ? "Nothing." : ""));
        for (const char c : std::string(entry.name))
            CHECK((std::islower(static_cast<unsigned char>(c)) != 0 || c == '-'));
    }
}

TEST_CASE("docs/messages.md is what the catalogue says (KAGAMI_UPDATE=1 writes it)") {
    const std::string path = KAGAMI_DOCS "/messages.md";
    if (std::getenv("KAGAMI_UPDATE") != nullptr) std::ofstream(path, std::ios::trunc) << catalogue_page();
    std::ifstream file(path);
    std::istringstream expected(catalogue_page());
    std::string line;
    for (std::string wanted; std::getline(expected, wanted);) {
        std::getline(file, line);
        REQUIRE(line == wanted);
    }
    CHECK_FALSE(std::getline(file, line));
}
