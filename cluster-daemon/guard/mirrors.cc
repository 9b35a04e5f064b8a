#include "cluster-daemon/guard/mirrors.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <tuple>

#include "common/files.h"

namespace kagami::guard {
namespace {

// A word of which only the beginning is kept: what is longer is none that we look for.
class Word {
 public:
    void add(char c) {
        if (length_ < chars_.size()) chars_[length_] = c;
        ++length_;
    }
    std::string_view view() const { return length_ <= chars_.size() ? std::string_view(chars_.data(), length_) : ""; }
    void clear() { length_ = 0; }

 private:
    std::array<char, 128> chars_{};
    size_t length_ = 0;
};

// One line of mountinfo: id parent major:minor root point options [optional...] - type source options
class Line {
 public:
    void end_word(const Word& word) {
        if (place_ == 2) device_ = word;
        if (place_ == 4) point_ = word;
        if (divided_at_ != 0 && place_ == divided_at_ + 1) type_ = word;
        if (place_ >= 6 && divided_at_ == 0 && word.view() == "-") divided_at_ = place_;
        ++place_;
    }
    // The number of the connection, when this is a FUSE file system at `path`; otherwise zero, which is none.
    uint32_t connection(std::string_view path) const {
        const std::string_view type = type_.view();
        const std::string_view device = device_.view();
        if (point_.view() != path || (type != "fuse" && !type.starts_with("fuse.")) || !device.starts_with("0:")) {
            return 0;
        }
        uint32_t minor = 0;
        const auto parsed = std::from_chars(device.begin() + 2, device.end(), minor);
        return parsed.ec == std::errc() && parsed.ptr == device.end() ? minor : 0;
    }

 private:
    size_t place_ = 0, divided_at_ = 0;
    Word device_, point_, type_;
};

}  // namespace

size_t fuse_connections(int mountinfo, std::string_view path, std::span<uint32_t> into) {
    size_t found = 0;
    Line line;
    Word word;
    char text[4096];
    for (ssize_t length = 0; (length = read(mountinfo, text, sizeof(text))) > 0;) {
        for (const char c : std::string_view(text, static_cast<size_t>(length))) {
            if (c != ' ' && c != '\n') {
                word.add(c);
                continue;
            }
            line.end_word(word);
            word.clear();
            if (c == ' ') continue;
            const uint32_t connection = line.connection(path);
            if (connection != 0 && found < into.size()) into[found++] = connection;
            line = {};
        }
    }
    return found;
}

void abort_mirror(std::string_view name) {
    char path[128];
    std::snprintf(path, sizeof(path), "/run/kagami/mirror/%.*s/disk", static_cast<int>(name.size()), name.data());
    const UniqueFd mountinfo(open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
    std::array<uint32_t, 8> connections{};  // one normally; more when one was mounted over another
    const size_t count = mountinfo.valid() ? fuse_connections(mountinfo.get(), path, connections) : 0;
    for (size_t i = 0; i < count; ++i) {
        std::snprintf(path, sizeof(path), "/sys/fs/fuse/connections/%u/abort", connections[i]);
        const UniqueFd file(open(path, O_WRONLY | O_CLOEXEC));
        if (file.valid()) std::ignore = write(file.get(), "1", 1);
    }
}

}  // namespace kagami::guard
