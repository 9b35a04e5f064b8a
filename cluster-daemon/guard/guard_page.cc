#include "cluster-daemon/guard/guard_page.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>

#include "common/files.h"
#include "common/hash.h"

namespace kagami::guard {
namespace {

static_assert(std::is_trivially_copyable_v<GuardPlan> && std::is_trivially_copyable_v<GuardReport>);
static_assert(sizeof(GuardGroup) == 5624 && sizeof(GuardPlan) == 719960 && sizeof(GuardReport) == 9352,
              "the layout has changed: raise kPageVersion");
static_assert(std::atomic_ref<uint64_t>::is_always_lock_free);

template <typename Half>
auto& slots(Page& page) {
    if constexpr (std::is_same_v<Half, GuardPlan>) {
        return page.plan;
    } else {
        return page.report;
    }
}

uint64_t load(const uint64_t& sequence, std::memory_order order) {
    return std::atomic_ref<uint64_t>(const_cast<uint64_t&>(sequence)).load(order);
}

// A half ends with its list of groups; what lies behind the last group is not in use.
template <typename Half>
size_t used_bytes(const Half& half) {
    return sizeof(Half) - (kMaxGroups - half.groups.size()) * sizeof(half.groups[0]);
}

template <typename Half>
void copy_bytes(Half& to, const Half& from, size_t length_bytes) {
    std::memcpy(static_cast<void*>(&to), &from, length_bytes);  // trivially copyable, see above
}

// The part of a slot that its CRC covers: from `version` to the end of the used part of the body.
template <typename Half>
std::span<const uint8_t> covered(const Slot<Half>& slot, size_t body_bytes) {
    const auto* from = reinterpret_cast<const uint8_t*>(&slot.version);
    return {from, static_cast<size_t>(reinterpret_cast<const uint8_t*>(&slot.body) - from) + body_bytes};
}

Error cannot(const char* verb, const char* path, std::string remedy) {
    return {ErrorCode::kFailed, std::string("guard page ") + path + ": cannot " + verb + ": " + errno_text(errno),
            std::move(remedy)};
}

Result<off_t> check_owner(int fd, const char* path) {
    struct stat found{};
    if (fstat(fd, &found) != 0) return tl::unexpected(cannot("stat", path, ""));
    if (!S_ISREG(found.st_mode) || found.st_uid != geteuid() || (found.st_mode & 077U) != 0) {
        return fail(ErrorCode::kRefused, std::string("guard page ") + path + ": not a file that only its owner may use",
                    "remove it and restart the guard");
    }
    return found.st_size;
}

Status make_whole(int fd, const char* path) {
    const auto size = check_owner(fd, path);
    if (!size) return tl::unexpected(size.error());
    // Reserved rather than truncated: a full tmpfs must show here, not as SIGBUS at the deadline.
    if (*size < static_cast<off_t>(sizeof(Page)) && (errno = posix_fallocate(fd, 0, sizeof(Page))) != 0) {
        return tl::unexpected(cannot("reserve space", path, "free space on its file system"));
    }
    return {};
}

// `lock_byte` names the half that the caller will write; the lock lives as long as the mapping does.
Result<MappedPage> map_page(const char* path, int lock_byte) {
    const UniqueFd file(::open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file.valid()) return tl::unexpected(cannot("open", path, "run as root, and create its folder"));
    if (auto whole = make_whole(file.get(), path); !whole) return tl::unexpected(whole.error());
    if (lock_byte >= 0) {
        struct flock lock{};
        lock.l_type = F_WRLCK;
        lock.l_start = lock_byte;
        lock.l_len = 1;
        if (fcntl(file.get(), F_OFD_SETLK, &lock) != 0) {
            return fail(ErrorCode::kRefused, std::string("guard page ") + path + ": another process writes this half",
                        "stop the other kagamid or kagami-guard of this node first");
        }
    }
    void* at = mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (at == MAP_FAILED) return tl::unexpected(cannot("map", path, "free some memory"));
    return MappedPage(static_cast<Page*>(at));
}

// Of a bystander, who must not be able to change anything: neither makes the file nor writes into it.
Result<MappedPage> map_to_read(const char* path) {
    const UniqueFd file(::open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!file.valid()) return tl::unexpected(cannot("open", path, "start kagami-guard, which makes it"));
    const auto size = check_owner(file.get(), path);
    if (!size) return tl::unexpected(size.error());
    if (*size < static_cast<off_t>(sizeof(Page))) {
        return fail(std::string("guard page ") + path + ": not whole yet", "start kagami-guard, which makes it");
    }
    void* at = mmap(nullptr, sizeof(Page), PROT_READ, MAP_SHARED, file.get(), 0);
    if (at == MAP_FAILED) return tl::unexpected(cannot("map", path, "free some memory"));
    return MappedPage(static_cast<Page*>(at));
}

bool valid_cgroup(std::string_view path) {
    if (path.empty() || path.front() == '/') return false;
    while (!path.empty()) {
        const auto part = path.substr(0, path.find('/'));
        if (part.empty() || part == "." || part == "..") return false;
        path.remove_prefix(std::min(path.size(), part.size() + 1));
    }
    return true;
}

std::string subject(const GuardReport&) {
    return "guard report";
}
std::string subject(const GuardPlan& plan) {
    for (const auto& group : plan.groups) {
        if (defect(group) != nullptr) return "guard plan: group " + std::string(group.name.view());
    }
    return "guard plan";
}

bool within(Duration d, Duration least, Duration most) {
    return d >= least && d <= most;
}

}  // namespace

void Unmap::operator()(Page* page) const {
    munmap(page, sizeof(Page));
}

const char* defect(const GuardGroup& group) {
    if (!group.name.ok() || !valid_name(group.name.view())) return "the name is not valid";
    if (group.kind > GroupKind::kStrict || group.verdict > Verdict::kKill) return "unknown kind or verdict";
    if (!group.cgroup.ok() || !valid_cgroup(group.cgroup.view())) return "the cgroup path is not valid";
    if (!group.units.ok()) return "more than 4 units";
    for (const auto& unit : group.units) {
        if (!unit.ok() || !valid_cgroup(unit.view())) return "the cgroup path of a unit is not valid";
    }
    if (!group.addresses.ok()) return "more than 16 addresses";
    if (!group.mounts.ok()) return "more than 16 mounts";
    if (!group.mirrors.ok()) return "more than 8 mirror disks";
    for (const auto& a : group.addresses) {
        if (a.family != 4 && a.family != 6) return "an address is neither IPv4 nor IPv6";
        if (a.prefix_bits > (a.family == 4 ? 32 : 128)) return "an address has too long a prefix";
        if (!a.interface.ok() || a.interface.empty()) return "an address has no valid interface name";
    }
    for (const auto& m : group.mounts) {
        if (!m.ok() || m.c_str()[0] != '/') return "a mount point is not an absolute path of at most 255 bytes";
    }
    for (const auto& m : group.mirrors) {
        if (!m.ok() || !valid_name(m.view())) return "the name of a mirror disk is not valid";
    }
    return nullptr;
}

const char* defect(const GuardPlan& plan) {
    const auto& t = plan.terms;
    if (!within(t.t_hold, 1ms, 1h) || !within(t.t_guard, 1ms, 1min) || !within(t.t_kill, 1ms, 1h) ||
        !within(t.watchdog_timeout, 0ms, 1h)) {
        return "a timing value is out of range";
    }
    if (t.armed != 0 && t.watchdog_timeout == 0ns) return "armed without a watchdog time-out";
    if (t.unmanaged != 0 && (t.armed != 0 || plan.groups.size() > 0)) return "unmanaged, yet armed or with groups";
    if (t.deadline < Instant{} || t.lease_sent_at < Instant{} || t.lease_sent_at > kNever - 1h) {
        return "a stamp is out of range";
    }
    if (!plan.groups.ok()) return "more than 128 groups";
    for (const auto& group : plan.groups) {
        if (const char* what = defect(group)) return what;
    }
    for (const auto& a : plan.groups) {
        for (const auto& b : plan.groups) {
            if (&a < &b && (a.name == b.name || a.cgroup == b.cgroup)) return "two groups share a name or a cgroup";
        }
    }
    return nullptr;
}

const char* defect(const GuardReport& report) {
    if (!report.device.ok() || report.watchdog > WatchdogKind::kSimulated) return "unknown watchdog";
    if (!report.groups.ok()) return "more than 128 groups";
    for (const auto& group : report.groups) {
        if (!group.name.ok() || group.state > GroupState::kKillFailed) return "unknown group state";
    }
    return nullptr;
}

template <typename Half>
Result<GuardPageReader<Half>> GuardPageReader<Half>::open(const char* path) {
    return on(map_page(path, -1));
}

template <typename Half>
Result<GuardPageReader<Half>> GuardPageReader<Half>::open_existing(const char* path) {
    return on(map_to_read(path));
}

template <typename Half>
Result<GuardPageReader<Half>> GuardPageReader<Half>::on(Result<MappedPage> page) {
    if (!page) return tl::unexpected(page.error());
    GuardPageReader reader;
    reader.page_ = std::move(*page);
    reader.good_ = std::make_unique<Slot<Half>>();
    reader.fresh_ = std::make_unique<Slot<Half>>();
    return reader;
}

// Copies first and judges the copy: the page may change under our eyes.
template <typename Half>
bool GuardPageReader<Half>::take(const Slot<Half>& slot) {
    const uint64_t before = load(slot.sequence, std::memory_order_acquire);
    if (before % 2 != 0) return false;
    fresh_->crc = slot.crc;
    fresh_->version = slot.version;
    fresh_->used_bytes = slot.used_bytes;
    if (fresh_->version != kPageVersion || fresh_->used_bytes > sizeof(Half)) return false;
    copy_bytes(fresh_->body, slot.body, fresh_->used_bytes);
    std::atomic_thread_fence(std::memory_order_acquire);
    fresh_->sequence = before;
    return load(slot.sequence, std::memory_order_relaxed) == before &&
           crc32c(covered(*fresh_, fresh_->used_bytes)) == fresh_->crc &&
           fresh_->used_bytes == used_bytes(fresh_->body) && defect(fresh_->body) == nullptr;
}

template <typename Half>
PageRead GuardPageReader<Half>::read() {
    auto& both = slots<Half>(*page_);
    // A slot can only fail while it is being written; then the other one is whole, unless the writer laps us.
    for (int attempt = 0; attempt < 4; ++attempt) {
        const size_t newest = both[1].body.serial > both[0].body.serial ? 1 : 0;
        for (const size_t i : {newest, 1 - newest}) {
            const uint64_t sequence = load(both[i].sequence, std::memory_order_relaxed);
            if (sequence == 0) continue;
            if (sequence == good_->sequence && both[i].body.serial == good_->body.serial) return PageRead::kUnchanged;
            if (!take(both[i])) continue;
            good_.swap(fresh_);
            return PageRead::kNew;
        }
        if (load(both[0].sequence, std::memory_order_relaxed) == 0 &&
            load(both[1].sequence, std::memory_order_relaxed) == 0) {
            return PageRead::kBlank;
        }
    }
    good_->sequence = 0;  // what we knew is void: the next value that can be read is new, even if it is the same
    return PageRead::kDamaged;
}

template <typename Half>
Result<GuardPageWriter<Half>> GuardPageWriter<Half>::open(const char* path) {
    auto page = map_page(path, std::is_same_v<Half, GuardPlan> ? 0 : 1);
    if (!page) return tl::unexpected(page.error());
    auto reader = GuardPageReader<Half>::open(path);
    if (!reader) return tl::unexpected(reader.error());
    GuardPageWriter writer;
    writer.page_ = std::move(*page);
    if (reader->read() == PageRead::kNew) {
        writer.before_ = std::make_unique<Half>(reader->value());
        writer.serial_ = writer.before_->serial;
    }
    return writer;
}

template <typename Half>
Status GuardPageWriter<Half>::publish(const Half& half) {
    if (const char* what = defect(half)) {
        return fail(ErrorCode::kRefused, subject(half) + ": " + what,
                    "correct the configuration; what was published before stays in force");
    }
    auto& slot = slots<Half>(*page_)[++serial_ % 2];
    std::atomic_ref<uint64_t> sequence(slot.sequence);
    const uint64_t odd = sequence.load(std::memory_order_relaxed) | 1U;  // a writer killed in mid-write left it odd
    sequence.store(odd, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    slot.version = kPageVersion;
    slot.used_bytes = used_bytes(half);
    copy_bytes(slot.body, half, slot.used_bytes);
    slot.body.serial = serial_;
    slot.crc = crc32c(covered(slot, slot.used_bytes));
    sequence.store(odd + 1, std::memory_order_release);
    return {};
}

template class GuardPageReader<GuardPlan>;
template class GuardPageReader<GuardReport>;
template class GuardPageWriter<GuardPlan>;
template class GuardPageWriter<GuardReport>;

}  // namespace kagami::guard
