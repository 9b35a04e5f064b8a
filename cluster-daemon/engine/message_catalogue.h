// THE table of messages: every Reason with its message id, name, level, meaning and remedy. The log, the history,
// alerts, `kagami explain`, name_of(), level_of() and docs/messages.md derive from it. Invariants, checked when
// message_catalogue.cc is compiled: every Reason has exactly one entry, entries are in the order of Reason, and the
// number of an id is the Reason's value, so an id never changes its meaning: a new Reason goes to the end of its block
// in decision.h. Ids: KR register and leases, KN nodes, KG groups, KM monitors, KO operators and configuration, KD
// mirror disks. (KU is of messages that people make: `clplogcmd`; they stand in no table.)
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster-daemon/engine/decision.h"

namespace kagami::engine {

struct MessageEntry {
    Reason reason;
    const char* code;  // "KG-0302"
    const char* name;  // "group-failover"
    Level level;
    const char* meaning;  // one sentence
    const char* remedy;   // what a person should do
};

std::span<const MessageEntry> messages();
const MessageEntry& message_of(Reason reason);
// By id or name, in any case ("KG-0302", "kg-0302", "group-failover"); null when there is none.
const MessageEntry* find_message(std::string_view code_or_name);

std::vector<std::string_view> message_words();  // all ids and names, as the configuration knows them

const char* word(Level level);  // "info", "warning", "error"

std::string catalogue_page();  // docs/messages.md

}  // namespace kagami::engine
