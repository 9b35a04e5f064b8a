#include "mirror-driver/driver/hardening.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "common/files.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

namespace kagami::mirror {

constexpr size_t kStackBytes = size_t{512} << 10U;

std::vector<std::string> harden_process() {
    std::vector<std::string> warnings;
    mallopt(M_ARENA_MAX, 1);             // one heap for all threads, so that one reserve serves them all ...
    mallopt(M_MMAP_MAX, 0);              // ... everything out of it ...
    mallopt(M_TRIM_THRESHOLD, INT_MAX);  // ... and nothing given back
    pthread_attr_t attributes;           // stacks are locked, too
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, kStackBytes);
    pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        warnings.push_back("memory is not locked (mlockall: " + errno_text(errno) +
                           "): under memory pressure a write may have to wait for itself");
    }
    if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) != 0) {
        warnings.push_back("the kernel does not know this process as one that writes back (PR_SET_IO_FLUSHER: " +
                           errno_text(errno) + "): under memory pressure a write may have to wait for itself");
    }
    std::ofstream score("/proc/self/oom_score_adj");
    if (!(score << "-1000" << std::flush)) {
        warnings.push_back("the OOM killer may end this process (oom_score_adj: " + errno_text(errno) + ")");
    }
    return warnings;
}

void reserve_heap(size_t length_bytes) {
    void* reserve = std::malloc(length_bytes);
    if (reserve == nullptr) return;
    std::memset(reserve, 1, length_bytes);
    // The compiler must not see that nobody reads it.
    __asm__ volatile("" : : "r"(reserve) : "memory");
    std::free(reserve);
}

size_t heap_bytes() {
    return mallinfo2().arena;
}

}  // namespace kagami::mirror
