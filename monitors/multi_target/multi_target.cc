#include "monitors/multi_target/multi_target.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "common/ids.h"

namespace kagami::monitors {
namespace {

using config::ParameterKind;

Status check_name(std::string_view text) {
    if (valid_name(text)) return {};
    return fail(ErrorCode::kUsage, "is not the name of a monitor", "write names of other [[monitor]] tables");
}

constexpr std::array<config::Parameter, 3> kParameters = {{
    {"monitors", ParameterKind::kStringList, true, "", 0, 0, "Names of the monitors that are combined.", check_name},
    {"error_threshold", ParameterKind::kInteger, false, "", 1, 1024,
     "How many of them must be in error for an error; default: all of them."},
    {"caution_threshold", ParameterKind::kInteger, false, "1", 1, 1024,
     "How many of them must be in error or caution for a caution."},
}};

std::string joined(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
}

class MultiTarget : public Monitor {
 public:
    Result<Finding> check(const Context& context) override {
        const auto& members = context.values.list("monitors");
        if (members.empty())
            return fail(ErrorCode::kUsage, "monitor " + context.monitor + ": it combines no monitors",
                        "write monitors = [\"NAME\", ...]");
        std::vector<std::string> in_error;
        std::vector<std::string> in_caution;
        size_t known = 0;
        for (const std::string& member : members) {
            const auto at = context.others.find(member);
            if (at == context.others.end()) continue;
            ++known;
            if (at->second == Health::kError) in_error.push_back(member);
            if (at->second == Health::kCaution) in_caution.push_back(member);
        }
        const auto& values = context.values;
        const size_t wanted =
            values.has("error_threshold") ? static_cast<size_t>(values.integer("error_threshold")) : members.size();
        // A threshold above their number means all of them.
        const bool error = in_error.size() >= std::min(wanted, members.size());
        const bool caution =
            in_error.size() + in_caution.size() >= static_cast<size_t>(values.integer("caution_threshold"));
        if (in_error.empty() && in_caution.empty())
            return Finding{Health::kNormal,
                           fmt::format("{} of {} monitors are running, none in error", known, members.size())};
        std::string message = fmt::format("{} of {} monitors in error", in_error.size(), members.size());
        if (!in_error.empty()) message += ": " + joined(in_error);
        if (!in_caution.empty()) message += "; in caution: " + joined(in_caution);
        return Finding{error ? Health::kError : caution ? Health::kCaution : Health::kNormal, std::move(message)};
    }
};

}  // namespace

const config::TypeDescription& multi_target_description() {
    static const config::TypeDescription description = {
        "mtw", "Combines other monitors: an error when enough of them are in error.", kParameters, {}};
    return description;
}

std::unique_ptr<Monitor> make_multi_target(host::Host& /*host*/) {
    return std::make_unique<MultiTarget>();
}

}  // namespace kagami::monitors
