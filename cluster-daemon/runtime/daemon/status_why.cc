// `kagami why`: the state of one thing in a few words, and why, as far as the document and the reports say.
#include <algorithm>

#include "cluster-daemon/runtime/daemon/mirror_view.h"
#include "cluster-daemon/runtime/daemon/status_view.h"
#include "common/text.h"
#include "proto/control.pb.h"

namespace kagami::runtime {
namespace {

namespace proto = control::v1;

void explain_group(const View& view, const config::Group& group, proto::WhyAnswer& answer) {
    const engine::GroupEntry* entry = view.entry(group.name);
    answer.set_subject("group " + group.name);
    answer.set_state(group_situation(view, group));
    answer.set_sentence(group_message(view, group));
    for (const NodeId node : group.nodes) {
        proto::Candidate& out = *answer.add_candidates();
        out.set_node(view.name(node));
        const engine::Candidate candidate = view.judge(group, node);
        const bool runs = entry != nullptr && entry->owner && entry->owner->node == node;
        out.set_eligible(candidate.fitness == engine::Fitness::kFit);
        out.set_reason(valid_utf8((runs             ? "runs it"
                                   : out.eligible() ? "could run it"
                                                    : "") +
                                  std::string(runs && !out.eligible() ? ", although: " : "") + candidate.obstacle));
    }
}

void explain_resource(const View& view, const config::Group& group, const std::string& name, proto::WhyAnswer& answer) {
    answer.set_subject("resource " + name);
    answer.set_state(group_situation(view, group));
    answer.set_sentence(group_message(view, group));
    const engine::GroupEntry* entry = view.entry(group.name);
    const engine::GroupReport* report = view.telling_report(group.name);
    if (report != nullptr) {
        for (const engine::ResourceReport& known : report->resources) {
            if (known.name != name) continue;
            answer.set_state(word(known.state) + (entry != nullptr && entry->owner
                                                      ? " on " + view.name(entry->owner->node)
                                                      : std::string()));
            answer.set_sentence(valid_utf8(known.message));
        }
    }
    if (entry != nullptr && entry->stopped_resources.contains(name)) {
        answer.set_sentence("stopped by a person while group " + group.name + " runs; `kagami resource start " + name +
                            "` starts it");
    }
}

bool explain_monitor(const View& view, const std::string& name, proto::WhyAnswer& answer) {
    const config::Monitor* found = view.config.monitor(name);
    if (found == nullptr) return false;
    proto::Monitor monitor;
    fill_monitor(view, *found, monitor);
    answer.set_subject("monitor " + name);
    answer.set_state(monitor.state());
    answer.set_sentence(monitor.message());
    for (const auto& node : monitor.nodes()) {
        if (node.dummy_failure())
            answer.set_sentence("a person made it report an error on " + node.node() +
                                ", whatever it finds: `kagami monitor unfail " + name + "`");
        else if (node.suspended())
            answer.set_sentence("suspended by a person on " + node.node() + ": `kagami monitor resume " + name + "`");
    }
    return true;
}

bool explain_member(const View& view, const std::string& name, proto::WhyAnswer& answer) {
    const config::Node* node = view.config.node(std::string_view(name));
    if (node == nullptr) return false;
    answer.set_subject("node " + name);
    answer.set_state(node_state(view, node->id));
    answer.set_sentence(node_message(view, node->id));
    return true;
}

// A mirror disk bears the name of its resource.
bool explain_part(const View& view, const std::string& name, proto::WhyAnswer& answer) {
    for (const config::Group& group : view.config.groups) {
        for (const config::Resource& resource : group.resources) {
            if (resource.name != name) continue;
            if (resource.type != "md") return explain_resource(view, group, name, answer), true;
            proto::Mirror mirror;
            fill_mirror(view.in, group, resource, [&](NodeId node) { return view.report(node); }, mirror);
            return explain_mirror(mirror, answer), true;
        }
    }
    return false;
}

}  // namespace

bool build_why(const StatusInput& input, const std::string& subject, proto::WhyAnswer& answer) {
    const View view(input);
    if (const config::Group* group = view.config.group(subject)) return explain_group(view, *group, answer), true;
    if (explain_member(view, subject, answer)) return true;
    if (subject != "cluster") return explain_part(view, subject, answer) || explain_monitor(view, subject, answer);
    answer.set_subject("cluster");
    answer.set_state(cluster_state(view));
    answer.set_sentence(input.snapshot.waiting_for);
    return true;
}

}  // namespace kagami::runtime
