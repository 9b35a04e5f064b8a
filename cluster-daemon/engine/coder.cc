#include "cluster-daemon/engine/coder.h"

namespace kagami::engine {

void Encoder::sentence(const std::string& text) {
    std::string_view cut(text);
    if (cut.size() > kMaxSentenceBytes) {
        cut = cut.substr(0, kMaxSentenceBytes);
        // Not in the middle of a UTF-8 character: continuation bytes look like 10xxxxxx.
        size_t end = cut.size();
        while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xc0U) == 0x80U) --end;
        cut = cut.substr(0, end);
    }
    writer_.string(cut);
}

}  // namespace kagami::engine
