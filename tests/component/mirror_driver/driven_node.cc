#include "tests/component/mirror_driver/driven_node.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <tuple>

#include "common/host/boot_clock.h"
#include "mirror-driver/frontends/fuse_loop/fuse_file.h"
#include "mirror-driver/io/mount_table.h"
#include "tests/component/mirror_driver/machine.h"
#include "tests/support/wait_until.h"

namespace kagami::testing {
namespace {

constexpr NodeId kSelf{1};
constexpr NodeId kPeer{2};
constexpr Uuid kCluster{0xc1};
constexpr Uuid kMirror{0x31};
constexpr int kFirstListenDescriptor = 3;

UniqueFd listen_for_notifications(const std::string& path) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        throw std::runtime_error("cannot bind " + path);
    return fd;
}

}  // namespace

DrivenNode::DrivenNode(uint64_t data_bytes) {
    config.name = "md1";
    config.group = "web";
    config.peer = kPeer;
    config.peer_name = "node2";
    config.data = directory_ / "data";
    config.metadata = directory_ / "meta";
    make_sized_file(config.data, data_bytes);
    make_sized_file(config.metadata, uint64_t{64} << 20U);
    run_directory_ = "/run/kagami-mirror-test.XXXXXX";
    if (mkdtemp(run_directory_.data()) == nullptr) throw std::runtime_error("cannot make " + run_directory_);
    mkdir(mount_point().c_str(), 0700);
    notify_ = listen_for_notifications(directory_ / "notify");
    auto page = guard::GuardPageWriter<guard::GuardPlan>::open((directory_ / "page").c_str());
    if (!page) throw std::runtime_error(page.error().message);
    page_ = std::make_unique<guard::GuardPageWriter<guard::GuardPlan>>(std::move(*page));
    authority_.mirror = config.name;
    authority_.record.uuid = kMirror;
    authority_.record.replicas[kSelf] = {};
    authority_.record.replicas[kPeer] = {};
    authority_.member = authority_.fresh = true;
    authority_.detect = 200ms;
    authority_.version = {Epoch::make(1, kSelf), 1};
    token_ = {Epoch::make(1, kSelf), 10};
    lease(1h);

    mirror_link::Welcome welcome;
    welcome.cluster = kCluster;
    welcome.self = kSelf;
    welcome.boot = boot_;
    welcome.pki_directory = directory_ / "pki";
    mirror_link::Client::Handlers handlers;
    handlers.report = [this](const mirror::Report& report) { grant(report); };
    handlers.connected = [](bool) {};
    client_ = std::make_unique<mirror_link::Client>(run_directory_ + "/socket", welcome, std::move(handlers));
    client_->configure({{config}});
    tell();
}

DrivenNode::~DrivenNode() {
    umount2(mount_point().c_str(), MNT_DETACH);
    if (pid_ > 0) kill_driver();
    if (const dev_t device = mirror::mounted_at(disk_path()); device != 0) {
        mirror::abort_fuse_connection(device);
        umount2(disk_path().c_str(), MNT_DETACH);
    }
    client_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(run_directory_, ignored);
}

void DrivenNode::start_driver(const std::string& cgroup) {
    const std::vector<std::string> argv = {KAGAMI_MIRRORD,     "--socket",     run_directory_ + "/socket",
                                           "--run-directory",  run_directory_, "--guard-page",
                                           directory_ / "page"};
    std::vector<std::string> environment = {"NOTIFY_SOCKET=" + (directory_ / "notify")};
    std::string names;
    std::vector<int> handed;
    for (auto& [name, fd] : kept_) {
        names += (names.empty() ? "" : ":") + name;
        handed.push_back(fd.get());
    }
    if (!handed.empty()) {
        environment.push_back("LISTEN_FDS=" + std::to_string(handed.size()));
        environment.push_back("LISTEN_FDNAMES=" + names);
    }
    // fork, because posix_spawn can neither enter a cgroup nor keep what lies behind it
    std::vector<char*> arguments, variables;
    for (const auto& a : argv) arguments.push_back(const_cast<char*>(a.c_str()));
    for (const auto& e : environment) variables.push_back(const_cast<char*>(e.c_str()));
    arguments.push_back(nullptr);
    variables.push_back(nullptr);
    const std::string procs = cgroup + "/cgroup.procs";
    pid_ = fork();
    if (pid_ != 0) return;
    if (!cgroup.empty()) {
        const int fd = ::open(procs.c_str(), O_WRONLY | O_CLOEXEC);
        if (fd < 0 || ::write(fd, "0", 1) != 1) _exit(120);
    }
    for (size_t i = 0; i < handed.size(); ++i) {
        const int high = fcntl(handed[i], F_DUPFD, 100);
        dup2(high, kFirstListenDescriptor + static_cast<int>(i));
        close(high);
    }
    execve(arguments[0], arguments.data(), variables.data());
    _exit(121);
}

void DrivenNode::kill_driver() {
    collect_kept();
    kill(pid_, SIGKILL);
    wait_for_program(pid_, 20s);
    pid_ = -1;
}

int DrivenNode::stop_driver() {
    kill(pid_, SIGTERM);
    const int status = wait_for_program(pid_, 2s);
    if (status != -1) pid_ = -1;
    return status;
}

// What the driver has put into the store since, and taken out of it.
void DrivenNode::collect_kept() {
    for (;;) {
        char text[512] = {};
        iovec body{text, sizeof text - 1};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
        msghdr message{};
        message.msg_iov = &body;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        if (recvmsg(notify_.get(), &message, MSG_CMSG_CLOEXEC) < 0) return;
        const std::string said = text;
        const auto at = said.find("FDNAME=");
        const std::string name = at == std::string::npos ? "" : said.substr(at + 7, said.find('\n', at) - at - 7);
        int fd = -1;
        if (const cmsghdr* rights = CMSG_FIRSTHDR(&message)) std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
        if (said.find("FDSTORE=1") != std::string::npos && fd >= 0) kept_[name] = UniqueFd(fd);
        if (said.find("FDSTOREREMOVE=1") != std::string::npos) kept_.erase(name);
    }
}

// The leader's policy, as far as these tests need it (cluster-daemon/engine/policy_mirrors.cc).
void DrivenNode::grant(const mirror::Report& report) {
    const std::lock_guard lock(mutex_);
    report_ = report;
    auto& record = authority_.record;
    auto& mine = record.replicas[kSelf];
    const auto before = record;
    const auto known = [&](Nonce n) { return n.value != 0 && (n == mine.nonce || n == mine.next_nonce); };
    switch (report.wish.kind) {
        case mirror::WishKind::kAttach:
            if (known(report.next_nonce))
                mine = {report.next_nonce, report.next_nonce, mine.standing};
            else if (known(report.nonce) || mine == mirror::RecordReplica{})
                mine = {report.nonce, report.next_nonce, mine.standing};
            break;
        case mirror::WishKind::kSettle:
            if (report.nonce == mine.next_nonce) mine = {report.nonce, Nonce{}, mine.standing};
            break;
        case mirror::WishKind::kSolo:
            if (report.wish.base == record.generation && report.wish.token == authority_.token) {
                record.generation = report.wish.next;
                record.replicas[kPeer].standing = mirror::Standing::kStale;
            }
            break;
        case mirror::WishKind::kNone:
        case mirror::WishKind::kAdd:
        case mirror::WishKind::kGiveUp: break;
    }
    if (record.generation.none() && report.disk == mirror::DiskState::kNew && mine.nonce.value != 0) {
        record.generation = {1, Uuid{0x11}};
        mine.standing = mirror::Standing::kCurrent;
        record.replicas[kPeer].standing = mirror::Standing::kSuspect;
    }
    if (record == before) return;
    ++authority_.version.seq;
    client_->tell(authority_);
}

void DrivenNode::tell() {
    const std::lock_guard lock(mutex_);
    ++authority_.version.seq;
    client_->tell(authority_);
}

void DrivenNode::own(bool owned) {
    {
        const std::lock_guard lock(mutex_);
        authority_.token = owned ? token_ : Token{};
    }
    publish();
    tell();
}

void DrivenNode::new_token() {
    ++token_.seq;
    own(true);
}

void DrivenNode::lease(Duration length) {
    lease_ = length;
    publish();
}

void DrivenNode::publish() {
    auto plan = std::make_unique<guard::GuardPlan>();
    plan->terms.boot = boot_;
    plan->terms.lease_sent_at = host::boot_now();
    if (lease_ > 0ns) plan->terms.deadline = host::boot_now() + lease_;
    plan->terms.t_hold = plan->terms.t_guard = plan->terms.t_kill = 1s;
    guard::GuardGroup group;
    group.name = config.group;
    group.token = token_;
    group.cgroup = "web";
    plan->groups.push_back(group);
    if (auto published = page_->publish(*plan); !published) throw std::runtime_error(published.error().message);
}

Result<std::string> DrivenNode::promote() {
    auto answer = client_->ask(mirror_link::Verb::kPromote, config.name, host::boot_now() + 20s);
    if (!answer) return tl::unexpected(answer.error());
    if (!answer->ok) return fail(answer->message, answer->remedy);
    return answer->status.device;
}

Status DrivenNode::demote() {
    auto answer = client_->ask(mirror_link::Verb::kDemote, config.name, host::boot_now() + 20s);
    if (!answer) return tl::unexpected(answer.error());
    if (!answer->ok) return fail(answer->message, answer->remedy);
    return {};
}

mirror_link::MirrorStatus DrivenNode::status() {
    auto answer = client_->ask(mirror_link::Verb::kStatus, config.name, host::boot_now() + 10s);
    return answer ? answer->status : mirror_link::MirrorStatus{};
}

mirror::Report DrivenNode::report() {
    const std::lock_guard lock(mutex_);
    return report_;
}

}  // namespace kagami::testing
