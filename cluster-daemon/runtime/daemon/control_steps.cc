#include "cluster-daemon/runtime/daemon/control_steps.h"

#include "proto/control.pb.h"

namespace kagami::runtime {
namespace {

namespace proto = control::v1;

proto::Step step(const std::string& subject, const std::string& state, const std::string& message,
                 const std::string& node) {
    proto::Step out;
    out.set_subject(subject);
    out.set_state(state);
    out.set_message(message);
    out.set_node(node);
    return out;
}

std::vector<proto::Step> states_of(const proto::Status& status) {
    std::vector<proto::Step> all;
    for (const auto& node : status.nodes())
        all.push_back(step("node " + node.name(), node.state(), node.message(), ""));
    for (const auto& group : status.groups()) {
        for (const auto& resource : group.resources()) {
            all.push_back(
                step("resource " + resource.name(), resource.state(), resource.message(), group.current_node()));
        }
        all.push_back(step("group " + group.name(), group.state(), group.message(), group.current_node()));
    }
    return all;
}

}  // namespace

ControlSteps::ControlSteps(const proto::Status& before) {
    since_last(before);
}

std::vector<proto::Step> ControlSteps::since_last(const proto::Status& now) {
    std::vector<proto::Step> changed;
    for (proto::Step& each : states_of(now)) {
        std::string& known = known_[each.subject()];
        std::string present = each.state() + '\n' + each.node();
        if (known == present) continue;
        known = std::move(present);
        changed.push_back(std::move(each));
    }
    return changed;
}

}  // namespace kagami::runtime
