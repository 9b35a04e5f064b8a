#include "cli/collect.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/klog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <filesystem>

#include "cli/archive.h"
#include "cli/bundle_files.h"
#include "cli/client.h"
#include "cli/doctor.h"
#include "cli/json.h"
#include "cli/program.h"
#include "cli/redact.h"
#include "cli/render.h"
#include "cli/setup.h"
#include "cli/verbs.h"
#include "common/files.h"
#include "common/hash.h"

namespace kagami::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostOfAFile = size_t{8} << 20;
constexpr size_t kMostOfTheJournal = size_t{32} << 20;
constexpr Duration kJournalTime = 30s;
constexpr uint32_t kEvents = 10000;
constexpr int kReadAllOfTheKernelLog = 3;  // SYSLOG_ACTION_READ_ALL

constexpr const char* kFacts[] = {"/usr/lib/os-release",
                                  "/proc/version",
                                  "/proc/cmdline",
                                  "/proc/uptime",
                                  "/proc/loadavg",
                                  "/proc/meminfo",
                                  "/proc/cpuinfo",
                                  "/proc/self/mountinfo",
                                  "/proc/partitions",
                                  "/proc/diskstats",
                                  "/proc/modules",
                                  "/proc/net/dev",
                                  "/proc/net/route",
                                  "/proc/net/if_inet6",
                                  "/proc/net/fib_trie",
                                  "/proc/net/tcp",
                                  "/proc/net/udp",
                                  "/proc/pressure/cpu",
                                  "/proc/pressure/io",
                                  "/proc/pressure/memory",
                                  "/proc/sys/kernel/random/boot_id",
                                  "/proc/sys/kernel/hung_task_timeout_secs"};

// The parts so far, and what became of each.
class Parts {
 public:
    Parts(Archive& archive, std::string top) : archive_(archive), top_(std::move(top)) {}

    void add(const std::string& name, const Result<std::string>& content) {
        if (!failed_) return;
        if (!content) {
            contents_ += name + ": not there: " + content.error().message + "\n";
            return;
        }
        contents_ += fmt::format("{}: {} bytes\n", name, content->size());
        failed_ = archive_.add(top_ + "/" + name, *content);
    }
    Status finish() {
        if (failed_) failed_ = archive_.add(top_ + "/contents.txt", contents_);
        return failed_ ? archive_.finish() : failed_;
    }

 private:
    Archive& archive_;
    std::string top_;
    std::string contents_;
    Status failed_;  // of the archive itself
};

// The end of a file, of at most `limit` bytes; also of files that do not know their size (/proc).
Result<std::string> tail_of(const std::string& path, size_t limit) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat about{};
    if (!file.valid() || ::fstat(file.get(), &about) != 0) return fail(errno_text(errno));
    if (!S_ISREG(about.st_mode)) return fail("not a regular file");
    const auto size = static_cast<size_t>(about.st_size);
    if (size > limit) ::lseek(file.get(), static_cast<off_t>(size - limit), SEEK_SET);
    std::string text;
    char block[16384];
    while (text.size() < limit) {
        const ssize_t got = ::read(file.get(), block, sizeof(block));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(errno_text(errno));
        if (got == 0) break;
        text.append(block, static_cast<size_t>(got));
    }
    return text;
}

Result<std::string> kernel_log() {
    std::string text(size_t{4} << 20, '\0');
    const int got = ::klogctl(kReadAllOfTheKernelLog, text.data(), static_cast<int>(text.size()));
    if (got < 0) return fail(errno_text(errno));
    text.resize(static_cast<size_t>(got));
    return text;
}

// Names, kinds, modes and sizes below a directory; no contents.
Result<std::string> listing_of(const std::string& directory) {
    std::error_code error;
    std::vector<std::string> lines;
    for (fs::recursive_directory_iterator walk(directory, error), end; !error && walk != end; walk.increment(error)) {
        if (walk->path().filename() == "mirror") walk.disable_recursion_pending();  // a stalled disk would not answer
        struct stat about{};
        if (::lstat(walk->path().c_str(), &about) != 0) continue;
        lines.push_back(fmt::format("{:o} {}:{} {:>10} {}\n", about.st_mode, about.st_uid, about.st_gid, about.st_size,
                                    walk->path().lexically_relative(directory).string()));
    }
    if (error) return fail(directory + ": " + error.message());
    std::sort(lines.begin(), lines.end(), [](const std::string& a, const std::string& b) {
        return a.substr(a.rfind(' ')) < b.substr(b.rfind(' '));
    });
    std::string text;
    for (const std::string& line : lines) text += line;
    return text;
}

template <typename Answer>
Result<std::string> json_part(const std::string& name, const Result<Answer>& answer) {
    if (!answer) return tl::unexpected(answer.error());
    return json_document(name, *answer);
}

Result<std::string> events(Client& client) {
    pb::LogRequest request;
    request.set_limit(kEvents);
    std::string text;
    const Status read = client.log(request, [&](const pb::LogEntry& entry) { text += render_log(entry, false); });
    if (!read) return tl::unexpected(read.error());
    return text;
}

void add_answers(Session& session, Parts& parts) {
    const auto client = Client::connect(session.places.socket);
    if (!client) {
        parts.add("status.json", tl::unexpected(client.error()));
        parts.add("doctor.txt", render_doctor(look_without_daemon(session), false));
        return;
    }
    const auto status = (*client)->status();
    parts.add("status.json", json_part("status", status));
    if (status) parts.add("status.txt", render_status(*status, false));
    parts.add("paths.json", json_part("paths", (*client)->paths()));
    parts.add("statistics.json", json_part("statistics", (*client)->statistics()));
    const auto doctor = (*client)->doctor();
    parts.add("doctor.json", json_part("doctor", doctor));
    parts.add("config-history.json", json_part("config-history", (*client)->config_history({})));
    parts.add("events.txt", events(**client));
}

std::string script_line(const std::string& name, const std::string& content) {
    const Hash hash = sha256({reinterpret_cast<const uint8_t*>(content.data()), content.size()});
    return fmt::format("{}  {:>8} {}\n", to_hex(hash.data(), hash.size()), content.size(), name);
}

void add_configuration(const Session& session, const CollectOptions& options, Parts& parts) {
    const std::pair<const char*, std::string> all[] = {{"in-force", active_config_path(session.places)},
                                                       {"etc", default_config_path(session.places)}};
    for (const auto& [name, path] : all) {
        const std::string folder = std::string("configuration/") + name;
        const auto bundle = load_bundle(path);
        if (!bundle) {
            parts.add(folder + "/cluster.toml", tl::unexpected(bundle.error()));
            continue;
        }
        parts.add(folder + "/cluster.toml", without_secrets(bundle->text));
        std::string scripts;
        for (const auto& [script, content] : bundle->scripts) {
            scripts += script_line(script, content);
            if (options.with_scripts) parts.add(folder + "/scripts/" + script, content);
        }
        parts.add(folder + "/scripts.txt", scripts);
    }
}

void add_log_files(const std::string& directory, const std::string& folder, Parts& parts) {
    std::error_code error;
    std::vector<std::string> names;
    for (fs::directory_iterator walk(directory, error), end; !error && walk != end; walk.increment(error))
        names.push_back(walk->path().filename());
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) parts.add(folder + "/" + name, tail_of(directory + "/" + name, kMostOfAFile));
}

void add_machine(Parts& parts) {
    for (const char* path : kFacts) {
        std::string name = std::string(path).substr(1);
        std::replace(name.begin(), name.end(), '/', '-');
        parts.add("machine/" + name, tail_of(path, kMostOfAFile));
    }
    parts.add("machine/kernel.log", kernel_log());
    std::vector<std::string> journal = {"/usr/bin/journalctl", "--no-pager", "-o", "short-iso-precise", "-n", "50000"};
    for (const char* unit : {"kagamid", "kagami-guard", "kagami-script-helper", "kagami-mirrord", "kagami-witness"})
        journal.insert(journal.end(), {"-u", unit});
    parts.add("machine/journal.log", output_of(journal, kMostOfTheJournal, kJournalTime));
}

std::string time_name() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    if (gmtime_r(&now, &parts) == nullptr) return "0";
    return fmt::format("{:04}{:02}{:02}-{:02}{:02}{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                       parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace

Result<std::string> collect(Session& session, const CollectOptions& options) {
    std::error_code error;
    if (!fs::is_directory(options.directory, error))
        return fail(ErrorCode::kNotFound, options.directory + " is not a directory", "make it, or name another one");
    const std::string top = "kagami-" + host_name() + "-" + time_name();
    const std::string path = options.directory + "/" + top + ".tar.gz";
    const auto archive = Archive::create(path);
    if (!archive) return tl::unexpected(archive.error());
    Parts parts(**archive, top);
    parts.add("version.txt", std::string("kagami " KAGAMI_VERSION "\n"));
    add_answers(session, parts);
    add_configuration(session, options, parts);
    const std::string run = session.places.socket.substr(0, session.places.socket.rfind('/'));
    add_log_files(session.places.state + "/log", "services", parts);
    add_log_files(run + "/log", "daemons", parts);
    parts.add("files/etc.txt", listing_of(session.places.etc));
    parts.add("files/state.txt", listing_of(session.places.state));
    parts.add("files/run.txt", listing_of(run));
    add_machine(parts);
    if (const Status finished = parts.finish(); !finished) return tl::unexpected(finished.error());
    return path;
}

int run_logs_collect(Session& session, const Arguments& arguments) {
    CollectOptions options;
    if (arguments.has("output")) options.directory = arguments.text("output");
    options.with_scripts = arguments.has("with-scripts");
    const auto path = collect(session, options);
    if (!path) return report(session.console, path.error());
    session.console.out << *path << '\n';
    session.console.err << "It holds addresses and names of this cluster; passwords of the configuration are removed. "
                           "contents.txt in it lists the parts.\n";
    return 0;
}

}  // namespace kagami::cli
