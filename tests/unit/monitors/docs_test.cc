// docs/monitors.md tells every kind and every key with its default.
#include <catch2/catch.hpp>

#include "common/files.h"
#include "monitors/monitor.h"

using namespace kagami;
using namespace kagami::monitors;
using Catch::Matchers::Contains;

namespace {

// The text of one kind, from its heading to the next.
std::string section_of(const std::string& page, const std::string& word) {
    const std::string heading = "\n## " + word + "\n";
    const size_t begin = page.find(heading);
    if (begin == std::string::npos) return "";
    return page.substr(begin, page.find("\n## ", begin + 1) - begin);
}

size_t keys_in(const std::string& section) {
    size_t count = 0;
    for (size_t at = 0; (at = section.find("\n| `", at)) != std::string::npos; ++at) ++count;
    return count;
}

}  // namespace

TEST_CASE("the page about monitors agrees with the tables") {
    const auto page = read_file(KAGAMI_DOCS "/monitors.md", 1U << 20U);
    REQUIRE(page);
    for (const Type& type : registry()) {
        const std::string word(type.description.word);
        INFO(word);
        CHECK_THAT(*page, Contains("\n| `" + word + "` |"));
        const std::string section = section_of(*page, word);
        REQUIRE_FALSE(section.empty());
        CHECK(keys_in(section) == type.description.parameters.size());
        for (const config::Parameter& parameter : type.description.parameters) {
            const std::string row = "\n| `" + std::string(parameter.name) + "` | ";
            CHECK_THAT(section, Contains(row));
            const std::string cell = section.substr(section.find(row) + row.size(), 40);
            if (parameter.required) CHECK(cell.starts_with("required |"));
            const std::string text(parameter.default_text);
            const bool told = cell.starts_with(text + " |") || cell.starts_with("`" + text + "` |") ||
                              cell.starts_with("`[\"" + text + "\"]` |");
            if (!text.empty()) CHECK(told);
        }
    }
}
