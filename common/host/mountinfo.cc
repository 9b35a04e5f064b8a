#include "common/host/mountinfo.h"

#include <algorithm>
#include <string>

namespace kagami::host {
namespace {

// "\040" and the like.
std::string unescape(std::string_view text) {
    const auto octal = [](char c) { return c >= '0' && c <= '7'; };
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        const bool escaped = text[i] == '\\' && i + 3 < text.size() && octal(text[i + 1]) && octal(text[i + 2]) &&
                             octal(text[i + 3]);
        if (!escaped) {
            out += text[i];
            continue;
        }
        out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
        i += 3;
    }
    return out;
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    for (size_t begin = 0; begin <= line.size();) {
        const size_t end = std::min(line.find(' ', begin), line.size());
        if (end > begin) words.push_back(line.substr(begin, end - begin));
        begin = end + 1;
    }
    return words;
}

}  // namespace

// 36 35 98:0 /root /target rw,noatime master:1 - ext4 /dev/loop3 rw
std::vector<Mount> parse_mountinfo(std::string_view text) {
    std::vector<Mount> mounts;
    for (size_t begin = 0; begin < text.size();) {
        const size_t end = std::min(text.find('\n', begin), text.size());
        const auto words = words_of(text.substr(begin, end - begin));
        begin = end + 1;
        const auto dash = std::find(words.begin(), words.end(), "-");
        if (words.size() < 6 || words.end() - dash < 3 || dash - words.begin() < 6) continue;
        mounts.push_back({unescape(*(dash + 2)), unescape(words[4]), unescape(*(dash + 1)), std::string(words[2]),
                          std::string(words[0])});
    }
    return mounts;
}

}  // namespace kagami::host
