// Plays a case in the simulated world, calm and without chance, and writes down what the cluster says and where the
// groups are.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/golden/case_file.h"
#include "tests/golden/replicas.h"
#include "tests/sim/world.h"

namespace kagami::golden {

struct Played {
    std::string transcript;
    std::vector<std::string> failures;  // commands that cannot be carried out, expectations not met, invariants broken
    std::set<engine::Reason> reasons;   // of everything that was decided
};

class Player {
 public:
    explicit Player(const Case& played);
    Played play();

 private:
    using Words = std::vector<std::string>;
    using Action = std::function<Status(const Words&)>;

    void add_machine_commands();
    void add_network_commands();
    void add_service_commands();
    void add_person_commands();
    void add_mirror_commands();
    void add_operation_commands();
    void add_detail_commands();
    void carry_out(const Command& command);
    void write(const std::string& text);
    void write_places();
    std::string places_of(const std::string& group);
    Status expect(const Words& words);
    Status ask(engine::OperatorVerb verb, const Words& words, engine::OperatorRequest request = {});
    Status apply(const Words& words);
    static std::string with_lines(std::string text);
    Status trouble(const Words& words, bool hangs);
    Status impostor(const Words& words);
    Status measure(const Words& words);
    Status claims(const Words& words);
    Status paths(const Words& words);
    Status foreign_timing(const Words& words);
    Status resource(const Words& words);
    Status monitor(const Words& words);
    Status maintenance(const Words& words);
    Status failover(const Words& words);
    Status reserved_reboot(const Words& words);
    Status tell(engine::OperatorVerb verb, const Words& words, engine::OperatorRequest request);
    Result<sim::Node*> node(const Words& words, size_t index);
    void for_node(const std::string& command, std::function<void(sim::Node&)> action);  // NODE or "all"
    std::string option(const Words& words, const std::string& key) const;               // the word after `key`

    const Case& case_;
    sim::World world_;
    Replicas replicas_;
    std::map<std::string, Action> actions_;
    std::map<NodeId, engine::MachineMeasured> measured_;
    std::map<NodeId, std::vector<engine::PathReport>> bad_paths_;
    Played played_;
};

}  // namespace kagami::golden
