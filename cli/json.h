// Messages of the control service as JSON. Field names and words are those of proto/control.proto, numbers are numbers,
// nothing is left out; "schema" goes first and changes when a field changes its meaning.
#pragma once

#include <google/protobuf/message.h>

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "common/result.h"
#include "proto/control.pb.h"

namespace kagami::cli {

// {"schema": "kagami.NAME/1", ...}, pretty or in one line.
std::string json_document(const std::string& name, const google::protobuf::Message& message, bool one_line = false);
// What `kagami status --json` has printed, on this node or on another one; fields that are not known here are skipped.
Result<control::v1::Status> status_from_json(const std::string& text);
// Bytes that are not UTF-8 are replaced.
std::string dump(const nlohmann::ordered_json& json, bool one_line = false);

}  // namespace kagami::cli
