// The page between daemon and guard: /run/kagami/guard.page, a file on tmpfs (0600) that both map. Two halves:
//   GuardPlan     by the daemon: until when this node may run its groups, and what to do with each of them
//   GuardReport   by the guard:  that it lives, and what it has done
//
// Format: plan[2], report[2]. The two slots of a half are written in turn, each under a sequence lock (odd while
// written) and a CRC32C over its used part, so a writer that is killed in mid-write leaves the previous value readable.
// Both halves are plain bytes of fixed size; every count, text and enumeration is checked before it is believed, by
// writer and reader alike. A page that cannot be believed is the same as no lease; what follows from that is the
// guard's business (guard_engine.h).
//
// Units: Instant is CLOCK_BOOTTIME of this machine; Duration nanoseconds.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "common/ids.h"
#include "common/result.h"
#include "common/time.h"

namespace kagami::guard {

constexpr const char* kPagePath = "/run/kagami/guard.page";
constexpr uint32_t kPageVersion = 3;  // raise it with every change of a struct below
constexpr size_t kMaxGroups = 128;
constexpr size_t kMaxAddresses = 16;
constexpr size_t kMaxMounts = 16;
constexpr size_t kMaxMirrors = 8;
constexpr size_t kMaxUnits = 4;

// Text of at most kCapacity bytes, NUL-padded. Too long a text is kept as "not ok" and refused when it is published.
template <size_t kCapacity>
class Text {
 public:
    Text() = default;
    template <std::convertible_to<std::string_view> T>
    Text(const T& from) {
        const std::string_view text = from;
        std::copy_n(text.begin(), std::min(text.size(), kCapacity), chars_.begin());
        if (text.size() > kCapacity || text.find('\0') != text.npos) chars_.back() = '!';
    }
    bool ok() const { return chars_.back() == '\0'; }
    bool empty() const { return chars_.front() == '\0'; }
    const char* c_str() const { return chars_.data(); }  // only when ok()
    std::string_view view() const { return {chars_.begin(), std::find(chars_.begin(), chars_.end() - 1, '\0')}; }
    bool operator==(const Text&) const = default;

 private:
    std::array<char, kCapacity + 1> chars_{};
};

// At most kCapacity elements in place. One too many makes it "not ok", as above.
template <typename T, size_t kCapacity>
class List {
 public:
    void push_back(const T& item) {
        if (count_ < kCapacity) items_[count_] = item;
        count_ = std::min<uint64_t>(count_ + 1, kCapacity + 1);
    }
    void clear() { count_ = 0; }
    bool ok() const { return count_ <= kCapacity; }
    size_t size() const { return std::min<size_t>(count_, kCapacity); }
    T& operator[](size_t i) { return items_[i]; }
    const T& operator[](size_t i) const { return items_[i]; }
    T* begin() { return items_.data(); }
    T* end() { return begin() + size(); }
    const T* begin() const { return items_.data(); }
    const T* end() const { return begin() + size(); }

 private:
    uint64_t count_ = 0;
    std::array<T, kCapacity> items_{};
};

enum class GroupKind : uint8_t {
    kData,    // suspended at the deadline
    kStrict,  // killed and unmounted at the deadline
};
enum class Verdict : uint8_t {
    kNone,    // nothing known: what is suspended stays so
    kResume,  // the document, as new as the lease names, still names this incarnation with this token
    kKill,    // the document names somebody else
};

struct GuardAddress {
    uint8_t family = 4;  // 4 or 6
    uint8_t prefix_bits = 0;
    std::array<uint8_t, 16> bytes{};  // network order; IPv4 in the first four
    Text<15> interface;
    bool operator==(const GuardAddress&) const = default;
};

struct GuardGroup {
    Text<31> name;
    Token token;
    GroupKind kind = GroupKind::kData;
    Verdict verdict = Verdict::kNone;
    Text<127> cgroup;  // relative to the cgroup root; its children are covered
    List<Text<127>, kMaxUnits> units;  // further cgroups, relative to the mount of cgroup2: "system.slice/nginx.service"
    List<GuardAddress, kMaxAddresses> addresses;
    List<Text<255>, kMaxMounts> mounts;  // in the order of mounting
    List<Text<31>, kMaxMirrors> mirrors;          // mirror disks, whose stalled I/O is failed before a kill
};

struct GuardTerms {
    BootId boot{};            // the incarnation that the lease was granted to
    Instant lease_sent_at{};  // when the renewal behind `deadline` was sent
    Instant deadline{};       // zero = no lease
    Duration t_hold{}, t_guard{}, t_kill{};
    Duration watchdog_timeout{};
    uint8_t armed = 0;  // the document says ARMED; zero = UNARMED or LEFT
    uint8_t unmanaged = 0;  // a person runs this node by hand: whatever runs is let go, nothing is armed
};

struct GuardPlan {
    uint64_t serial = 0;  // given by publish()
    GuardTerms terms;
    List<GuardGroup, kMaxGroups> groups;  // last, so that only its used part is copied
};

enum class GroupState : uint8_t {
    kRunning,     // may run
    kSuspending,  // freezing and withdrawal ordered, not yet seen done
    kSuspended,   // seen frozen, addresses gone
    kResumed,     // running again; the daemon announces the addresses
    kKilling,     // SIGKILL, withdrawal and unmounting ordered, not yet seen done
    kKilled,      // seen: no process, no address, no mount
    kKillFailed,  // not done within T_kill; tried on
};
enum class WatchdogKind : uint8_t { kNone, kHardware, kSimulated };

struct GroupReport {
    Text<31> name;
    Token token;
    GroupState state = GroupState::kRunning;
    uint16_t withdrawn = 0;  // bit i: address i was there and was taken away, so resuming gives it back
    Instant begun_at{};      // when the last suspension or kill began
    Instant done_at{};       // when it was seen done
};

struct GuardReport {
    uint64_t serial = 0;  // given by publish()
    uint64_t plan_serial = 0;
    Instant alive_at{};  // of the last round; the daemon publishes no lease when it is older than T_guard
    Instant started_at{};
    BootId boot{};
    int32_t pid = 0;
    uint32_t pauses = 0;  // gaps in the clocks that made a lease suspect
    uint8_t plan_readable = 0;
    uint8_t armed = 0;
    uint8_t condemned = 0;  // something could not be suspended or killed in time: never petted again
    uint8_t memory_locked = 0;
    uint8_t realtime = 0;  // SCHED_FIFO
    WatchdogKind watchdog = WatchdogKind::kNone;
    uint8_t watchdog_tested = 0;  // `kagami-guard test` passed with this driver and kernel
    Text<63> device;
    List<GroupReport, kMaxGroups> groups;
};

// What is wrong with a value, or nullptr. Nothing else is published, and nothing else is believed.
const char* defect(const GuardGroup& group);
const char* defect(const GuardPlan& plan);
const char* defect(const GuardReport& report);

constexpr const char* to_string(GroupState state) {
    switch (state) {
        case GroupState::kRunning: return "running";
        case GroupState::kSuspending: return "suspending";
        case GroupState::kSuspended: return "suspended";
        case GroupState::kResumed: return "resumed";
        case GroupState::kKilling: return "killing";
        case GroupState::kKilled: return "killed";
        case GroupState::kKillFailed: return "kill failed";
    }
    return "?";
}

template <typename Half>
struct Slot {
    uint64_t sequence = 0;
    uint32_t crc = 0;  // over everything below that is in use
    uint32_t version = 0;
    uint64_t used_bytes = 0;  // of body
    Half body;
};
struct Page {
    std::array<Slot<GuardPlan>, 2> plan;
    std::array<Slot<GuardReport>, 2> report;
};
struct Unmap {
    void operator()(Page* page) const;
};
using MappedPage = std::unique_ptr<Page, Unmap>;

enum class PageRead {
    kBlank,      // nothing was ever written
    kNew,        // value() has changed
    kUnchanged,  // value() is still the newest
    kDamaged,    // nothing readable; value() is what was read last
};

// Half is GuardPlan (in the guard and the mirror driver) or GuardReport (in the daemon). Allocates in open() only.
template <typename Half>
class GuardPageReader {
 public:
    static Result<GuardPageReader> open(const char* path = kPagePath);
    // Read-only, of a page that is there and whole; to be tried again while it is not. For everybody but its writers.
    static Result<GuardPageReader> open_existing(const char* path);
    PageRead read();
    const Half& value() const { return good_->body; }

 private:
    static Result<GuardPageReader> on(Result<MappedPage> page);
    bool take(const Slot<Half>& slot);
    MappedPage page_;
    std::unique_ptr<Slot<Half>> good_;   // the newest believed; sequence 0 = none
    std::unique_ptr<Slot<Half>> fresh_;  // scratch
};

// Half is GuardPlan (in the daemon) or GuardReport (in the guard). A second writer of the same half is refused.
template <typename Half>
class GuardPageWriter {
 public:
    static Result<GuardPageWriter> open(const char* path = kPagePath);
    // What a writer before this one published last, if it can be read: a restarted process goes on from there.
    const Half* before() const { return before_.get(); }
    Status publish(const Half& half);

 private:
    MappedPage page_;
    std::unique_ptr<Half> before_;
    uint64_t serial_ = 0;
};

}  // namespace kagami::guard
