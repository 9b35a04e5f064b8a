// The declared table of a type's parameters. Validation, --help, forms and man pages derive from it; drivers read typed values.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "common/time.h"

namespace kagami::config {

enum class ParameterKind { kString, kInteger, kBoolean, kDuration, kStringList, kPath, kScript };

struct Parameter {
    std::string_view name;
    ParameterKind kind;
    bool required;
    std::string_view default_text;  // as a person would write it in cluster.toml, without quotes; "" = none
    double minimum;                 // of integers, and of durations in seconds; both 0 = unbounded
    double maximum;
    std::string_view help;          // one sentence
    // An extra check on the text, for example "is this an IPv4 or IPv6 address with prefix"; null = none.
    Status (*check)(std::string_view text) = nullptr;
};

// A resource or monitor type as the configuration sees it.
struct TypeDescription {
    std::string_view word;                    // "exec", "fip", "pidw"
    std::string_view summary;                 // one sentence
    std::span<const Parameter> parameters;
    std::span<const std::string_view> after;  // resource types that start before this one when `after` is not given
    bool needs_target = false;                // monitors: `target` names a resource
    std::span<const std::string_view> target_types = {};  // NOLINT(*-member-init) monitors: what the target may be
};

struct TypeCatalogue {
    std::vector<TypeDescription> resources;
    std::vector<TypeDescription> monitors;
    std::vector<std::string_view> messages = {};  // ids and names of all messages; empty: they are not checked
};

// Checked values of one resource or monitor on one node, per-node overrides and defaults applied.
// Reading a name that the table does not declare is a programmer error (assertion).
class Values {
 public:
    Values() = default;
    explicit Values(std::map<std::string, std::vector<std::string>> texts) : texts_(std::move(texts)) {}
    bool has(std::string_view name) const;                 // a value was given, or the table has a default
    const std::string& text(std::string_view name) const;  // empty when there is no value
    const std::vector<std::string>& list(std::string_view name) const;
    int64_t integer(std::string_view name) const;
    bool boolean(std::string_view name) const;
    Duration duration(std::string_view name) const;
    const std::map<std::string, std::vector<std::string>>& all() const { return texts_; }
    bool operator==(const Values&) const = default;

 private:
    std::map<std::string, std::vector<std::string>> texts_;  // canonical texts: "2s", "true", "17"
};

Result<Duration> parse_duration(std::string_view text);  // "300ms" "2s" "5min" "1h"; a bare number is an error that names the units
std::string format_duration(Duration d);                 // the shortest text that parse_duration reads back

}  // namespace kagami::config
