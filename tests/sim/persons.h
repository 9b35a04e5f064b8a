// The people of a run: good and foolish commands at random moments, and configurations that are pushed in the middle of
// a fault. What they set lasts until help() takes everything back that keeps the cluster from deciding by itself.
#pragma once

#include <string>

#include "tests/sim/setup.h"
#include "tests/sim/world.h"

namespace kagami::sim {

class Persons {
 public:
    Persons(World& world, Shape shape) : world_(world), shape_(std::move(shape)) {}

    void act();  // somebody commands something
    // Failover on, no maintenance, nothing suspended or held by a person, the configuration confirmed.
    void help();

 private:
    void group_command();
    void node_command();
    void apply_configuration();
    void resource_command();
    void monitor_command();
    void failover_command();
    void maintenance_command();
    void setting_command();
    void ask(engine::OperatorRequest request, const std::string& words);
    void give(engine::OperatorVerb verb, const std::string& subject);

    Random& random() { return world_.random(); }
    Node& any_node() { return world_.at(random().below(world_.configured())); }
    Node* someone_running();
    std::string any_group();
    std::string any_resource();
    std::string or_nonsense(std::string name);

    World& world_;
    Shape shape_;
};

}  // namespace kagami::sim
