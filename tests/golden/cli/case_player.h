// Plays a file of the form that verbs/README.md describes: one command line against a daemon that answers from the
// file.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace kagami::cli {

struct Section {
    std::string title;
    std::string text;
};
std::vector<Section> sections_of(const std::string& text);
std::string content_of(const std::filesystem::path& path);

// Plays every *.case below the directory and compares what it says with what it gives; KAGAMI_UPDATE=1 rewrites the
// files. Returns how many there are.
size_t check_cases(const std::string& directory);

}  // namespace kagami::cli
