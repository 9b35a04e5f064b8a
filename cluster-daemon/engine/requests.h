// What persons ask for, on its way from the node where they asked to the leader and back.
//
// A request is sent to the leader again every T_detect until an answer comes; the leader takes each one once. Without a
// leader it is refused after a takeover should have happened. When the leadership moves after a request was accepted,
// its intent stands in the document and the new leader carries it out; the person is told so.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <vector>

#include "cluster-daemon/engine/outbox.h"
#include "cluster-daemon/engine/policy.h"

namespace kagami::engine {

class Requests {
 public:
    Requests(NodeId self, Outbox& out) : self_(self), out_(out) {}

    void ask(const OperatorRequest& request, Instant now);         // from this node's control socket
    void on_request(NodeId from, const OperatorRequest& request);  // relayed to this node, the leader
    void on_reply(NodeId from, const OperatorReply& reply);        // of any other than the leader asked: ignored
    void reply(NodeId origin, const OperatorReply& reply);         // by this node, the leader

    struct Leader {
        NodeId node;
        Epoch epoch;
        bool here = false;  // this node leads
    };
    void advance(const Leader& leader, const Timing& timing, Instant now);
    bool waiting() const { return !incoming_.empty(); }
    void forget_incoming();  // this node leads no more: whoever leads now is asked, and perhaps this node again
    std::vector<PendingRequest> take_incoming() { return std::exchange(incoming_, {}); }
    std::vector<OperatorReply> take_answers() { return std::exchange(answers_, {}); }
    Instant wake_at() const { return wake_at_; }

 private:
    struct Own {
        OperatorRequest request;
        Instant without_leader_since;
        Instant send_at;
        Epoch sent_under;
        NodeId sent_to;
        bool accepted = false;
    };
    bool settle(Own& own, const Leader& leader, const Timing& timing, Instant now);
    void answer(const Own& own, OperatorOutcome outcome, ErrorCode code, std::string message, std::string remedy);
    void answer_of_new_leader(const Own& own, const Leader& leader);

    NodeId self_;
    Outbox& out_;
    std::map<uint64_t, Own> own_;
    std::vector<PendingRequest> incoming_;
    std::deque<std::pair<NodeId, uint64_t>> taken_;  // recent ones, so that a repetition is not taken twice
    std::vector<OperatorReply> answers_;
    Instant wake_at_ = kNever;
};

}  // namespace kagami::engine
