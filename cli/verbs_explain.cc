#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "cli/json.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "cluster-daemon/engine/message_catalogue.h"
#include "common/config/nearest.h"

namespace kagami::cli {
namespace {

using Json = nlohmann::ordered_json;

Tone tone_of_level(engine::Level level) {
    switch (level) {
        case engine::Level::kInfo: return Tone::kDim;
        case engine::Level::kWarning: return Tone::kBusy;
        case engine::Level::kError: return Tone::kBad;
    }
    return Tone::kPlain;
}

Json json_of(const engine::MessageEntry& entry) {
    return {{"code", entry.code},
            {"name", entry.name},
            {"level", engine::word(entry.level)},
            {"meaning", entry.meaning},
            {"remedy", entry.remedy}};
}

Json json_of(const ExitCode& entry) {
    return {{"exit_status", entry.code}, {"meaning", entry.meaning}, {"remedy", entry.remedy}};
}

std::string meaning_and_remedy(std::string_view meaning, std::string_view remedy) {
    return wrapped(meaning, 2) + "What to do:\n" + wrapped(remedy, 2);
}

std::string text_of(const engine::MessageEntry& entry, bool colour) {
    return paint(colour, Tone::kStrong, entry.code) + " " + entry.name + " (" +
           paint(colour, tone_of_level(entry.level), engine::word(entry.level)) + ")\n" +
           meaning_and_remedy(entry.meaning, entry.remedy);
}

std::string text_of(const ExitCode& entry, bool colour) {
    return paint(colour, Tone::kStrong, "Exit status " + std::to_string(entry.code)) + "\n" +
           meaning_and_remedy(entry.meaning, entry.remedy);
}

// "4", "exit 4", "exit status 4", "exit code 4".
const ExitCode* find_exit_code(std::string_view text) {
    for (const std::string_view prefix : {"exit ", "status ", "code "}) {
        if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
    }
    const auto codes = exit_codes();
    const auto found = std::find_if(codes.begin(), codes.end(),
                                    [&](const ExitCode& code) { return std::to_string(code.code) == text; });
    return found == codes.end() ? nullptr : &*found;
}

Error unknown(const std::string& text) {
    const bool digit = std::any_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
    std::vector<std::string_view> names;
    for (const engine::MessageEntry& entry : engine::messages()) names.push_back(digit ? entry.code : entry.name);
    const std::string near = config::nearest(text, names, "");
    return {ErrorCode::kNotFound, "no message has the id or name \"" + text + "\"",
            near.empty() ? "`kagami explain` lists them; KU-... are messages of your own site" : near};
}

void list(const Session& session, bool json) {
    if (json) {
        Json all = {{"schema", "kagami.explain/1"}, {"messages", Json::array()}, {"exit_statuses", Json::array()}};
        for (const engine::MessageEntry& entry : engine::messages()) all["messages"].push_back(json_of(entry));
        for (const ExitCode& entry : exit_codes()) all["exit_statuses"].push_back(json_of(entry));
        session.console.out << dump(all);
        return;
    }
    Table table({"ID", "NAME", "LEVEL"});
    for (const engine::MessageEntry& entry : engine::messages())
        table.row({entry.code, entry.name, Cell(engine::word(entry.level), tone_of_level(entry.level))});
    session.console.out << table.print(session.console.colour) << "\nExit status:\n";
    for (const ExitCode& entry : exit_codes()) {
        std::string lines = wrapped(entry.meaning, 5);
        session.console.out << lines.replace(2, 1, std::to_string(entry.code));
    }
}

template <typename Entry>
int show(const Session& session, bool json, const Entry& entry) {
    if (json) {
        Json document = {{"schema", "kagami.explain/1"}};
        document.update(json_of(entry));
        session.console.out << dump(document);
    } else {
        session.console.out << text_of(entry, session.console.colour);
    }
    return 0;
}

}  // namespace

int run_explain(Session& session, const Arguments& arguments) {
    const bool json = arguments.has("json");
    const std::string& text = arguments.positional;
    if (text.empty()) return list(session, json), 0;
    if (const ExitCode* code = find_exit_code(text); code != nullptr) return show(session, json, *code);
    const engine::MessageEntry* entry = engine::find_message(text);
    if (entry == nullptr) return report(session.console, unknown(text));
    return show(session, json, *entry);
}

}  // namespace kagami::cli
