// A catalogue with the product's type words, and a valid cluster.toml that tests change piece by piece.
#pragma once

#include <string>
#include <vector>

#include "common/config/reader.h"

namespace kagami::config {

const TypeCatalogue& sample_types();
extern const std::string kSample;

// kSample with one piece replaced; the piece must stand there exactly once.
std::string sample_with(const std::string& piece, const std::string& replacement);
Config sample_config(const std::string& text = kSample);        // requires that it parses
std::vector<std::string> problems_of(const std::string& text);  // as to_string() prints them

}  // namespace kagami::config
