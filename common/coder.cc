#include "common/coder.h"

#include "common/text.h"

namespace kagami {

void Encoder::sentence(const std::string& text) {
    writer_.string(utf8_prefix(text, kMaxSentenceBytes));
}

}  // namespace kagami
