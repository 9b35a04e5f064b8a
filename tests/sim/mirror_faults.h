// What goes wrong with mirrors, drawn from the seed: the mirror network, connections, drivers, both disks, and people
// with good and foolish commands. It stays within the fault model: a replica that is put back is older than its last
// attach (that is what the nonces can tell); the only current copy is seldom lost, and then a person forces the other
// one.
#pragma once

#include "tests/sim/world.h"

namespace kagami::sim {

class MirrorFaults {
 public:
    explicit MirrorFaults(World& world) : world_(world) {}

    bool possible() const { return !world_.mirrors().empty(); }
    void inject();
    void one();  // for calm clusters: nothing that a person must repair
    void heal();
    void help();           // a person repairs what needs a person
    void help_the_rest();  // ... and orders full copies of what still is not equal
    // The replicas of a node that is put back as a whole.
    void put_back_with(Node& node, Moment taken);

 private:
    Random& random() { return world_.random(); }
    MirrorPair& any_pair() { return *random().pick(world_.mirrors()); }
    Side any_side() { return random().below(2); }
    void cut(MirrorPair& pair);
    void interrupt(MirrorPair& pair, int times);
    void kill(MirrorPair& pair);
    void disk_errors(MirrorPair& pair);
    void exchange(MirrorPair& pair);
    bool dispensable(MirrorPair& pair, Side side);
    bool put_back(Driver& driver, MirrorPair& pair, Moment taken);
    void person(MirrorPair& pair);
    bool ask(MirrorPair& pair, engine::OperatorVerb verb, NodeId node, bool force);
    void repair_disks(MirrorPair& pair);
    void force_one(MirrorPair& pair);

    World& world_;
    bool over_ = false;
};

}  // namespace kagami::sim
