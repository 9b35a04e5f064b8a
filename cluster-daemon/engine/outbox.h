// What the register's parts want said: messages and sentences of one step, collected until the engine hands them over.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cluster-daemon/engine/io.h"

namespace kagami::engine {

struct Outbox {
    std::vector<Envelope> messages;
    std::vector<Decision> decisions;
    std::shared_ptr<const config::Config> config;  // for names; null until it is parsed

    void send(NodeId to, Message message, uint64_t after_persist = 0) {
        messages.push_back({to, std::move(message), after_persist});
    }
    void say(Reason reason, std::string subject, std::string sentence) {
        decisions.push_back({reason, std::move(subject), std::move(sentence), {}});
    }
    std::string name(NodeId node) const { return config ? config->node_name(node) : to_string(node); }
};

// Nodes (and the witness) that vote under this document, before and after a change of voters that is under way.
inline std::set<NodeId> voting_nodes(const Document& document) {
    std::set<NodeId> nodes;
    for (const Voter& voter : document.voters) nodes.insert(voter.id.node);
    for (const Voter& voter : document.previous_voters) nodes.insert(voter.id.node);
    return nodes;
}

}  // namespace kagami::engine
