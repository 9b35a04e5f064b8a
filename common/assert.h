// Assertions for programmer errors. They stay on in release builds: a broken invariant aborts, and the guard recovers.
#pragma once

namespace kagami {

// Prints "invariant broken: EXPRESSION (FILE:LINE): WHY" to stderr and aborts.
[[noreturn]] void invariant_broken(const char* expression, const char* file, int line, const char* why);

}  // namespace kagami

#define KAGAMI_ASSERT(expression, why) \
    ((expression) ? static_cast<void>(0) : ::kagami::invariant_broken(#expression, __FILE__, __LINE__, why))
