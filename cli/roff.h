// Text as roff for man pages: what roff would take as an order is escaped, `words in backticks` become bold.
#pragma once

#include <string>
#include <string_view>

namespace kagami::cli {

std::string roff(std::string_view text);
std::string roff_bold(std::string_view text);
std::string roff_italic(std::string_view text);

}  // namespace kagami::cli
