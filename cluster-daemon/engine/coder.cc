#include "cluster-daemon/engine/coder.h"

#include "common/text.h"

namespace kagami::engine {

void Encoder::sentence(const std::string& text) {
    writer_.string(utf8_prefix(text, kMaxSentenceBytes));
}

}  // namespace kagami::engine
