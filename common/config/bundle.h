// What the register holds of the configuration: the person's text and the scripts "stored with the configuration".
#pragma once

#include <map>
#include <string>

#include "common/codec.h"
#include "common/result.h"

namespace kagami::config {

struct Bundle {
    std::string text;                            // cluster.toml as the person wrote it
    std::map<std::string, std::string> scripts;  // "web/nginx/start.sh" -> content

    bool operator==(const Bundle&) const = default;
};

constexpr size_t kMaxBundleBytes = 1024 * 1024;      // unpacked
constexpr size_t kMaxPackedBytes = 192 * 1024;       // as it stands in the document

Result<Bytes> pack(const Bundle& bundle);            // canonical, compressed (zstd); the same bundle gives the same bytes
Result<Bundle> unpack(std::span<const uint8_t> packed);  // limits checked before allocation

}  // namespace kagami::config
