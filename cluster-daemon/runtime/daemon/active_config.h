// The configuration in force on this node's disk: STATE/active/cluster.toml and STATE/active/scripts/GROUP/RESOURCE/FILE. It is what the
// register holds, unpacked; a person edits /etc/kagami instead and applies it. Replaced as a whole, so that a script never meets a mixture.
#pragma once

#include <memory>
#include <string>

#include "common/codec.h"
#include "common/config/bundle.h"
#include "common/config/config.h"
#include "common/config/parameter.h"
#include "common/config/reader.h"
#include "common/result.h"

namespace kagami::runtime {

// Every resource and monitor type this binary knows.
config::TypeCatalogue type_catalogue();

// Null when the bytes are not a valid configuration (the engine then starts nothing and says so).
std::shared_ptr<const config::Config> parse_packed(const Bytes& packed);

config::Parsed parse_bundle(const config::Bundle& bundle);

// Why a packed configuration cannot be in force here: none = it can.
std::vector<std::string> problems_of(const Bytes& packed);

Status store_active_config(const std::string& state_directory, const Bytes& packed);
std::string active_script_directory(const std::string& state_directory);

}  // namespace kagami::runtime
