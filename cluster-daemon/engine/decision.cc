#include "cluster-daemon/engine/decision.h"

#include "cluster-daemon/engine/message_catalogue.h"

namespace kagami::engine {

const char* name_of(Reason reason) {
    return message_of(reason).name;
}
Level level_of(Reason reason) {
    return message_of(reason).level;
}

}  // namespace kagami::engine
