#include "cli/doctor.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>

#include "cli/bundle_files.h"
#include "common/files.h"

namespace kagami::cli {
namespace {

namespace pb = control::v1;

constexpr uint64_t kLeastFreeBytes = uint64_t{64} << 20;

struct Report {
    pb::DoctorAnswer answer;

    void add(const char* severity, const char* check, const std::string& message, const std::string& remedy = "") {
        pb::Finding& finding = *answer.add_findings();
        finding.set_severity(severity);
        finding.set_check(check);
        finding.set_message(message);
        finding.set_remedy(remedy);
    }
};

bool is_there(const std::string& path) {
    struct stat about{};
    return ::lstat(path.c_str(), &about) == 0;
}

void look_at_keys(const Places& places, Report& report) {
    const std::string pki = places.etc + "/pki/";
    for (const char* name : {"ca.crt", "node.crt", "node.key"}) {
        if (!is_there(pki + name)) {
            report.add("ERROR", "keys", pki + name + " is not there: this machine belongs to no cluster",
                       "make a cluster with `kagami init`, or join one with `kagami join`");
            return;
        }
    }
    struct stat about{};
    if (::lstat((pki + "node.key").c_str(), &about) == 0 && (about.st_mode & 077U) != 0) {
        report.add("ERROR", "keys", pki + "node.key can be read by others, and the daemon refuses it",
                   "chmod 600 " + pki + "node.key; if somebody may have read it, let the node join anew");
        return;
    }
    report.add("OK", "keys", "the keys of this node are there");
}

void look_at_store(const Places& places, Report& report) {
    const std::string store = places.state + "/voter.store";
    if (is_there(store)) return report.add("OK", "store", store + " is there");
    report.add("ERROR", "store", store + " is not there: this node remembers nothing of its cluster",
               "let it join anew: `kagami token NODE` on the first node, `kagami join -` here");
}

void look_at_configuration(const Session& session, Report& report) {
    const std::string path = active_config_path(session.places);
    const auto bundle = load_bundle(path);
    if (!bundle) {
        report.add("INFO", "configuration", "there is no configuration in force here yet: " + path,
                   "it comes from the cluster when the daemon runs");
        return;
    }
    const auto parsed = config::parse(bundle->text, path, session.types);
    if (parsed.config) return report.add("OK", "configuration", "the configuration in force can be read");
    report.add("ERROR", "configuration", config::to_string(parsed.problems.front()),
               "was it edited? A person's configuration is " + default_config_path(session.places) +
                   "; the cluster writes this one anew");
}

void look_at_disk(const Places& places, Report& report) {
    struct statvfs about{};
    if (::statvfs(places.state.c_str(), &about) != 0) {
        return report.add("ERROR", "disk", places.state + ": " + errno_text(errno), "make the directory, mode 0700");
    }
    const uint64_t free = static_cast<uint64_t>(about.f_bavail) * about.f_frsize;
    const std::string words = bytes_text(free) + " are free for " + places.state;
    if (free >= kLeastFreeBytes) return report.add("OK", "disk", words);
    report.add("ERROR", "disk", words + ": the daemon ends when it cannot write there", "make room");
}

void look_at_guard(const Places& places, Report& report) {
    const std::string page = places.socket.substr(0, places.socket.rfind('/')) + "/guard.page";
    if (is_there(page)) return report.add("OK", "guard", page + " is there");
    report.add("WARN", "guard", page + " is not there: the guard does not run, and the daemon waits for it",
               "systemctl start kagami-guard; then see: journalctl -u kagami-guard");
}

}  // namespace

pb::DoctorAnswer look_without_daemon(Session& session) {
    Report report;
    report.add("ERROR", "daemon", "the cluster daemon of this node does not answer",
               "systemctl start kagamid; then see: journalctl -u kagamid");
    look_at_keys(session.places, report);
    look_at_store(session.places, report);
    look_at_guard(session.places, report);
    look_at_disk(session.places, report);
    look_at_configuration(session, report);
    const auto rank = [](const pb::Finding& finding) {
        return finding.severity() == "ERROR"  ? 0
               : finding.severity() == "WARN" ? 1
               : finding.severity() == "INFO" ? 2
                                              : 3;
    };
    std::stable_sort(report.answer.mutable_findings()->begin(), report.answer.mutable_findings()->end(),
                     [&](const pb::Finding& a, const pb::Finding& b) { return rank(a) < rank(b); });
    return report.answer;
}

}  // namespace kagami::cli
