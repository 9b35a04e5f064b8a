#include "tests/golden/case_file.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "common/config/parameter.h"

namespace kagami::golden {
namespace {

std::vector<std::string> split(const std::string& line) {
    std::istringstream in(line);
    std::vector<std::string> words;
    for (std::string word; in >> word;) words.push_back(word);
    return words;
}

Result<std::string> read_text(const std::string& path) {
    std::ifstream in(path);
    if (!in) return fail(path + " cannot be read");
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

// "\\n" in a replacement stands for the end of a line.
std::string with_line_ends(std::string text) {
    for (size_t at = text.find("\\n"); at != std::string::npos; at = text.find("\\n")) text.replace(at, 2, "\n");
    return text;
}

// The lines above the transcript, one after the other.
class Reader {
 public:
    Reader(Case& target, const std::string& configurations) : case_(target), configurations_(configurations) {}

    Status take(const std::string& line) {
        ++number_;
        if (in_configuration_) {
            in_configuration_ = line != "end-configuration";
            if (in_configuration_) case_.toml += line + "\n";
            return {};
        }
        const auto words = split(line);
        if (words.empty() || words[0].front() == '#') return {};
        if (words[0] == "configuration") return begin_configuration();
        if (words[0] == "use" && words.size() == 2) return use(words[1]);
        if (words[0] == "replace") return replace(line);
        if (words[0] == "at" && words.size() > 2) return command(line, words);
        if (words[0] == "end" && words.size() == 2) return end(words[1]);
        return wrong("\"" + line + "\" is no line of a case");
    }

    Status finish() {
        if (in_configuration_) return wrong("end-configuration is missing");
        if (case_.toml.empty())
            return wrong("no configuration: write `use NAME` or `configuration` ... `end-configuration`");
        if (case_.end == Duration::zero()) return wrong("`end TIME` is missing");
        const auto by_time = [](const Command& a, const Command& b) { return a.at < b.at; };
        if (!std::is_sorted(case_.commands.begin(), case_.commands.end(), by_time))
            return wrong("the commands are not in order of time");
        return {};
    }

 private:
    Status wrong(const std::string& text) const {
        return fail(case_.path + ":" + std::to_string(number_) + ": " + text, "see tests/golden/README.md");
    }

    Status begin_configuration() {
        in_configuration_ = true;
        return {};
    }

    Status use(const std::string& name) {
        auto text = read_text(configurations_ + "/" + name + ".toml");
        if (!text) return wrong(text.error().message);
        case_.toml = *text;
        return {};
    }

    // replace "a" with "b": a change of the configuration that was named before.
    Status replace(const std::string& line) {
        std::vector<std::string> quoted;
        for (size_t at = line.find('`'); at != std::string::npos; at = line.find('`', at)) {
            const size_t close = line.find('`', at + 1);
            if (close == std::string::npos) return wrong("a ` is missing");
            quoted.push_back(with_line_ends(line.substr(at + 1, close - at - 1)));
            at = close + 1;
        }
        if (quoted.size() != 2) return wrong("write: replace `this` with `that`");
        const size_t found = case_.toml.find(quoted[0]);
        if (found == std::string::npos) return wrong("the configuration has no `" + quoted[0] + "`");
        case_.toml.replace(found, quoted[0].size(), quoted[1]);
        return {};
    }

    Status command(const std::string& line, const std::vector<std::string>& words) {
        const auto at = config::parse_duration(words[1]);
        if (!at) return wrong(at.error().message);
        Command made;
        made.at = *at;
        made.line = number_;
        made.words.assign(words.begin() + 2, words.end());
        made.text = line.substr(line.find(words[1]) + words[1].size());
        made.text.erase(0, made.text.find_first_not_of(' '));
        case_.commands.push_back(std::move(made));
        return {};
    }

    Status end(const std::string& text) {
        const auto at = config::parse_duration(text);
        if (!at) return wrong(at.error().message);
        case_.end = *at;
        return {};
    }

    Case& case_;
    const std::string& configurations_;
    int number_ = 0;
    bool in_configuration_ = false;
};

}  // namespace

Result<Case> read_case(const std::string& path, const std::string& configurations) {
    auto text = read_text(path);
    if (!text) return tl::unexpected(text.error());
    Case made;
    made.path = path;
    const size_t divider = text->find(kDivider);
    made.head = text->substr(0, divider);
    if (divider != std::string::npos) made.expected = text->substr(divider + std::string(kDivider).size());
    Reader reader(made, configurations);
    std::istringstream lines(made.head);
    for (std::string line; std::getline(lines, line);) {
        if (auto status = reader.take(line); !status) return tl::unexpected(status.error());
    }
    if (auto status = reader.finish(); !status) return tl::unexpected(status.error());
    return made;
}

}  // namespace kagami::golden
