#include "cli/roff.h"

namespace kagami::cli {
namespace {

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\') {
            out += "\\e";
        } else if (c == '-') {
            out += "\\-";
        } else {
            out += c;
        }
    }
    return out;
}

}  // namespace

std::string roff(std::string_view text) {
    std::string out = text.starts_with('.') || text.starts_with('\'') ? "\\&" : "";
    bool bold = false;
    for (size_t at = 0; at <= text.size();) {
        const size_t end = std::min(text.find('`', at), text.size());
        const std::string part = escaped(text.substr(at, end - at));
        out += bold ? "\\fB" + part + "\\fR" : part;
        bold = !bold;
        at = end + 1;
    }
    return out;
}

std::string roff_bold(std::string_view text) {
    return "\\fB" + escaped(text) + "\\fR";
}
std::string roff_italic(std::string_view text) {
    return "\\fI" + escaped(text) + "\\fR";
}

}  // namespace kagami::cli
