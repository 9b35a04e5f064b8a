// What happens while a person waits for a change: groups, resources and nodes that came into another state since the
// last look. Pure. Everything that moves is told, not only what the change is about: what else moves then is worth
// knowing.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace kagami::control::v1 {
class Status;
class Step;
}  // namespace kagami::control::v1

namespace kagami::runtime {

class ControlSteps {
 public:
    explicit ControlSteps(const control::v1::Status& before);
    std::vector<control::v1::Step> since_last(const control::v1::Status& now);

 private:
    std::map<std::string, std::string> known_;  // "resource fip1" -> its state and place
};

}  // namespace kagami::runtime
