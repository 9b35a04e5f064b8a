#include "common/mirror.h"

#include <algorithm>

namespace kagami::mirror {

std::string to_string(const Generation& generation) {
    return std::to_string(generation.counter) + ":" + to_hex(generation.random.data(), 4);
}

Standing Record::standing(NodeId node) const {
    const auto at = replicas.find(node);
    return at == replicas.end() ? Standing::kUnbuilt : at->second.standing;
}

size_t Record::current_count() const {
    return static_cast<size_t>(std::count_if(replicas.begin(), replicas.end(), [](const auto& replica) {
        return replica.second.standing == Standing::kCurrent;
    }));
}

const char* word(Standing standing) {
    switch (standing) {
        case Standing::kUnbuilt: return "unbuilt";
        case Standing::kCurrent: return "current";
        case Standing::kStale: return "stale";
        case Standing::kSuspect: return "suspect";
    }
    return "";
}

const char* word(Mode mode) {
    switch (mode) {
        case Mode::kIdle: return "idle";
        case Mode::kConnected: return "connected";
        case Mode::kStalled: return "stalled";
        case Mode::kSolo: return "solo";
        case Mode::kSyncing: return "syncing";
        case Mode::kJoining: return "joining";
        case Mode::kHalted: return "halted";
    }
    return "";
}

const char* word(DiskState disk) {
    switch (disk) {
        case DiskState::kNone: return "none";
        case DiskState::kNew: return "new";
        case DiskState::kConsistent: return "consistent";
        case DiskState::kInconsistent: return "inconsistent";
        case DiskState::kFailed: return "failed";
    }
    return "";
}

const char* word(Role role) {
    switch (role) {
        case Role::kDetached: return "detached";
        case Role::kSecondary: return "secondary";
        case Role::kPrimary: return "primary";
    }
    return "";
}

}  // namespace kagami::mirror
