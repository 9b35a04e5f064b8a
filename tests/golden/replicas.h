// The mirror drivers of a story, played by hand: a command says what happens to a disk or what a primary has found out;
// what every driver does by itself follows (it settles its nonce, takes the record's generation on when it is promoted,
// ends a wish that was granted). The transcript shows each change of the document's records.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/result.h"
#include "tests/sim/world.h"

namespace kagami::golden {

class Replicas {
 public:
    using Words = std::vector<std::string>;
    using Write = std::function<void(const std::string&)>;
    Replicas(sim::World& world, Write write);

    // mirror-report NODE MIRROR disk=new|same|other|incomplete|failed|none [size=N] [message=WORD]
    Status report(NodeId node, const Words& words);
    // wish NODE MIRROR solo|add|give-up
    Status wish(NodeId node, const Words& words);

 private:
    struct Replica {
        mirror::Report report;
        BootId boot{};  // of the machine when it was reported: a driver does not outlive it
        Nonce held;     // by the disk, also while the machine is off
        bool changed = false;
    };
    void tick();
    void follow(sim::Node& node, Replica& replica);
    void follow_record(const mirror::Record& record, NodeId node, Replica& replica) const;
    void follow_group(const sim::Node& node, Replica& replica) const;
    void tell(sim::Node& node, Replica& replica);
    void attach(mirror::Report& report, Nonce held);
    Result<Replica*> find(NodeId node, const Words& words);
    std::string group_of(const std::string& mirror) const;
    void show_records();

    sim::World& world_;
    Write write_;
    std::map<std::pair<NodeId, std::string>, Replica> replicas_;
    std::map<std::string, std::string> shown_;
    uint64_t nonces_ = 0;
};

}  // namespace kagami::golden
