// What keeps the driver from waiting for memory that only it can free (mirror.md 2): everything locked, a heap that
// holds what is needed and neither grows nor shrinks, no way into file systems for the kernel when it reclaims memory
// on our behalf, and no OOM killer. What the machine refuses is a warning for the status, by name.
#pragma once

#include <string>
#include <vector>

namespace kagami::mirror {

// First thing in main(), before any thread.
std::vector<std::string> harden_process();
// Makes sure that so many bytes can be allocated without a new page. After whatever takes memory for good (a mirror is
// attached).
void reserve_heap(size_t length_bytes);
size_t heap_bytes();  // as taken from the kernel

}  // namespace kagami::mirror
