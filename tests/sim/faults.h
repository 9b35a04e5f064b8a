// What goes wrong in a run, drawn from the seed: machines, processes, networks, disks, scripts, and people (persons.h).
// It stays within the fault model of protocol.md 2: one store at a time is put back or lost, and
// never the witness's; a node is confirmed as down only while it is off; an image that is put back is older than the
// node's last admission.
#pragma once

#include <string>

#include "tests/sim/mirror_faults.h"
#include "tests/sim/persons.h"
#include "tests/sim/setup.h"
#include "tests/sim/world.h"

namespace kagami::sim {

class Faults {
 public:
    Faults(World& world, Shape shape);

    void schedule(int count, Moment from, Moment to);  // `count` faults at random moments
    void one();                                        // a single fault of a random machine kind, for calm clusters
    void heal();  // everything works again, whatever was switched off is switched on
    MirrorFaults& mirrors() { return mirrors_; }
    Persons& persons() { return persons_; }
    uint64_t injected() const { return injected_; }

 private:
    void inject();
    void machine_fault();
    void process_fault();
    void network_fault();
    void store_fault();
    void service_fault();
    void power_cycle(Node& node, Duration away);
    void everybody_loses_power();
    void freeze(Node& node);
    void cut_something();
    void bad_weather();
    void slow_disk(Node& node);
    void restore(Node& node);
    void lose(Node& node);
    void caretaker(Moment until);  // switches on again what shut itself down

    Random& random() { return world_.random(); }
    Node& any() { return world_.at(random().below(world_.count())); }
    Node& any_node() { return world_.at(random().below(world_.configured())); }
    Node* someone_running();
    std::string any_group();
    bool others_sound(const Node& node) const;

    World& world_;
    Persons persons_;
    MirrorFaults mirrors_;
    uint64_t injected_ = 0;
    bool over_ = false;
};

}  // namespace kagami::sim
