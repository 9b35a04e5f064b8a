// Node leases: how a follower gets the right to run groups, and what the leader remembers of the rights it gave.
// protocol.md 4.
//
// RunLease (every node): groups may run until run_until(). A lease counts from the SEND time of the request or renewal
// behind it, and only
//          when the local document is at least as new as the granter named ("no stale document").
// Grants (leader): until when an incarnation may still run. A grant is never longer than what is left of the leader's
// own lease. Invariants: I17 run_until() <= (send time of an acknowledged renewal or request) + T_hold; I12 another
// timing digest gets nothing.
#pragma once

#include <algorithm>
#include <deque>
#include <map>

#include "cluster-daemon/engine/acceptor.h"
#include "cluster-daemon/engine/outbox.h"

namespace kagami::engine {

class RunLease {
 public:
    RunLease(const Acceptor& acceptor, const Incarnation& self, Outbox& out)
        : acceptor_(acceptor), self_(self), out_(out) {}

    void ask(NodeId leader, Instant now);  // every T_renew while there is a leader other than this node
    void on_grant(NodeId from, const LeaseGrant& grant, Instant now);
    void on_leader_lease(Instant sent_at, Instant until);
    void on_pause(Instant now);  // nothing sent before counts any more

    Instant run_until() const { return run_until_; }
    Instant sent_at() const { return sent_at_; }
    Instant ask_at() const { return ask_at_; }

 private:
    void extend(Instant sent_at, Instant until);

    const Acceptor& acceptor_;
    Incarnation self_;
    Outbox& out_;
    std::deque<Instant> asked_;  // send times that an answer may still name
    Instant ask_at_;
    Instant not_before_;  // of the last gap in the clock
    Instant run_until_;
    Instant sent_at_;
};

class Grants {
 public:
    // Nobody at all is known to have stopped before `until`: after a restart of this daemon and after a hand-over.
    void everybody_until(Instant until) { everybody_until_ = std::max(everybody_until_, until); }
    void given(const Incarnation& who, Instant until);
    Instant may_run_until(const Incarnation& who) const;
    void forget_expired(Instant now);

 private:
    Instant everybody_until_;
    std::map<Incarnation, Instant> given_;
};

}  // namespace kagami::engine
