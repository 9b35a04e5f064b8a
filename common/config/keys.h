// THE table of keys of cluster.toml that do not belong to a type. The reader, the unknown-key suggestions, `config show
// --defaults` and the man page derive from it; the keys of a resource or monitor type are the type's Parameter table,
// turned into the same form by keys_of().
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/parameter.h"

namespace kagami::config {

enum class KeyKind {
    kString,
    kName,  // valid_name()
    kInteger,
    kBoolean,
    kDuration,
    kChoice,  // one of `choices`
    kChoiceList,
    kNameList,
    kStringList,
    kAddress,    // an IPv4 or IPv6 address without prefix
    kPath,       // absolute
    kScript,     // a file name of the stored scripts, or an absolute path
    kAddresses,  // one address, or a table of addresses by network
    kTable,      // a nested table with a section of its own
    kTableList,
};

struct Key {
    std::string_view name;
    KeyKind kind = KeyKind::kString;
    bool required = false;
    std::string_view default_text;  // as in cluster.toml, without quotes; lists separated by ", "
    double minimum = 0;             // integers; durations in seconds; both 0 = unbounded
    double maximum = 0;
    std::string_view help;
    std::span<const std::string_view> choices = {};  // NOLINT(*-member-init): short rows of a table would warn
    Status (*check)(std::string_view text) = nullptr;
};

struct Section {
    std::string_view title;  // "[cluster]", "[[group.resource]]"
    std::string_view help;
    std::span<const Key> keys;
};

std::span<const Key> root_keys();  // the tables themselves
const Section& cluster_section();
const Section& network_section();
const Section& node_section();
const Section& arbitration_section();
const Section& witness_section();
const Section& server_group_section();
const Section& exclusive_rule_section();
const Section& group_section();
const Section& start_wait_section();
const Section& stop_wait_section();
const Section& resource_scripts_section();
const Section& resource_section();
const Section& activation_failure_section();
const Section& deactivation_failure_section();
const Section& monitor_section();
const Section& on_error_section();
std::vector<const Section*> sections();  // all of them, in the order of the manual

std::vector<Key> keys_of(std::span<const Parameter> parameters);

std::string_view kind_words(KeyKind kind);  // "a string", "a duration such as \"2s\""
std::string range_text(const Key& key);     // "1 to 99", "1s to 5min", "auto | manual"; empty when unbounded

}  // namespace kagami::config
