// Mirrors: whose copy is current, what the drivers wish, and what persons order. protocol.md 9.
#include "cluster-daemon/engine/policy_plan.h"

namespace kagami::engine {

Status Plan::mirror_request(const OperatorRequest& request, OwedReply& /*owed*/) {
    return fail(ErrorCode::kNotFound, "there is no mirror \"" + request.subject + "\"");
}

bool Plan::settle_mirror(const OwedReply& owed) {
    reply(owed, OperatorOutcome::kDone, "Mirror " + owed.subject + ": done.");
    return true;
}

}  // namespace kagami::engine
