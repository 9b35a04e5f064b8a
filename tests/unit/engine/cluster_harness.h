// A few registers and the wires between them, moved by hand: each node with its own clock (offset and rate), messages
// delivered at once unless a way is cut, changes durable at once unless a disk is slow. Instead of the policy a leader
// admits whoever is heard.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>

#include "cluster-daemon/engine/engine.h"
#include "cluster-daemon/engine/register.h"
#include "cluster-daemon/engine/voters_policy.h"

namespace kagami::engine::testing {

constexpr NodeId kOne{1};
constexpr NodeId kTwo{2};
constexpr NodeId kThree{3};

Document document_of(int nodes, bool witness);
BootId boot_of(NodeId node, int boot);

struct Member {
    Incarnation self;
    int boot = 1;
    Duration offset{};
    double rate = 1.0;
    bool on = true;
    bool slow_disk = false;  // nothing becomes durable
    DurableState disk;
    std::optional<Ledger> ledger;
    Outbox out;
    std::unique_ptr<Register> reg;
    Instant beat_at;
    std::deque<Persist> writing;
    std::vector<Envelope> held;
    std::vector<Decision> said;
};

class Cluster {
 public:
    Cluster(int nodes, bool witness);

    Member& member(NodeId id) { return members_.at(id); }
    Register& reg(NodeId id) { return *members_.at(id).reg; }
    Instant now_of(NodeId id) const;
    bool leads(NodeId id) { return member(id).on && reg(id).leading(now_of(id)); }
    bool may_run(NodeId id) { return member(id).on && now_of(id) < reg(id).run_until(); }
    NodeId leader();  // the one that leads; asserts that there is at most one valid lease
    bool said(NodeId id, Reason reason);

    void crash(NodeId id);         // power loss
    void boot(NodeId id);          // a new incarnation
    void restart(NodeId id);       // the daemon, in the same boot
    void cut(NodeId a, NodeId b);  // both ways
    void cut_one_way(NodeId from, NodeId to) { cut_.insert({from, to}); }
    void isolate(NodeId id);
    void heal() { cut_.clear(); }

    void run(Duration real);
    // Runs until the condition holds; false when it does not within `limit`.
    template <typename Condition>
    bool run_until(Condition&& condition, Duration limit) {
        for (const Duration end = real_ + limit; real_ < end;) {
            if (condition()) return true;
            run(kTick);
        }
        return condition();
    }
    void start(Duration limit = 10s);  // until every node is a member with a lease
    Duration real() const { return real_; }

    bool upkeep = true;                   // leaders keep the voters in order
    std::function<void(Document&)> also;  // one more change for the next proposal of a leader

 private:
    static constexpr Duration kTick = 1ms;
    void open(Member& member);
    void settle(Member& member);
    void beat(Member& member);
    void lead(Member& member);
    void post(Member& member);
    void deliver();

    std::map<NodeId, Member> members_;
    std::set<std::pair<NodeId, NodeId>> cut_;
    std::deque<std::tuple<NodeId, NodeId, Bytes>> wire_;
    Duration real_ = 1000s;
};

}  // namespace kagami::engine::testing
