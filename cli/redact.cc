#include "cli/redact.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace kagami::cli {
namespace {

constexpr const char* kRemoved = "(removed)";
constexpr std::array<std::string_view, 11> kSecretWords = {"password", "passwd",     "passphrase", "secret",
                                                           "token",    "credential", "community",  "apikey",
                                                           "api_key",  "auth",       "header"};

bool is_key_character(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

bool is_secret(std::string_view key) {
    const std::string word = lower(key);
    return std::any_of(kSecretWords.begin(), kSecretWords.end(),
                       [&](std::string_view secret) { return word.find(secret) != std::string::npos; });
}

// Past the closing quotation marks of the string that begins at `at`, or the end of the text.
size_t end_of_string(std::string_view text, size_t at) {
    const char mark = text[at];
    const std::string three(3, mark);
    const std::string_view close = text.substr(at, 3) == three ? std::string_view(three) : text.substr(at, 1);
    const bool one_line = close.size() == 1;
    for (size_t i = at + close.size(); i < text.size(); ++i) {
        if (text[i] == '\\' && mark == '"') {
            ++i;
        } else if (text.substr(i, close.size()) == close) {
            return i + close.size();
        } else if (one_line && text[i] == '\n') {
            return i;
        }
    }
    return text.size();
}

// Past the value that begins at `at`: a string, a list or table with all that is in it, or a bare word.
size_t end_of_value(std::string_view text, size_t at) {
    int depth = 0;
    for (size_t i = at; i < text.size();) {
        const char c = text[i];
        if (c == '"' || c == '\'') {
            i = end_of_string(text, i);
            if (depth == 0) return i;
            continue;
        }
        const bool closes = c == ']' || c == '}';
        if (depth == 0 && (closes || c == ',' || c == '\n')) return i;
        depth += c == '[' || c == '{' ? 1 : closes ? -1 : 0;
        ++i;
        if (depth == 0 && closes) return i;
    }
    return text.size();
}

// The key that ends before `equals`, without quotation marks and blanks.
std::string_view key_before(std::string_view text, size_t equals) {
    size_t end = equals;
    while (end > 0 && (text[end - 1] == ' ' || text[end - 1] == '\t')) --end;
    if (end > 0 && (text[end - 1] == '"' || text[end - 1] == '\'')) --end;
    size_t begin = end;
    while (begin > 0 && (is_key_character(text[begin - 1]) || text[begin - 1] == '.')) --begin;
    return text.substr(begin, end - begin);
}

std::string without_secret_values(std::string_view text) {
    std::string out;
    size_t at = 0;
    for (size_t equals = text.find('='); equals != std::string_view::npos; equals = text.find('=', equals + 1)) {
        if (equals < at || !is_secret(key_before(text, equals))) continue;
        size_t value = equals + 1;
        while (value < text.size() && (text[value] == ' ' || text[value] == '\t')) ++value;
        out += std::string(text.substr(at, value - at)) + "\"" + kRemoved + "\"";
        at = std::max(value, end_of_value(text, value));
    }
    return out + std::string(text.substr(at));
}

// "https://user:word@host/path?x" becomes "https://(removed)@host/(removed)".
std::string without_url_parts(std::string_view text) {
    std::string out;
    size_t at = 0;
    for (size_t url = text.find("://"); url != std::string_view::npos; url = text.find("://", at)) {
        const size_t begin = url + 3;
        const size_t end = std::min(text.find_first_of("\"' \t\n,]}", begin), text.size());
        const std::string_view rest = text.substr(begin, end - begin);
        const size_t slash = std::min(rest.find('/'), rest.size());
        const size_t at_sign = rest.substr(0, slash).rfind('@');
        out += text.substr(at, begin - at);
        if (at_sign != std::string_view::npos) out += kRemoved;
        const size_t host = at_sign == std::string_view::npos ? 0 : at_sign;
        out += rest.substr(host, slash - host);
        if (slash < rest.size()) out += "/";
        if (slash + 1 < rest.size()) out += kRemoved;
        at = end;
    }
    return out + std::string(text.substr(at));
}

}  // namespace

std::string without_secrets(std::string_view toml) {
    return without_url_parts(without_secret_values(toml));
}

}  // namespace kagami::cli
