#include "cluster-daemon/guard/hands.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <tuple>
#include <utility>

#include "cluster-daemon/guard/boost.h"
#include "cluster-daemon/guard/mirrors.h"
#include "cluster-daemon/guard/tasks.h"

namespace kagami::guard {
namespace {

bool not_there(int error) {
    return error == EADDRNOTAVAIL || error == ENODEV || error == ENXIO;
}

// Mounts may be stacked: gone means that the kernel knows none at this place any more.
bool unmount_all(const char* path) {
    while (umount2(path, UMOUNT_NOFOLLOW) == 0) {
    }
    return errno == EINVAL || errno == ENOENT;
}

// Where the cgroup2 file system is mounted: the highest directory above ours that is still of that file system.
UniqueFd open_top(int below) {
    UniqueFd top(openat(below, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat here{};
    for (int depth = 0; depth < 32 && fstat(top.get(), &here) == 0; ++depth) {
        UniqueFd above(openat(top.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        struct stat there{};
        const bool further = above.valid() && fstat(above.get(), &there) == 0 && there.st_dev == here.st_dev &&
                             there.st_ino != here.st_ino;
        if (!further) break;
        top = std::move(above);
    }
    return top;
}

}  // namespace

Status Unmounter::start() {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, size_t{64} * 1024);  // it is locked into memory
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread{};
    const int error = pthread_create(&thread, &attributes, run, this);
    pthread_attr_destroy(&attributes);
    if (error != 0) return fail(std::string("guard: cannot start its unmounting thread: ") + errno_text(error));
    return {};
}

void* Unmounter::run(void* self) {
    auto& u = *static_cast<Unmounter*>(self);
    for (;;) {
        for (Phase p = u.phase_.load(); p != Phase::kBusy; p = u.phase_.load()) u.phase_.wait(p);
        u.all_gone_ = true;
        for (size_t i = u.group_.mounts.size(); i-- > 0;) u.all_gone_ &= unmount_all(u.group_.mounts[i].c_str());
        u.phase_.store(Phase::kDone);
    }
}

bool Unmounter::unmount(size_t place, const GuardGroup& group) {
    if (group.mounts.size() == 0) return true;
    if (phase_ == Phase::kDone) {
        gone_[place_] = all_gone_;
        phase_ = Phase::kIdle;
    }
    if (std::exchange(gone_[place], false)) return true;
    if (phase_ == Phase::kIdle) {
        place_ = place;
        group_ = group;
        phase_ = Phase::kBusy;
        phase_.notify_one();
    }
    return false;
}

Status Hands::open(const char* cgroup_root) {
    mkdir(cgroup_root, 0755);
    root_ = UniqueFd(::open(cgroup_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root_.valid() || faccessat(root_.get(), "cgroup.controllers", R_OK, 0) != 0) {
        return fail(std::string("guard: ") + cgroup_root + " is not a directory of cgroup v2",
                    "mount it (mount -t cgroup2 none /sys/fs/cgroup) or set KAGAMI_CGROUP_ROOT");
    }
    top_ = open_top(root_.get());
    any_socket_ = UniqueFd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    netlink_ = UniqueFd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    if (!any_socket_.valid() || !netlink_.valid() ||
        connect(netlink_.get(), reinterpret_cast<const sockaddr*>(&kernel), sizeof(kernel)) != 0) {
        return fail(std::string("guard: cannot open its netlink socket: ") + errno_text(errno));
    }
    return unmounter_.start();
}

Sight Hands::look(size_t place, const GuardGroup& group) {
    Sight sight{.addresses_gone = outcomes_[place].addresses_gone,
                .mounts_gone = outcomes_[place].mounts_gone,
                .withdrawn = outcomes_[place].withdrawn};
    sight.frozen = true;
    sight.populated = false;
    look_at(root_.get(), group.cgroup.c_str(), group.mirrors.size() > 0, sight);
    for (const auto& unit : group.units) look_at(top_.get(), unit.c_str(), group.mirrors.size() > 0, sight);
    return sight;
}

// One cgroup of a group: it adds to what was seen of the others. One that is not there runs nothing.
void Hands::look_at(int base, const char* cgroup, bool mirrors, Sight& sight) {
    char text[256] = {};
    std::snprintf(text, sizeof(text), "%s/cgroup.events", cgroup);
    const UniqueFd file(openat(base, text, O_RDONLY | O_CLOEXEC));
    if (!file.valid() && errno == ENOENT) return;
    const ssize_t length = file.valid() ? read(file.get(), text, sizeof(text) - 1) : -1;
    if (length < 0) {
        sight.frozen = false;
        sight.populated = true;
        return;
    }
    text[length] = '\0';
    const bool populated = std::strstr(text, "populated 0") == nullptr;
    bool frozen = std::strstr(text, "frozen 1") != nullptr;
    if (!frozen && mirrors) frozen = stands_still(base, cgroup);
    sight.populated |= populated;
    sight.frozen &= frozen;
}

// Order: first what stops the group, last what may take its time.
void Hands::act(size_t place, const GuardGroup& group, const GroupOrders& orders) {
    Outcome& outcome = outcomes_[place];
    outcome = {};
    for (size_t i = 0; orders.abort && i < group.mirrors.size(); ++i) abort_mirror(group.mirrors[i].view());
    if (orders.kill) write_cgroups(group, "cgroup.kill", "1");
    if (orders.freeze) write_cgroups(group, "cgroup.freeze", "1");
    if (orders.kill || orders.freeze) {
        boost(group, true);
        calm_[place] = false;
    } else if (orders != GroupOrders{} && !std::exchange(calm_[place], true)) {
        boost(group, false);
    }
    if (orders.withdraw) outcome.withdrawn = withdraw(group, outcome.addresses_gone);
    if (orders.thaw) write_cgroups(group, "cgroup.freeze", "0");
    for (size_t i = 0; i < group.addresses.size(); ++i) {
        if ((orders.restore >> i & 1U) != 0) change_address(RTM_NEWADDR, group.addresses[i]);
    }
    if (orders.unmount) outcome.mounts_gone = unmounter_.unmount(place, group);
}

void Hands::boost(const GuardGroup& group, bool on) {
    const auto change = on ? boost_tasks : unboost_tasks;
    change(root_.get(), group.cgroup.c_str());
    for (const auto& unit : group.units) change(top_.get(), unit.c_str());
}

void Hands::write_cgroups(const GuardGroup& group, const char* file, const char* text) {
    const auto write_one = [&](int base, const char* cgroup) {
        char path[256];
        std::snprintf(path, sizeof(path), "%s/%s", cgroup, file);
        const UniqueFd fd(openat(base, path, O_WRONLY | O_CLOEXEC));
        // Whether it worked the next look shows.
        if (fd.valid()) std::ignore = write(fd.get(), text, std::strlen(text));
    };
    write_one(root_.get(), group.cgroup.c_str());
    for (const auto& unit : group.units) write_one(top_.get(), unit.c_str());
}

uint16_t Hands::withdraw(const GuardGroup& group, bool& all_gone) {
    uint16_t taken = 0;
    all_gone = true;
    for (size_t i = 0; i < group.addresses.size(); ++i) {
        bool was_there = false;
        all_gone &= withdraw(group.addresses[i], was_there);
        if (was_there) taken = static_cast<uint16_t>(taken | 1U << i);
    }
    return taken;
}

// True when the kernel says that the address is not (or no longer) there.
bool Hands::withdraw(const GuardAddress& address, bool& was_there) {
    for (int attempt = 0; attempt < 4; ++attempt) {  // IPv4 knows one address with several prefixes
        const int error = change_address(RTM_DELADDR, address);
        if (error != 0) return not_there(error);
        was_there = true;
    }
    return false;
}

int Hands::change_address(uint16_t type, const GuardAddress& address) {
    ifreq interface{};
    std::memcpy(interface.ifr_name, address.interface.c_str(), IFNAMSIZ);
    if (ioctl(any_socket_.get(), SIOCGIFINDEX, &interface) != 0) return errno;
    const bool add = type == RTM_NEWADDR;
    const auto length = static_cast<uint16_t>(address.family == 4 ? 4 : 16);
    struct {
        nlmsghdr head;
        ifaddrmsg about;
        uint8_t attributes[64];
    } message{};
    message.head.nlmsg_len = NLMSG_LENGTH(sizeof(ifaddrmsg));
    message.head.nlmsg_type = type;
    message.head.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0));
    message.head.nlmsg_seq = ++sequence_;
    message.about.ifa_family = address.family == 4 ? AF_INET : AF_INET6;
    message.about.ifa_prefixlen = address.prefix_bits;
    message.about.ifa_flags = IFA_F_NODAD;
    message.about.ifa_index = static_cast<uint32_t>(interface.ifr_ifindex);
    const auto put = [&](uint16_t kind) {
        auto* attribute = reinterpret_cast<rtattr*>(reinterpret_cast<uint8_t*>(&message) + message.head.nlmsg_len);
        attribute->rta_type = kind;
        attribute->rta_len = static_cast<uint16_t>(RTA_LENGTH(length));
        std::memcpy(RTA_DATA(attribute), address.bytes.data(), length);
        message.head.nlmsg_len += static_cast<uint32_t>(RTA_SPACE(length));
    };
    put(IFA_LOCAL);
    if (add) put(IFA_ADDRESS);  // at removal it would miss an IPv4 address that is there under another prefix
    if (send(netlink_.get(), &message, message.head.nlmsg_len, 0) < 0) return errno;
    struct {
        nlmsghdr head;
        nlmsgerr result;
        uint8_t rest[256];  // the request comes back with an error
    } answer{};
    do {
        // The kernel has answered before send() returned.
        if (recv(netlink_.get(), &answer, sizeof(answer), MSG_DONTWAIT) < 0) return errno;
    } while (answer.head.nlmsg_seq != sequence_ || answer.head.nlmsg_type != NLMSG_ERROR);
    return -answer.result.error;
}

}  // namespace kagami::guard
