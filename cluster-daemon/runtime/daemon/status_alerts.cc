// What a person should know or do now, the most urgent first. From the finished status, so that alerts and status never
// disagree.
#include <fmt/format.h>

#include <algorithm>

#include "cluster-daemon/runtime/daemon/status_view.h"
#include "proto/control.pb.h"

namespace kagami::runtime {
namespace {

namespace proto = control::v1;

constexpr const char* kError = "ERROR";
constexpr const char* kWarning = "WARN";
constexpr const char* kInfo = "INFO";

class Alerts {
 public:
    Alerts(const View& view, proto::Status& status) : view_(view), status_(status) {}

    void of_this_node() {
        if (!view_.in.snapshot.quorum && view_.in.snapshot.startup_complete) {
            add(kError, "cluster", "this node has no majority: its groups are suspended",
                "look at `kagami paths`; mend the network or start the missing nodes");
        }
        const GuardSummary& guard = view_.in.guard;
        if (!guard.alive) {
            add(kError, "guard", "the guard does not run: no group can run here",
                "start kagami-guard and read its log");
        } else if (guard.watchdog == "none") {
            add(kWarning, "guard", "no watchdog stands behind the guard (safety class B)",
                "load a watchdog driver, for example softdog or iTCO_wdt");
        } else if (!guard.armed && unmanaged_here()) {
            add(kInfo, "guard", "the guard is not armed, because this node is unmanaged");
        } else if (!guard.armed) {
            add(kWarning, "guard", "the guard is not armed: its watchdog would not end this node",
                "read the log of kagami-guard");
        }
    }

    void of_groups() {
        for (const auto& group : status_.groups()) {
            const std::string subject = "group " + group.name();
            if (group.state() == "Error")
                add(kError, subject, group.message(), "mend the cause, then `kagami group start " + group.name() + "`");
            else if (!group.waiting().empty())
                add(kWarning, subject, group.waiting(), "`kagami why " + group.name() + "` says more");
            if (group.has_maintenance()) maintenance(subject, group.maintenance(), " --group " + group.name());
            for (const auto& resource : group.resources()) {
                if (!resource.held()) continue;
                add(kInfo, "resource " + resource.name(),
                    fmt::format("stopped by a person while group {} runs", group.name()),
                    "`kagami resource start " + resource.name() + "`");
            }
        }
    }

    void of_mirrors() {
        for (const auto& mirror : status_.mirrors()) {
            if (mirror.state() == "Normal" || mirror.message().empty()) continue;
            const bool usable = std::any_of(mirror.copies().begin(), mirror.copies().end(),
                                            [](const auto& copy) { return copy.colour() == "GREEN"; });
            add(usable || mirror.state() == "Recovering" ? kWarning : kError, "mirror " + mirror.name(),
                mirror.message(), mirror.remedy());
        }
    }

    void of_nodes() {
        for (const auto& node : status_.nodes()) {
            const std::string subject = "node " + node.name();
            const bool expected = node.member_state() != "LEFT" && node.member_state() != "ABSENT";
            const bool away = node.state() == "Offline" || node.state() == "Unknown";
            if (node.reserved_left_ms() != 0) {
                add(kInfo, subject, node.message(),
                    "`kagami group start GROUP --to NODE` starts one elsewhere all the same");
            } else if (expected && away) {
                add(kWarning, subject, node.message(), "start it; it comes back by itself");
            } else if (node.state() == "Suspend") {
                add(kWarning, subject, node.message(), "`kagami node return " + node.name() + "`");
            }
            paths_to(node);
            if (node.has_maintenance()) maintenance(subject, node.maintenance(), " --node " + node.name());
            machine(subject, node);
        }
        if (status_.has_witness() && status_.witness().state() != "Normal") {
            add(kWarning, "witness", "the witness " + status_.witness().message(),
                "mend it: without it the loss of a node may need a person");
        }
    }

    void of_monitors() {
        for (const auto& monitor : status_.monitors()) {
            const std::string subject = "monitor " + monitor.name();
            const std::string late = where(monitor, [](const auto& node) { return node.late(); });
            const std::string failing = where(monitor, [](const auto& node) { return node.dummy_failure(); });
            const std::string suspended = where(monitor, [](const auto& node) { return node.suspended(); });
            if (!late.empty()) {
                add(kWarning, subject, fmt::format("the last check on {} took almost as long as its time-out", late),
                    "look for what slows it down, or make the time-out longer");
            }
            if (!failing.empty()) {
                add(kWarning, subject,
                    fmt::format("reports an error on {} whatever it finds, as a person wanted", failing),
                    "`kagami monitor unfail " + monitor.name() + "`");
            }
            if (!suspended.empty()) {
                add(kWarning, subject, fmt::format("suspended on {} by a person", suspended),
                    "`kagami monitor resume " + monitor.name() + "`");
            }
        }
    }

    void of_operations() {
        const proto::FailoverSwitch& failover = status_.failover();
        if (failover.state() == "Disabled" || failover.state() == "Latched") {
            const std::string why = failover.why().empty() ? "" : " (" + failover.why() + ")";
            add(kWarning, "cluster", "failover is switched off" + why + ": nothing goes to another node by itself",
                "`kagami failover on`");
        }
        if (status_.has_maintenance()) maintenance("cluster", status_.maintenance(), "");
        if (status_.has_timeout_ratio()) {
            add(kInfo, "cluster",
                fmt::format("all time-outs are {} times as long as configured, for {} min more",
                            status_.timeout_ratio().ratio(), status_.timeout_ratio().left_ms() / 60'000),
                "`kagami timeout-ratio reset`");
        }
        if (const auto& pending = view_.document().pending) {
            std::string groups;
            for (const std::string& group : pending->stops) groups += (groups.empty() ? "" : ", ") + group;
            add(kInfo, "cluster",
                pending->installed ? "a new configuration is in force; groups start again: " + groups
                                   : "a new configuration waits for groups to stop: " + groups,
                "`kagami status --watch` shows how far it is");
        }
        if (status_.has_unconfirmed()) {
            add(kWarning, "cluster",
                fmt::format("configuration {} is not confirmed: in {} s the cluster goes back to configuration {}",
                            status_.unconfirmed().version(), status_.unconfirmed().left_ms() / 1000,
                            status_.unconfirmed().previous_version()),
                "if all is well: `kagami config confirm`");
        }
    }

 private:
    void add(const char* severity, std::string subject, std::string message, std::string remedy = {}) {
        proto::Alert& out = *status_.add_alerts();
        out.set_severity(severity);
        out.set_subject(std::move(subject));
        out.set_message(std::move(message));
        out.set_remedy(std::move(remedy));
    }

    // "node1, node2"
    template <typename Which>
    static std::string where(const proto::Monitor& monitor, Which which) {
        std::string names;
        for (const auto& node : monitor.nodes()) {
            if (which(node)) names += (names.empty() ? "" : ", ") + node.node();
        }
        return names;
    }

    bool unmanaged_here() const {
        const engine::MaintenanceKind kind = view_.document().node(view_.in.snapshot.self.node).maintenance.kind;
        return kind == engine::MaintenanceKind::kUnmanaged;
    }

    void maintenance(const std::string& subject, const proto::Maintenance& entry, const std::string& option) {
        add(kInfo, subject,
            fmt::format("under maintenance ({}) for {} min more: nothing is decided for it automatically", entry.kind(),
                        entry.left_ms() / 60'000),
            "`kagami maintenance end" + option + "`");
    }

    void paths_to(const proto::Node& node) {
        for (const auto& path : node.paths()) {
            if (node.state() != "Online" || path.state() == "Normal") continue;
            add(kWarning, "network " + path.network(),
                fmt::format("the path to {} is in {}", node.name(), path.state()),
                "`kagami paths` shows all of them; mend the network");
        }
    }

    void machine(const std::string& subject, const proto::Node& node) {
        if (node.final_actions_limit() != 0 && node.final_actions() >= node.final_actions_limit()) {
            add(kWarning, subject,
                fmt::format("{} final actions have ended it in a row: no further one is taken (final_action_limit)",
                            node.final_actions()),
                "mend what fails there, then `kagami node clear-final-actions " + node.name() + "`");
        }
        low(subject, "memory", node.memory_free_mib(), view_.config.minimum_memory_mib);
        low(subject, "disk space", node.disk_free_mib(), view_.config.minimum_disk_mib);
    }

    void low(const std::string& subject, const char* what, uint64_t free_mib, uint64_t minimum_mib) {
        if (free_mib == 0 || free_mib >= minimum_mib) return;
        add(kWarning, subject,
            fmt::format("{} MiB of free {} are left, less than the {} MiB that its groups need", free_mib, what,
                        minimum_mib),
            fmt::format("free {} there", what));
    }

    const View& view_;
    proto::Status& status_;
};

int rank(const std::string& severity) {
    return severity == kError ? 0 : severity == kWarning ? 1 : 2;
}

}  // namespace

void fill_alerts(const View& view, proto::Status& status) {
    Alerts alerts(view, status);
    alerts.of_this_node();
    alerts.of_groups();
    alerts.of_mirrors();
    alerts.of_nodes();
    alerts.of_operations();
    alerts.of_monitors();
    std::stable_sort(status.mutable_alerts()->begin(), status.mutable_alerts()->end(),
                     [](const auto& a, const auto& b) { return rank(a.severity()) < rank(b.severity()); });
}

}  // namespace kagami::runtime
