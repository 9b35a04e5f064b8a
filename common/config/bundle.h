// What the register holds of the configuration: the person's text and the scripts "stored with the configuration".
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "common/codec.h"
#include "common/result.h"

namespace kagami::config {

struct Bundle {
    std::string text;                            // cluster.toml as the person wrote it
    std::map<std::string, std::string> scripts;  // "web/nginx/start.sh" -> content

    bool operator==(const Bundle&) const = default;
};

constexpr size_t kMaxBundleBytes = size_t{1024} * 1024;      // unpacked
constexpr size_t kMaxPackedBytes = size_t{192} * 1024;       // as it stands in the document

// "GROUP/RESOURCE/FILE" of valid names: a name that can be joined to a directory without leaving it.
bool valid_script_path(std::string_view path);
Result<Bytes> pack(const Bundle& bundle);            // canonical, compressed (zstd); the same bundle gives the same bytes
Result<Bundle> unpack(std::span<const uint8_t> packed);  // limits checked before allocation

}  // namespace kagami::config
