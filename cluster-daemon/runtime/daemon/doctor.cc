#include "cluster-daemon/runtime/daemon/doctor.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "proto/control.pb.h"

namespace kagami::runtime {
namespace {

namespace proto = control::v1;

constexpr const char* kError = "ERROR";
constexpr const char* kWarning = "WARN";
constexpr const char* kInfo = "INFO";
constexpr const char* kOk = "OK";

constexpr uint64_t kDiskDangerMib = 64;  // the register and the history are written there
constexpr uint64_t kDiskLowMib = 512;
constexpr uint64_t kMemoryLowMib = 128;
constexpr int64_t kClockSkewMs = 1000;  // the order of log lines is wrong then
constexpr int64_t kDayMs = int64_t{24} * 60 * 60 * 1000;
constexpr int64_t kExpiresSoonMs = 60 * kDayMs;

int rank(const std::string& severity) {
    return severity == kError ? 0 : severity == kWarning ? 1 : severity == kInfo ? 2 : 3;
}

// "network net1" -> "network"
std::string first_word(const std::string& text) {
    return text.substr(0, text.find(' '));
}

class Doctor {
 public:
    Doctor(const DoctorFacts& facts, proto::DoctorAnswer& answer) : facts_(facts), answer_(answer) {
        build_status(facts.status, status_);
    }

    // What the status tells as alerts: paths, witness, guard, groups, mirrors, nodes, monitors, operations.
    void cluster() {
        for (const auto& alert : status_.alerts()) {
            add(alert.severity().c_str(), first_word(alert.subject()), alert.subject() + ": " + alert.message(),
                alert.remedy());
        }
        good("network", "all heartbeat paths are good");
        if (status_.has_witness()) good("witness", "the witness answers");
        good("group", "no group is in error or waits");
        good("node", "all nodes are well");
        if (status_.mirrors_size() != 0) good("mirror", "all mirror disks are current");
        good("monitor", "no monitor is suspended or late");
    }

    void guard() {
        const GuardSummary& guard = facts_.status.guard;
        if (guard.alive && !guard.realtime) {
            add(kWarning, "guard", "the guard may not run with real-time priority: under load it may act late",
                "allow SCHED_FIFO to kagami-guard (its unit: CPUSchedulingPolicy, LimitRTPRIO)");
        }
        if (guard.alive && !guard.memory_locked) {
            add(kWarning, "guard", "the guard's memory is not locked: it may stand still while the machine swaps",
                "allow kagami-guard to lock memory (its unit: LimitMEMLOCK)");
        }
        if (guard.watchdog == "simulated") {
            add(kInfo, "guard", "the watchdog is simulated: nothing ends a machine that stands still",
                "use a real watchdog device outside of tests");
        } else if (guard.armed && !guard.watchdog_tested) {
            add(kInfo, "guard",
                fmt::format("the watchdog ({}) has never been seen to end this machine", guard.watchdog),
                "run `kagami-guard test` while nothing runs here");
        }
        for (const auto& [node, health] : facts_.others) {
            if (!health.guard_alive)
                add(kError, "guard", fmt::format("the guard of {} does not run: no group can run there", name(node)),
                    "start kagami-guard there and read its log");
            else if (!health.guard_armed)
                add(kWarning, "guard",
                    fmt::format("the guard of {} is not armed (watchdog: {})", name(node), health.watchdog),
                    "run `kagami doctor` there");
        }
        good("guard", fmt::format("the guard runs, with the watchdog {}", guard.watchdog));
    }

    void others() {
        for (const std::string& node : facts_.silent) {
            add(kWarning, "node", node + " did not answer: what only it knows is not looked at",
                "when it is up: run `kagami doctor` there");
        }
        const std::string own_hash = status_.configuration_hash();
        for (const auto& [node, health] : facts_.others) {
            if (health.configuration_hash != own_hash) {
                add(kWarning, "configuration",
                    fmt::format("{} does not have the configuration of this node in force", name(node)),
                    "ask again in a moment; if it stays so, look at `kagami paths` and at the log of kagamid there");
            }
            if (health.binary_version != KAGAMI_VERSION) {
                add(kWarning, "version",
                    fmt::format("{} runs version {}, this node {}", name(node), health.binary_version, KAGAMI_VERSION),
                    "bring all nodes to the same version");
            }
        }
        good("configuration", "the nodes that answered have the same configuration in force");
        good("version", "the nodes that answered run the same version");
    }

    void clocks() {
        for (const auto& [node, health] : facts_.others) {
            const int64_t middle = health.asked_unix_ms + (health.answered_unix_ms - health.asked_unix_ms) / 2;
            const int64_t unsure = (health.answered_unix_ms - health.asked_unix_ms) / 2;
            const int64_t ahead = health.unix_ms - middle;
            if (std::abs(ahead) - unsure <= kClockSkewMs) continue;
            add(kWarning, "clock",
                fmt::format("the clock of {} is {:.1f} s {} this node's: the order of their log lines is wrong",
                            name(node), static_cast<double>(std::abs(ahead)) / 1000, ahead > 0 ? "ahead of" : "behind"),
                "let both keep their time (chrony, systemd-timesyncd)");
        }
        if (!facts_.machine.clock_kept) {
            add(kInfo, "clock", "nothing keeps this machine's clock right",
                "set up chrony or systemd-timesyncd; the cluster itself does not depend on it");
        }
        good("clock", "the clocks of the nodes that answered agree");
    }

    void space() {
        const MachineFacts& m = facts_.machine;
        if (m.disk_total_mib != 0 && m.disk_free_mib < kDiskLowMib) {
            add(m.disk_free_mib < kDiskDangerMib ? kError : kWarning, "disk",
                fmt::format("{} of {} MiB are free on the file system of the durable state; when it is full, this node "
                            "cannot vote",
                            m.disk_free_mib, m.disk_total_mib),
                "make room there, or give /var/lib/kagami a file system of its own");
        }
        if (m.memory_total_mib != 0 && m.memory_free_mib < kMemoryLowMib) {
            add(kWarning, "memory",
                fmt::format("{} of {} MiB of memory are available to programs", m.memory_free_mib, m.memory_total_mib),
                "find what uses it; a machine that swaps may miss its lease");
        }
        good("disk", fmt::format("{} MiB are free for the durable state", m.disk_free_mib));
        good("memory", fmt::format("{} MiB of memory are available", m.memory_free_mib));
    }

    void certificates() {
        certificate("this node", facts_.certificate_until_unix_ms);
        for (const auto& [node, health] : facts_.others) certificate(name(node), health.certificate_until_unix_ms);
        good("certificate", "the certificates are valid for more than 60 days");
    }

    void files() {
        for (const FileFact& file : facts_.machine.files) {
            if (!file.exists) {
                add(kWarning, "permissions", file.path + " is missing",
                    "restore it, or set the node up anew with `kagami join`");
                continue;
            }
            if (file.owner != 0) {
                add(kError, "permissions", fmt::format("{} belongs to user {}, not to root", file.path, file.owner),
                    "chown root: " + file.path);
            }
            const uint32_t forbidden = file.secret ? 077U : 022U;
            if ((file.mode & forbidden) == 0) continue;
            add(kError, "permissions",
                fmt::format("others than root may {} {} (mode {:04o})", file.secret ? "reach" : "change", file.path,
                            file.mode),
                fmt::format("chmod {} {}", file.secret ? "go-rwx" : "go-w", file.path));
        }
        good("permissions", "the files of the cluster belong to root alone");
    }

    void kernel() {
        const MachineFacts& m = facts_.machine;
        const GuardSummary& guard = facts_.status.guard;
        if (m.panic == 0) {
            const bool ends = guard.armed && guard.watchdog != "none";
            add(ends ? kInfo : kWarning, "kernel",
                ends ? "kernel.panic is 0: after a panic this machine stands still until its watchdog ends it"
                     : "kernel.panic is 0 and no watchdog is armed: after a panic this machine stands still until "
                       "somebody resets it",
                "sysctl kernel.panic=10");
        }
        if (m.panic_on_oops == 0) {
            add(kInfo, "kernel",
                "kernel.panic_on_oops is 0: after an internal error the kernel goes on in an unknown state",
                "sysctl kernel.panic_on_oops=1: another node takes over instead");
        }
        if (!m.sysrq_trigger && wants_sysrq()) {
            add(kWarning, "kernel",
                "/proc/sysrq-trigger cannot be written: final actions that end the machine at once do not work",
                "use a kernel with CONFIG_MAGIC_SYSRQ, or other final actions");
        }
        good("kernel", "the kernel's settings suit a cluster");
    }

    void services() {
        if (!facts_.machine.script_helper) {
            add(kError, "helper", "the script helper does not run: no script can be started or stopped here",
                "start kagami-script-helper and read its log");
        }
        good("helper", "the script helper runs");
    }

    void sort() {
        std::stable_sort(answer_.mutable_findings()->begin(), answer_.mutable_findings()->end(),
                         [](const auto& a, const auto& b) { return rank(a.severity()) < rank(b.severity()); });
    }

 private:
    void add(const char* severity, const std::string& check, const std::string& message, const std::string& remedy) {
        proto::Finding& out = *answer_.add_findings();
        out.set_severity(severity);
        out.set_check(check);
        out.set_message(message);
        out.set_remedy(remedy);
        found_.insert(check);
    }

    // Unless something was found.
    void good(const std::string& check, const std::string& message) {
        if (!found_.contains(check)) add(kOk, check, message, {});
    }

    std::string name(NodeId node) const {
        const auto& config = facts_.status.snapshot.config;
        return config ? config->node_name(node) : to_string(node);
    }

    void certificate(const std::string& whose, int64_t until_unix_ms) {
        const int64_t left = until_unix_ms - facts_.status.unix_ms;
        if (until_unix_ms == 0 || left > kExpiresSoonMs) return;
        const char* remedy =
            "issue a new one from the cluster's certificate authority: without it the node is cut off from the others";
        if (left <= 0)
            add(kError, "certificate", "the certificate of " + whose + " has expired", remedy);
        else
            add(kWarning, "certificate", fmt::format("the certificate of {} expires in {} days", whose, left / kDayMs),
                remedy);
    }

    bool wants_sysrq() const {
        if (!facts_.status.snapshot.config) return false;
        const auto at_once = [](config::FinalAction action) {
            return action == config::FinalAction::kSysrqPanic || action == config::FinalAction::kReset;
        };
        const config::Config& config = *facts_.status.snapshot.config;
        for (const config::Group& group : config.groups) {
            for (const config::Resource& resource : group.resources) {
                if (at_once(resource.on_activation_failure.final) || at_once(resource.on_deactivation_failure.final))
                    return true;
            }
        }
        return std::any_of(config.monitors.begin(), config.monitors.end(),
                           [&](const auto& m) { return at_once(m.on_error.final); });
    }

    const DoctorFacts& facts_;
    proto::DoctorAnswer& answer_;
    proto::Status status_;
    std::set<std::string> found_;
};

}  // namespace

void examine(const DoctorFacts& facts, proto::DoctorAnswer& answer) {
    Doctor doctor(facts, answer);
    doctor.others();  // before the cluster: who is silent is no node that is well
    doctor.cluster();
    doctor.guard();
    doctor.clocks();
    doctor.space();
    doctor.certificates();
    doctor.files();
    doctor.kernel();
    doctor.services();
    doctor.sort();
}

}  // namespace kagami::runtime
