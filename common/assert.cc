#include "common/assert.h"

#include <cstdio>
#include <cstdlib>

namespace kagami {

void invariant_broken(const char* expression, const char* file, int line, const char* why) {
    std::fprintf(stderr, "invariant broken: %s (%s:%d): %s\n", expression, file, line, why);
    std::abort();
}

}  // namespace kagami
