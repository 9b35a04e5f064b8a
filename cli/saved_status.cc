#include "cli/saved_status.h"

#include <nlohmann/json.hpp>

#include "common/files.h"

namespace kagami::cli {
namespace {

constexpr size_t kMaxStatusBytes = size_t{16} << 20;

}  // namespace

Result<control::v1::SimulateAnswer> simulate_saved(const std::string& file, const std::string&) {
    const auto text = read_file(file, kMaxStatusBytes);
    if (!text) return tl::unexpected(text.error());
    const auto json = nlohmann::json::parse(*text, nullptr, false);
    if (!json.is_object() || json.value("schema", "") != "kagami.status/1")
        return fail(ErrorCode::kUsage, file + " is no saved status", "save one with: kagami status --json > FILE");
    return fail(ErrorCode::kRefused, "a saved status does not hold the votes and the configuration that decide",
                "ask the running cluster: kagami simulate EVENT");
}

}  // namespace kagami::cli
