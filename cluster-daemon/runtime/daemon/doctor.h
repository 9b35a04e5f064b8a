// `kagami doctor`: what is not as it should be, on this node and as far as it knows of the others. examine() is pure;
// look_at_machine() gathers what it needs of this machine, and changes nothing.
// Severities: ERROR = the cluster cannot do its work, or secrets are open; WARN = it would fail to when something else
// fails; INFO = good to know; OK = was looked at and is good. Every finding but OK has a remedy. The worst stand first.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cluster-daemon/runtime/daemon/peer_questions.h"
#include "cluster-daemon/runtime/daemon/status_builder.h"

namespace kagami::control::v1 {
class DoctorAnswer;
}  // namespace kagami::control::v1

namespace kagami::runtime {

struct FileFact {
    std::string path;
    bool secret = false;  // only its owner may read it; else nobody but its owner may write it
    bool exists = false;
    uint32_t mode = 0;  // permission bits
    uint32_t owner = 0;
};

struct MachineFacts {
    uint64_t memory_total_mib = 0;  // 0 = not known, like the next three
    uint64_t memory_free_mib = 0;
    uint64_t disk_total_mib = 0;
    uint64_t disk_free_mib = 0;
    bool clock_kept = true;        // something keeps the clock right (NTP), as the kernel knows
    std::optional<int64_t> panic;  // kernel.panic
    std::optional<int64_t> panic_on_oops;
    bool sysrq_trigger = true;  // /proc/sysrq-trigger can be written
    bool script_helper = true;  // its socket is there
    std::vector<FileFact> files;
};
struct MachinePaths {
    std::string configuration;
    std::string state;
    std::string runtime;
};
MachineFacts look_at_machine(const MachinePaths& paths);

struct DoctorFacts {
    StatusInput status;
    MachineFacts machine;
    int64_t certificate_until_unix_ms = 0;  // of this node
    std::map<NodeId, PeerHealth> others;    // that answered
    std::vector<std::string> silent;        // that did not
};
void examine(const DoctorFacts& facts, control::v1::DoctorAnswer& answer);

}  // namespace kagami::runtime
