#include "common/coder.h"

#include <algorithm>

#include "common/text.h"

namespace kagami {

void Encoder::text(const std::string& words, size_t limit_bytes) {
    writer_.string(utf8_prefix(words, limit_bytes));
}

void Encoder::sentences(const std::vector<std::string>& values, uint32_t limit) {
    const size_t count = std::min<size_t>(values.size(), limit);
    writer_.u32(static_cast<uint32_t>(count));
    for (size_t i = 0; i < count; ++i) sentence(values[i]);
}

}  // namespace kagami
