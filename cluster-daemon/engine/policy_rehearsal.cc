// Dry runs: a request is carried out on a copy of everything, and what would be said about it is the answer.
#include <algorithm>

#include "cluster-daemon/engine/policy_plan.h"

namespace kagami::engine {

void Plan::rehearse(const PendingRequest& pending, OwedReply& owed) {
    PolicyInput input = input_;
    PolicyMemory memory = memory_;
    memory.owed.clear();
    PolicyMemory again = memory;
    input.requests.clear();
    const PolicyOutput without = Plan(input, again).run();
    input.requests.push_back(pending);
    input.requests.back().request.dry_run = false;
    const PolicyOutput with = Plan(input, memory).run();
    KAGAMI_ASSERT(!with.replies.empty(), "every request is answered at once");
    const OperatorReply& answer = with.replies.front().second;
    if (answer.outcome != OperatorOutcome::kAccepted) {
        out_.replies.emplace_back(owed.origin, answer);
        return;
    }
    std::string text = "Nothing was done. It would be: " + answer.message;
    for (const Decision& decision : with.decisions) {
        const bool anyway = std::any_of(without.decisions.begin(), without.decisions.end(),
                                        [&](const Decision& other) { return other.sentence == decision.sentence; });
        const bool same = decision.sentence.find(answer.message.substr(0, answer.message.size() - 1)) == 0;
        if (anyway || same || decision.reason == Reason::kOperatorAccepted ||
            decision.reason == Reason::kConfigChangeBegun)
            continue;
        text += "\n" + decision.sentence;
        if (!decision.rejected.empty()) text += " Not: " + joined(decision.rejected) + ".";
    }
    reply(owed, OperatorOutcome::kDone, text);
}

}  // namespace kagami::engine
