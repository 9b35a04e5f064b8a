// One call of Policy::plan(): the parts and what they share. Internal to the policy; policy.h is its face.
//   policy_requests.cc  what persons ask for         policy_config.cc  a new configuration
//   policy_nodes.cc     admission, loss, leaving     policy_orders.cc  START and STOP, replies that end, hand-over
//   policy_groups.cc    proofs, placement, moves     (voters: voters_policy.h, applied to the plan by the engine)
//   policy_mirrors.cc   whose copy is current        policy_mirror_requests.cc  what persons order of mirrors
//   policy_waits.cc     start and stop waits         policy_doubles.cc  groups that run where they should not
//   policy_restraint.cc what is left to persons now  policy_shortage.cc nodes that are short of memory or disk space
//   policy_operations.cc  resources, monitors, time-outs, final actions
//   policy_switches.cc    the failover switch, maintenance, who leads; what runs out by itself
//   policy_change.cc      a change of configuration under way   policy_rehearsal.cc  dry runs
// Each part changes `next_` (intent) and says why; only what stands in the chosen document is acted upon.
#pragma once

#include <map>
#include <set>
#include <string>

#include "cluster-daemon/engine/placement.h"
#include "cluster-daemon/engine/policy.h"
#include "cluster-daemon/engine/randomness.h"
#include "cluster-daemon/engine/restraint.h"
#include "common/assert.h"
#include "common/result.h"

namespace kagami::engine {

constexpr Duration kHealthyAfter = 1min;  // active so long without an error: failures of before are forgotten

// A reply that is still owed to a person.
struct OwedReply {
    uint64_t id = 0;
    NodeId origin;
    OperatorVerb verb = OperatorVerb::kGroupStart;
    std::string subject;
    NodeId node;          // target of a move or start; kNobody = any
    Version asked_at;     // document when it was accepted
    bool changes = true;  // its intent is a newer document
    bool saw_stopping = false;
    Instant deadline;
    std::string done;              // orders that have ended when the nodes follow them: what is answered then
    std::set<std::string> things;  // resources that stop or start, groups that move or restart
    Hash config{};                 // kConfigApply
};

struct PolicyMemory {
    struct Assignment {  // what START says beside the token
        Incarnation owner;
        bool failover = false;
        bool proven_stopped = false;
    };
    struct Storm {  // since when the document has had this count
        uint32_t count = 0;
        Instant since;
    };
    struct Count {  // that the document holds: since when it is at this value
        uint32_t value = 0;
        Instant since;
    };
    struct Wait {  // of a group for others
        Instant since;
        bool over = false;  // it goes on without them
    };
    struct SentOrder {
        Token token;
        bool start = false;
        Instant at;
    };
    std::vector<OwedReply> owed;
    std::map<std::string, Storm> storms;
    std::map<std::string, Assignment> assigned;
    std::map<std::string, SentOrder> sent;
    std::map<std::string, Instant> healthy_since;
    std::map<std::string, Instant> waiting_for_better;  // first start: an earlier server is about to come
    std::map<std::string, std::string> said;            // standing conditions, said once
    std::map<NodeId, std::set<BootId>> replaced_boots;  // incarnations that were seen replaced: never admitted again
    std::map<std::string, Wait> start_waits;
    std::map<std::string, Wait> stop_waits;
    std::map<std::string, Instant> management_waits;  // since when others wait for this management group
    std::map<std::string, Instant> doubles;           // since when a group is seen active twice
    std::map<NodeId, Instant> short_since;            // below minimum_memory or minimum_disk
    std::set<std::string> stop_again;                   // a person asked to stop a STOP_FAILED group once more
    std::map<std::string, Count> counts;                // minutes and seconds that run down in the document
    std::optional<Instant> change_since;                // a change of configuration waits for groups to stop
    std::string change_failed;                          // why the last one was given up
    std::optional<Instant> quiet_since;                 // nothing pending
    std::optional<Instant> leave_handover;              // first try to hand over in order to leave
};

// Of a group that is known to have an owner.
inline const Incarnation& owner_of(const GroupEntry& entry) {
    KAGAMI_ASSERT(entry.owner.has_value(), "the group has an owner");
    return *entry.owner;
}

enum class Proof : uint8_t { kNone, kStopped, kRebooted, kFenced, kExpired };
const char* words_of(Proof proof);

class Plan {
 public:
    Plan(const PolicyInput& input, PolicyMemory& memory);
    PolicyOutput run();

 private:
    // policy_plan.cc
    void consider(Instant t);
    void say(Reason reason, std::string subject, std::string sentence, std::vector<std::string> rejected = {});
    // A condition that lasts: said when it begins or its sentence changes.
    void say_once(const std::string& key, Reason reason, std::string subject, std::string sentence,
                  std::vector<std::string> rejected = {});
    std::string name_of(NodeId node) const { return input_.config->node_name(node); }
    const NodeFacts* facts_of(NodeId node) const;
    const Heartbeat* heartbeat_of(NodeId node) const;
    // The report of this very incarnation, or null.
    const NodeReport* report_of(const Incarnation& who) const;
    const GroupReport* report_of(const Incarnation& who, const std::string& group) const;
    bool is_heard(NodeId node) const { return engine::is_heard(input_, node); }
    std::set<NodeId> members() const;
    bool acting_leave() const;

    // policy_nodes.cc
    void plan_nodes();
    void admit(NodeId node);
    void watch(NodeId node);
    void take_wish_to_leave(NodeId node);
    void plan_leaving();
    void leave_together();
    void leave_alone(NodeId node);
    bool hand_over_before_leaving(const std::set<NodeId>& others);
    bool owns_nothing(NodeId node) const;
    void set_left(NodeId node, uint32_t order);

    // policy_groups.cc
    void plan_groups();
    void plan_group(const config::Group& group);
    Proof proof_of(const config::Group& group, const GroupEntry& entry);
    Proof expired(const config::Group& group, const GroupEntry& entry);
    void settle_owned(const config::Group& group, GroupEntry& entry);
    void settle_lost_owner(const config::Group& group, GroupEntry& entry);
    void release(const config::Group& group, GroupEntry& entry, Proof proof);
    void release_stopped(const config::Group& group, GroupEntry& entry);
    void arrive(const config::Group& group, GroupEntry& entry, NodeId from, NodeId target);
    void take_over(const config::Group& group, GroupEntry& entry, Proof proof);
    bool automatic(const config::Group& group, Proof proof) const;
    static void clear_owner(GroupEntry& entry, Proof proof);
    void start_wanted(const config::Group& group, GroupEntry& entry);
    void assign(const config::Group& group, GroupEntry& entry, NodeId node, bool failover, bool proven);
    void begin_move(const config::Group& group, GroupEntry& entry, NodeId target, Reason reason, const std::string& why,
                    std::vector<std::string> rejected = {});
    void leave_node(const config::Group& group, GroupEntry& entry);
    void fail_over(const config::Group& group, GroupEntry& entry, const std::string& cause);
    void fail_back(const config::Group& group, GroupEntry& entry);
    void note_health(const config::Group& group, GroupEntry& entry);
    void note_stop_failure(const config::Group& group, GroupEntry& entry);
    bool may_fail_over(const config::Group& group, GroupEntry& entry, NodeId from, NodeId to);
    void calm_storm(const config::Group& group, GroupEntry& entry);
    void say_no_place(const config::Group& group, const GroupEntry& entry, const std::string& sentence,
                      const Placement& placement);
    NodeId node_for(const config::Group& group, const GroupEntry& entry, const Placement& placement) const;
    bool may_start_on(const config::Group& group, GroupEntry& entry, NodeId node);
    bool waits_for_better(const config::Group& group, const Placement& placement);

    // policy_restraint.cc
    // May this be decided for the group without a person? If not, by which rule.
    std::optional<Restraint> may_decide(const config::Group& group, Automatic what) const;
    // The same, and tells once what would have been done: "would fail over from node1 to node2 (its disk failed)".
    bool restrained(const config::Group& group, const GroupEntry& entry, Automatic what, const std::string& would);
    std::string would_go(const config::Group& group, const GroupEntry& entry, const std::string& verb,
                         const std::string& cause) const;
    void note_failover(const config::Group& group, NodeId from, NodeId to);
    void plan_latch();
    bool failovers_under_way();

    // policy_waits.cc
    bool waits_to_start(const config::Group& group, GroupEntry& entry, NodeId node);
    bool waits_for_management(const config::Group& group);
    void cancel_start(const config::Group& group, GroupEntry& entry, const std::string& names);
    void wait_to_stop(const config::Group& group, GroupEntry& entry);
    void cancel_stop(const config::Group& group, GroupEntry& entry, const std::string& names);
    void cancel_cluster_stop();
    void cancel_node_stop(NodeId node);
    bool ordered_to_stop(const std::string& group, const GroupEntry& entry) const;

    // policy_doubles.cc
    void find_doubles();
    void tell_double(const config::Group& group, const GroupReport& report, NodeId node);
    bool runs_elsewhere(const config::Group& group);

    // policy_shortage.cc
    void note_shortage();
    void leave_short_node(const config::Group& group, GroupEntry& entry);

    // policy_requests.cc
    void take_requests();
    Status take(const PendingRequest& pending, OwedReply& owed);
    Status has_room(OperatorVerb verb, const Document& before) const;
    Status group_start(const OperatorRequest& request, OwedReply& owed);
    Status group_stop(const OperatorRequest& request, OwedReply& owed);
    Status group_move(const OperatorRequest& request, OwedReply& owed);
    Status may_reserve(const OperatorRequest& request) const;
    Status node_shutdown(const OperatorRequest& request, OwedReply& owed);
    Status node_return(const OperatorRequest& request, OwedReply& owed);
    Status cluster_start(OwedReply& owed);
    Status cluster_stop(const OperatorRequest& request, OwedReply& owed);
    Status confirm_down(const OperatorRequest& request, OwedReply& owed);
    Status config_apply(const OperatorRequest& request, OwedReply& owed);
    Result<const config::Group*> find_group(const std::string& name) const;
    Result<const config::Node*> find_node(const std::string& name) const;
    Status may_start() const;
    Status may_start_group(const config::Group& group, const GroupEntry& entry);
    Status may_start_beside(const config::Group& group) const;
    std::string follow_data(const config::Group& group, NodeId& wanted) const;
    Result<NodeId> choose_node(const config::Group& group, NodeId wanted, NodeId except, const std::string& verb) const;
    static void forget_failures(GroupEntry& entry);
    void reply(const OwedReply& owed, OperatorOutcome outcome, std::string message, std::string remedy = {},
               ErrorCode code = ErrorCode::kFailed);
    Duration limit_of(const config::Group& group) const;
    Status config_confirm(const OperatorRequest& request, OwedReply& owed);

    // policy_rehearsal.cc
    void rehearse(const PendingRequest& pending, OwedReply& owed);

    // policy_operations.cc
    struct Place {  // a resource and its group
        const config::Group& group;
        const config::Resource& resource;
    };
    Result<Place> find_resource(const std::string& name) const;
    Result<std::vector<const config::Monitor*>> find_monitors(const std::string& name) const;
    void accept(const OperatorRequest& request, OwedReply& owed, Reason reason, const std::string& subject,
                const std::string& what, std::string done);
    Status resource_request(const OperatorRequest& request, OwedReply& owed);
    Status resource_stop(const Place& place, const OperatorRequest& request, OwedReply& owed);
    Status resource_start(const Place& place, const OperatorRequest& request, OwedReply& owed);
    Status monitor_request(const OperatorRequest& request, OwedReply& owed);
    bool change_monitor(const config::Monitor& monitor, const OperatorRequest& request);
    Status timeout_ratio(const OperatorRequest& request, OwedReply& owed);
    Status final_actions_clear(const OperatorRequest& request, OwedReply& owed);
    bool settle_followed(const OwedReply& owed);
    bool settle_resources(const OwedReply& owed);
    void forget_stopped_resources();

    // policy_switches.cc
    struct MaintenanceOf {  // what it is about
        Maintenance* entry = nullptr;
        std::string subject;
        std::string name;
        std::string option;  // of `kagami maintenance`: " --node node1"
    };
    Status failover_request(const OperatorRequest& request, OwedReply& owed);
    Status paths_are_good() const;
    Status failover_force(const OperatorRequest& request, OwedReply& owed);
    Status may_leave_leader(const config::Group& group) const;
    Result<NodeId> choose_leader(NodeId wanted, const std::vector<const config::Group*>& groups) const;
    std::string no_leader(NodeId node) const;
    Result<MaintenanceOf> find_maintenance(const OperatorRequest& request);
    Status nothing_starts_on(NodeId node) const;
    Status maintenance_begin(const OperatorRequest& request, OwedReply& owed);
    Status maintenance_end(const OperatorRequest& request, OwedReply& owed);
    Status leader_move(const OperatorRequest& request, OwedReply& owed);
    bool settle_force(const OwedReply& owed);
    bool settle_leader_move(const OwedReply& owed);
    void plan_switches();
    bool count_down(const std::string& key, uint32_t& left, uint32_t step, Duration every);
    void end_reservation(NodeId node);
    void end_maintenance(const std::string& subject, const std::string& name, Maintenance& entry);
    void arm_again(NodeId node);
    void forget_leader_wish();

    // policy_config.cc
    struct Impact {  // of a new configuration on what runs
        std::set<std::string> stops;     // groups that have to stop, and in part start again
        std::set<std::string> monitors;  // that restart
    };
    Result<Impact> accept_config(const config::Config& wanted, const OperatorRequest& request);
    Status keeps_current_copies(const config::Config& wanted) const;
    Status may_change_nodes(const config::Config& wanted, bool confirmed_later) const;
    Status may_stop_for_change(const std::string& group, const std::string& why) const;
    Impact impact_of(const config::Config& wanted) const;
    std::string impact_words(const Impact& impact, const config::Config& wanted) const;
    void install_config(const config::Config& wanted);

    // policy_change.cc
    void plan_change();
    void begin_change(PendingChange change, const Impact& impact, const config::Config& wanted);
    void stop_for(PendingChange& change, const std::string& group);
    void stop_for_change();
    bool stops_more(const config::Config& wanted);
    void give_change_up(const std::string& why);
    void start_after_change();
    void count_confirmation();
    bool is_changing(const std::string& group) const;
    bool settle_apply(const OwedReply& owed);

    // policy_mirrors.cc
    struct Wishing {  // a node's replica, with the record that it wishes to see changed
        const config::Group& group;
        const std::string& name;
        mirror::Record& record;
        NodeId node;
        const mirror::Report& report;
    };
    void plan_mirrors();
    void plan_mirror(const config::Group& group, const std::string& name);
    void take_wish(const Wishing& wishing);
    void attach(const Wishing& w);
    void settle_nonce(const Wishing& w);
    bool speaks_for(const Wishing& w) const;
    void grant_solo(const Wishing& w);
    void grant_add(const Wishing& w);
    void give_up(const Wishing& w);
    std::string leave_behind(mirror::Record& record, NodeId node, mirror::Standing others,
                             const mirror::Generation& generation) const;
    mirror::Generation new_generation(const mirror::Record& record);
    void make_suspect(mirror::Record& record);
    void construct(const config::Group& group, const std::string& name, mirror::Record& record);
    void take_over_mirrors(const config::Group& group, NodeId node);
    std::string mirror_failure(const config::Group& group, const GroupEntry& entry) const;
    void check_mirrors() const;
    static std::string subject_of_mirror(const std::string& name);

    // policy_mirror_requests.cc
    Result<const config::Group*> find_mirror(const std::string& name) const;
    Status mirror_request(const OperatorRequest& request, OwedReply& owed);
    bool may_run(const config::Group& group, const GroupEntry& entry);
    Status may_force(const config::Group& group, const OperatorRequest& request);
    Status mirror_force(const config::Group& group, mirror::Record& record, const OperatorRequest& request,
                        OwedReply& owed);
    Status may_mark_suspect(const config::Group& group, const mirror::Record& record, const std::string& name) const;
    Status mirror_resync(const config::Group& group, mirror::Record& record, const OperatorRequest& request,
                         OwedReply& owed);
    Status mirror_hold(mirror::Record& record, const OperatorRequest& request, OwedReply& owed);
    std::string standings(const mirror::Record& record) const;
    bool settle_mirror(const OwedReply& owed);

    // policy_orders.cc
    void send_orders();
    void order_start(const std::string& group, const GroupEntry& entry);
    void order_stop(const std::string& group, const GroupEntry& entry);
    bool due(const std::string& group, const Token& token, bool start);
    StopReason stop_reason(const GroupEntry& entry) const;
    void settle_replies();
    bool settle(OwedReply& owed);
    bool stuck(const OwedReply& owed, NodeId node);
    bool cancelled(const OwedReply& owed);
    bool settle_shutdown(const OwedReply& owed);
    bool settle_cluster_stop(const OwedReply& owed);
    bool settle_group(OwedReply& owed);
    bool settle_start(const OwedReply& owed, const GroupEntry& entry, const GroupReport* report);
    bool settle_stop(OwedReply& owed, const GroupEntry& entry, const GroupReport* report);
    void plan_hand_over();
    bool quiet() const;

    const PolicyInput& input_;
    PolicyMemory& memory_;
    const Document& chosen_;
    Document next_;
    Randomness random_;
    PolicyOutput out_;
    std::map<std::string, NodeId> elsewhere_;  // groups that a node reports as not stopped without owning them
    std::set<std::string> held_stops_;         // groups whose STOP waits for others
    std::string latched_by_;                   // the first automatic failover of this call
    std::set<std::string> standing_;  // keys of say_once() in this call
};

}  // namespace kagami::engine
