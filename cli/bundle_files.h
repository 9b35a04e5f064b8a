// A configuration as files: cluster.toml, and scripts/GROUP/RESOURCE/FILE beside it.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "cli/command.h"
#include "common/config/bundle.h"
#include "common/config/reader.h"
#include "common/result.h"

namespace kagami::cli {

struct LoadedConfig {
    config::Bundle bundle;
    config::Config config;
};

// Hidden files and editors' copies (FILE~) are left out; anything else that is not a script of the right form is an
// error.
Result<config::Bundle> load_bundle(const std::string& toml_path);
// Loads and parses. Problems are printed to `err`, a line each, and give kUsage.
Result<LoadedConfig> load_config(Session& session, const std::string& toml_path);
// The configuration in force on this node, as the daemon keeps it.
std::string active_config_path(const Places& places);
std::string default_config_path(const Places& places);

}  // namespace kagami::cli
