#include "tests/component/guard/harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>

#include "common/host/boot_clock.h"
#include "common/host/cgroup.h"

namespace kagami::guard::test {
namespace {

void rest() {
    const timespec millisecond{0, 1'000'000};
    nanosleep(&millisecond, nullptr);
}

std::string enter_namespaces() {
    const auto root = host::cgroup_root();
    if (!root) return root.error().message;
    mkdir(root->c_str(), 0755);
    if (access((*root + "/cgroup.kill").c_str(), W_OK) != 0)
        return "cgroup.kill and cgroup.freeze (cgroup2) below " + *root;
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) return "network and mount namespaces";
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return "a private mount namespace";
    // The record of `kagami-guard test` has a fixed place: give it one that is ours.
    if (mount("none", "/var/lib", "tmpfs", 0, nullptr) != 0) return "mounting tmpfs";
    mkdir("/var/lib/kagami", 0700);
    // So have mirror disks.
    if (mount("none", "/run", "tmpfs", 0, nullptr) != 0) return "mounting tmpfs";
    if (run({"/usr/sbin/ip", "link", "add", "kg0", "type", "veth", "peer", "name", "kg1"}) != 0) return "veth";
    run({"/usr/sbin/ip", "link", "set", "kg0", "up"});
    run({"/usr/sbin/ip", "link", "set", "kg1", "up"});
    return "";
}

}  // namespace

std::string missing_kernel_feature() {
    static const std::string missing = enter_namespaces();
    return missing;
}

bool eventually(const std::function<bool()>& condition, Duration patience) {
    for (const Instant end = host::boot_now() + patience; host::boot_now() < end; rest()) {
        if (condition()) return true;
    }
    return condition();
}

int run(const std::vector<std::string>& command) {
    std::vector<char*> argv;
    for (const auto& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    pid_t pid = -1;
    if (posix_spawn(&pid, argv[0], nullptr, nullptr, argv.data(), environ) != 0) return -1;
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool address_is_there(const std::string& text) {
    ifaddrs* all = nullptr;
    REQUIRE(getifaddrs(&all) == 0);
    bool found = false;
    for (const ifaddrs* a = all; a != nullptr; a = a->ifa_next) {
        if (a->ifa_addr == nullptr) continue;
        char shown[INET6_ADDRSTRLEN] = {};
        if (a->ifa_addr->sa_family == AF_INET) {
            inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(a->ifa_addr)->sin_addr, shown, sizeof(shown));
        } else if (a->ifa_addr->sa_family == AF_INET6) {
            inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6*>(a->ifa_addr)->sin6_addr, shown, sizeof(shown));
        }
        found |= text == shown;
    }
    freeifaddrs(all);
    return found;
}

std::string read_text(const std::string& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

bool write_text(const std::string& path, std::string_view text) {
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const bool written = fd >= 0 && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    close(fd);
    return written;
}

bool is_mounted(const std::string& path) {
    return read_text("/proc/self/mounts").find(" " + path + " ") != std::string::npos;
}

struct Busy::Stamps {
    std::atomic<int64_t> last{0};
};

Busy::Busy(const std::string& cgroup, int processes) : cgroup_(cgroup) {
    mkdir(cgroup_.c_str(), 0755);
    void* at = mmap(nullptr, sizeof(Stamps), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(at != MAP_FAILED);
    stamps_ = new (at) Stamps;
    for (int i = 0; i < processes; ++i) add();
}

void Busy::add() {
    const pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setpriority(PRIO_PROCESS, 0, 5);
        if (!write_text(cgroup_ + "/cgroup.procs", "0")) _exit(1);
        for (;;) stamps_->last.store(host::boot_now().time_since_epoch().count(), std::memory_order_relaxed);
    }
    processes_.push_back(pid);
    REQUIRE(eventually([&] { return populated(); }));
}

Busy::~Busy() {
    for (const pid_t pid : processes_) kill(pid, SIGKILL);
    write_text(cgroup_ + "/cgroup.freeze", "0");
    for (const pid_t pid : processes_) waitpid(pid, nullptr, 0);
    eventually([&] { return rmdir(cgroup_.c_str()) == 0; });
    munmap(stamps_, sizeof(Stamps));
}

Instant Busy::last_ran() const {
    return Instant(Duration(stamps_->last.load()));
}

bool Busy::runs() const {
    const Instant from = host::boot_now();
    return eventually([&] { return last_ran() > from; }, 1s);
}

bool Busy::stands() const {
    const Instant before = last_ran();
    return !eventually([&] { return last_ran() != before; }, 40ms);
}

bool Busy::all_normal() const {
    return std::all_of(processes_.begin(), processes_.end(), [](pid_t pid) {
        return sched_getscheduler(pid) == SCHED_OTHER && getpriority(PRIO_PROCESS, static_cast<id_t>(pid)) == 5;
    });
}

bool Busy::populated() const {
    return read_text(cgroup_ + "/cgroup.events").find("populated 1") != std::string::npos;
}
bool Busy::freeze_asked() const {
    return read_text(cgroup_ + "/cgroup.freeze") == "1\n";
}

WatchdogSocket::WatchdogSocket(const std::string& path)
    : path_(path), fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    path_.copy(at.sun_path, sizeof(at.sun_path) - 1);
    REQUIRE(bind(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof(at)) == 0);
}

WatchdogSocket::~WatchdogSocket() {
    close(fd_);
    unlink(path_.c_str());
}

std::vector<std::string> WatchdogSocket::heard() {
    std::vector<std::string> all;
    char text[64];
    for (ssize_t n = 0; (n = recv(fd_, text, sizeof(text), 0)) >= 0;) all.emplace_back(text, static_cast<size_t>(n));
    return all;
}

bool WatchdogSocket::hears(const std::string& what) {
    return eventually([&] {
        for (const auto& message : heard()) {
            if (message == what) return true;
        }
        return false;
    });
}

bool WatchdogSocket::silent_for(Duration length) {
    heard();
    pollfd waiting{fd_, POLLIN, 0};
    return poll(&waiting, 1, static_cast<int>(milliseconds(length))) == 0;
}

Site::Site() {
    char name[] = "/dev/shm/kagami-guard-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    folder = name;
    page = folder + "/guard.page";
    watchdog = folder + "/watchdog";
    errors = folder + "/errors";
    cgroups = host::cgroup_root().value() + "-test-" + std::to_string(getpid());
    mkdir(cgroups.c_str(), 0755);
    plan.terms.boot = parse_uuid(read_text("/proc/sys/kernel/random/boot_id").substr(0, 36)).value();
    plan.terms.t_hold = kHold;
    plan.terms.t_guard = kGuard;
    plan.terms.t_kill = kKill;
    plan.terms.watchdog_timeout = 200ms;
    writer_.emplace(std::move(GuardPageWriter<GuardPlan>::open(page.c_str()).value()));
    reader_.emplace(std::move(GuardPageReader<GuardReport>::open(page.c_str()).value()));
}

Site::~Site() {
    if (guard > 0) kill_guard();
    for (const auto& file : {page, watchdog, errors}) unlink(file.c_str());
    rmdir(folder.c_str());
    rmdir(cgroups.c_str());
}

pid_t Site::start(std::vector<std::string> arguments, const std::string& input) {
    arguments.insert(arguments.begin(), {KAGAMI_GUARD, "--page", page});
    std::vector<char*> argv;
    for (auto& word : arguments) argv.push_back(word.data());
    argv.push_back(nullptr);
    std::string root = "KAGAMI_CGROUP_ROOT=" + cgroups;
    std::string device = "KAGAMI_WATCHDOG=" + watchdog;
    char* environment[] = {root.data(), device.data(), nullptr};
    int in[2];
    REQUIRE(pipe2(in, O_CLOEXEC) == 0);
    REQUIRE(write(in[1], input.data(), input.size()) == static_cast<ssize_t>(input.size()));
    close(in[1]);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in[0], STDIN_FILENO);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pid_t pid = -1;
    REQUIRE(posix_spawn(&pid, argv[0], &files, nullptr, argv.data(), environment) == 0);
    posix_spawn_file_actions_destroy(&files);
    close(in[0]);
    return pid;
}

void Site::start_guard() {
    guard = start();
    const bool up = eventually([&] { return report().pid == guard; });
    INFO(read_text(errors));
    REQUIRE(up);
}

void Site::kill_guard() {
    kill(guard, SIGKILL);
    waitpid(guard, nullptr, 0);
    guard = -1;
}

Finished Site::finish(pid_t pid, Duration patience) {
    int status = 0;
    const bool ended = eventually([&] { return waitpid(pid, &status, WNOHANG) == pid; }, patience);
    if (!ended) {
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
    }
    return {ended && WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_text(errors)};
}

GuardGroup Site::group(const char* name, GroupKind kind) const {
    GuardGroup group;
    group.name = name;
    group.cgroup = name;
    group.kind = kind;
    group.token = Token{{1}, 1};
    return group;
}

void Site::renew(Verdict verdict) {
    for (auto& group : plan.groups) group.verdict = verdict;
    plan.terms.lease_sent_at = host::boot_now();
    plan.terms.deadline = plan.terms.lease_sent_at + plan.terms.t_hold;
    publish();
}

void Site::publish() {
    REQUIRE(writer_->publish(plan));
}

const GuardReport& Site::report() {
    reader_->read();
    return reader_->value();
}

std::optional<GroupReport> Site::reported(std::string_view name) {
    for (const auto& group : report().groups) {
        if (group.name.view() == name) return group;
    }
    return std::nullopt;
}

bool Site::becomes(std::string_view name, GroupState state) {
    return eventually([&] {
        const auto group = reported(name);
        return group && group->state == state;
    });
}

}  // namespace kagami::guard::test
