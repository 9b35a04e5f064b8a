#include "cluster-daemon/runtime/daemon/control_simulate.h"

#include "cluster-daemon/engine/what_if.h"
#include "cluster-daemon/runtime/daemon/control_changes.h"
#include "common/text.h"
#include "proto/control.pb.h"

namespace kagami::runtime {
namespace {

namespace proto = control::v1;

std::string name_of(const config::Config& config, NodeId node) {
    return node == kNobody ? std::string() : config.node_name(node);
}

void fill_group(const config::Config& config, const engine::WhatIfGroup& group, proto::SimulatedGroup& out) {
    out.set_group(group.group);
    out.set_from(name_of(config, group.from));
    out.set_to(name_of(config, group.to));
    out.set_gap_ms(group.to == kNobody ? -1 : milliseconds(group.gap));
    out.set_why(valid_utf8(group.why));
    for (const engine::Candidate& candidate : group.candidates) {
        proto::Candidate& line = *out.add_candidates();
        line.set_node(name_of(config, candidate.node));
        line.set_eligible(candidate.fitness == engine::Fitness::kFit);
        line.set_reason(valid_utf8(candidate.obstacle));
    }
}

void fill_decision(const engine::Decision& decision, proto::Decision& out) {
    out.set_reason(name_of(decision.reason));
    out.set_subject(decision.subject);
    out.set_sentence(valid_utf8(decision.sentence));
    for (const std::string& input : decision.rejected) out.add_inputs(valid_utf8(input));
}

}  // namespace

void simulate(const StatusInput& input, const std::string& events, proto::SimulateAnswer& answer) {
    const auto& config = input.snapshot.config;
    if (!config) {
        return fill_refused(*answer.mutable_refused(), {ErrorCode::kFailed, "this node has no configuration yet",
                                                        "ask a node that has joined the cluster"});
    }
    const auto found = engine::what_if(input.snapshot, events, input.now);
    if (!found) return fill_refused(*answer.mutable_refused(), found.error());
    answer.set_outcome(valid_utf8(found->outcome));
    for (const auto& group : found->groups) fill_group(*config, group, *answer.add_groups());
    for (const std::string& unmet : found->unmet) answer.add_unmet(valid_utf8(unmet));
    answer.set_data_risk(found->data_risk);
    answer.set_data_sentence(valid_utf8(found->data_sentence));
    for (const engine::Decision& decision : found->decisions) fill_decision(decision, *answer.add_decisions());
}

}  // namespace kagami::runtime
