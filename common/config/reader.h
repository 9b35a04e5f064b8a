// Reads cluster.toml. parse() knows every default and every rule; it returns all problems at once, each with its place,
// what is wrong and what to write instead. A Config that it returns has passed all checks (see config.h); with a
// problem there is no Config. It reads no file and resolves no name: the caller hands it the text, and the names of the
// scripts stored beside it when it knows them.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"

namespace kagami::config {

struct Problem {
    std::string file;
    int line = 1;
    int column = 1;
    std::string message;     // "unknown key \"nmae\" in [[node]]"
    std::string suggestion;  // "did you mean \"name\"?"; empty when there is nothing to add

    bool operator==(const Problem&) const = default;
};

// "cluster.toml:3:1: unknown key \"nmae\" in [[node]]; did you mean \"name\"?"
std::string to_string(const Problem& problem);

struct Parsed {
    std::optional<Config> config;
    std::vector<Problem> problems;  // in the order of the file
};

// `stored_scripts`: names as in Bundle::scripts ("web/nginx/start.sh"); null = their presence is not checked.
Parsed parse(std::string_view text, const std::string& file_name, const TypeCatalogue& types,
             const std::set<std::string>* stored_scripts = nullptr);

}  // namespace kagami::config
