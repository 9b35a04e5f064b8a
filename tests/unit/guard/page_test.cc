#include "cluster-daemon/guard/guard_page.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <thread>

#include "common/hash.h"

using namespace kagami;
using namespace kagami::guard;

namespace {

// A page of its own for each test, seen also as raw bytes.
class Fixture {
 public:
    Fixture() {
        char name[] = "/dev/shm/kagami-page-XXXXXX";
        REQUIRE(mkdtemp(name) != nullptr);
        folder_ = name;
        path = folder_ + "/guard.page";
    }
    ~Fixture() {
        if (raw_ != nullptr) munmap(raw_, sizeof(Page));
        unlink(path.c_str());
        rmdir(folder_.c_str());
    }
    Page& raw() {
        if (raw_ == nullptr) {
            const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
            raw_ = static_cast<Page*>(mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
            close(fd);
        }
        return *raw_;
    }
    GuardPageWriter<GuardPlan> writer() { return std::move(GuardPageWriter<GuardPlan>::open(path.c_str()).value()); }
    GuardPageReader<GuardPlan> reader() { return std::move(GuardPageReader<GuardPlan>::open(path.c_str()).value()); }
    std::string path;

 private:
    std::string folder_;
    Page* raw_ = nullptr;
};

GuardGroup group_named(const char* name) {
    GuardGroup group;
    group.name = name;
    group.cgroup = name;
    group.addresses.push_back({4, 24, {10, 77, 1, 100}, "eth0"});
    group.mounts.push_back("/mnt/data");
    return group;
}

GuardPlan plan_with(uint64_t stamp, int groups) {
    GuardPlan plan;
    plan.terms.t_hold = 2s;
    plan.terms.t_guard = 200ms;
    plan.terms.t_kill = 500ms;
    plan.terms.watchdog_timeout = 5s;
    plan.terms.lease_sent_at = Instant(Duration(stamp));
    plan.terms.deadline = Instant(Duration(stamp) + 2s);
    for (int i = 0; i < groups; ++i) {
        plan.groups.push_back(group_named(("g" + std::to_string(i)).c_str()));
        plan.groups[plan.groups.size() - 1].token.seq = stamp;
    }
    return plan;
}

// Makes the CRC of a slot right again, as a hostile or broken writer would.
void seal(Slot<GuardPlan>& slot) {
    const auto* from = reinterpret_cast<const uint8_t*>(&slot.version);
    const auto* body = reinterpret_cast<const uint8_t*>(&slot.body);
    slot.crc = crc32c({from, static_cast<size_t>(body - from) + slot.used_bytes});
    slot.sequence += 2;
}

// Defects, each applied to a sound plan.
struct Defect {
    const char* what;
    void (*apply)(GuardPlan&);
};
const Defect kDefects[] = {
    {"a name with a slash", [](GuardPlan& p) { p.groups[0].name = "a/b"; }},
    {"an empty name", [](GuardPlan& p) { p.groups[0].name = ""; }},
    {"a name that is too long", [](GuardPlan& p) { p.groups[0].name = std::string(32, 'x'); }},
    {"a name with a NUL", [](GuardPlan& p) { p.groups[0].name = std::string_view("a\0b", 3); }},
    {"two groups of one name", [](GuardPlan& p) { p.groups[1].name = p.groups[0].name; }},
    {"two groups in one cgroup", [](GuardPlan& p) { p.groups[1].cgroup = p.groups[0].cgroup; }},
    {"an absolute cgroup", [](GuardPlan& p) { p.groups[0].cgroup = "/db"; }},
    {"a cgroup that climbs", [](GuardPlan& p) { p.groups[0].cgroup = "db/../.."; }},
    {"the cgroup root itself", [](GuardPlan& p) { p.groups[0].cgroup = "."; }},
    {"an empty part in a cgroup", [](GuardPlan& p) { p.groups[0].cgroup = "db//x"; }},
    {"no cgroup", [](GuardPlan& p) { p.groups[0].cgroup = ""; }},
    {"a unit that climbs", [](GuardPlan& p) { p.groups[0].units.push_back("../x.service"); }},
    {"a unit with too long a path", [](GuardPlan& p) { p.groups[0].units.push_back(std::string(128, 'u')); }},
    {"too many units",
     [](GuardPlan& p) {
         for (size_t i = 0; i <= kMaxUnits; ++i) p.groups[0].units.push_back("system.slice/x.service");
     }},
    {"unmanaged with groups", [](GuardPlan& p) { p.terms.unmanaged = 1; }},
    {"unmanaged and armed",
     [](GuardPlan& p) {
         p.groups.clear();
         p.terms.unmanaged = p.terms.armed = 1;
     }},
    {"an unknown kind", [](GuardPlan& p) { p.groups[0].kind = static_cast<GroupKind>(2); }},
    {"an unknown verdict", [](GuardPlan& p) { p.groups[0].verdict = static_cast<Verdict>(3); }},
    {"an unknown address family", [](GuardPlan& p) { p.groups[0].addresses[0].family = 5; }},
    {"too long a prefix", [](GuardPlan& p) { p.groups[0].addresses[0].prefix_bits = 33; }},
    {"no interface", [](GuardPlan& p) { p.groups[0].addresses[0].interface = ""; }},
    {"a relative mount point", [](GuardPlan& p) { p.groups[0].mounts[0] = "mnt"; }},
    {"too long a mount point", [](GuardPlan& p) { p.groups[0].mounts[0] = "/" + std::string(255, 'm'); }},
    {"too many addresses",
     [](GuardPlan& p) {
         while (p.groups[0].addresses.ok()) p.groups[0].addresses.push_back(p.groups[0].addresses[0]);
     }},
    {"too many mounts",
     [](GuardPlan& p) {
         while (p.groups[0].mounts.ok()) p.groups[0].mounts.push_back("/m");
     }},
    {"too many mirror disks",
     [](GuardPlan& p) {
         while (p.groups[0].mirrors.ok()) p.groups[0].mirrors.push_back("md1");
     }},
    {"a mirror disk with a path for a name", [](GuardPlan& p) { p.groups[0].mirrors.push_back("../md1"); }},
    {"a mirror disk without a name", [](GuardPlan& p) { p.groups[0].mirrors.push_back(""); }},
    {"a mirror disk with too long a name", [](GuardPlan& p) { p.groups[0].mirrors.push_back(std::string(32, 'x')); }},
    {"too many groups",
     [](GuardPlan& p) {
         while (p.groups.ok()) p.groups.push_back(group_named(("x" + std::to_string(p.groups.size())).c_str()));
     }},
    {"no T_hold", [](GuardPlan& p) { p.terms.t_hold = 0s; }},
    {"no T_guard", [](GuardPlan& p) { p.terms.t_guard = 0s; }},
    {"a negative T_kill", [](GuardPlan& p) { p.terms.t_kill = -1s; }},
    {"an endless watchdog time-out", [](GuardPlan& p) { p.terms.watchdog_timeout = 24h; }},
    {"armed without a watchdog time-out",
     [](GuardPlan& p) {
         p.terms.armed = 1;
         p.terms.watchdog_timeout = 0s;
     }},
    {"a negative deadline", [](GuardPlan& p) { p.terms.deadline = Instant::min(); }},
    {"a stamp at the end of time", [](GuardPlan& p) { p.terms.lease_sent_at = kNever; }},
};

}  // namespace

TEST_CASE("a page nobody has written is blank; what was published is read once as new") {
    Fixture f;
    auto reader = f.reader();
    CHECK(reader.read() == PageRead::kBlank);
    auto writer = f.writer();
    CHECK(writer.before() == nullptr);
    REQUIRE(writer.publish(plan_with(7, 3)));
    REQUIRE(reader.read() == PageRead::kNew);
    CHECK(reader.read() == PageRead::kUnchanged);
    CHECK(reader.value().serial == 1);
    CHECK(reader.value().groups.size() == 3);
    CHECK(reader.value().groups[2].name.view() == "g2");
    CHECK(reader.value().groups[2].mounts[0].view() == "/mnt/data");
    CHECK(reader.value().groups[2].addresses[0] == GuardAddress{4, 24, {10, 77, 1, 100}, "eth0"});
    REQUIRE(writer.publish(plan_with(8, 0)));
    CHECK(reader.read() == PageRead::kNew);
    CHECK(reader.value().groups.size() == 0);
    struct stat found{};
    REQUIRE(stat(f.path.c_str(), &found) == 0);
    CHECK((found.st_mode & 07777) == 0600);
}

TEST_CASE("the largest plan and the largest report fit") {
    Fixture f;
    auto plan = plan_with(1, kMaxGroups);
    while (plan.groups[63].addresses.size() < kMaxAddresses)
        plan.groups[63].addresses.push_back({6, 128, {0xfd}, "interface-of-15"});
    while (plan.groups[63].mounts.size() < kMaxMounts) plan.groups[63].mounts.push_back("/" + std::string(254, 'm'));
    while (plan.groups[63].mirrors.size() < kMaxMirrors) plan.groups[63].mirrors.push_back(std::string(31, 'x'));
    REQUIRE(f.writer().publish(plan));
    auto reader = f.reader();
    REQUIRE(reader.read() == PageRead::kNew);
    CHECK(reader.value().groups[63].mounts[15].view().size() == 255);
    CHECK(reader.value().groups[63].mirrors[7].view().size() == 31);
    GuardReport report;
    for (size_t i = 0; i < kMaxGroups; ++i) report.groups.push_back({"db", {}, GroupState::kKillFailed});
    REQUIRE(GuardPageWriter<GuardReport>::open(f.path.c_str())->publish(report));
    auto reports = GuardPageReader<GuardReport>::open(f.path.c_str());
    REQUIRE(reports->read() == PageRead::kNew);
    CHECK(reports->value().groups[63].state == GroupState::kKillFailed);
}

TEST_CASE("a second writer of the same half is refused, one of the other half is not") {
    Fixture f;
    {
        auto writer = f.writer();
        const auto second = GuardPageWriter<GuardPlan>::open(f.path.c_str());
        REQUIRE_FALSE(second);
        CHECK(second.error().code == ErrorCode::kRefused);
        CHECK(GuardPageWriter<GuardReport>::open(f.path.c_str()));
    }
    CHECK(GuardPageWriter<GuardPlan>::open(f.path.c_str()));  // the lock went with the first
}

TEST_CASE("a restarted writer sees what was published before and goes on from its serial") {
    Fixture f;
    REQUIRE(f.writer().publish(plan_with(1, 1)));
    REQUIRE(f.writer().publish(plan_with(2, 1)));
    auto reader = f.reader();
    CHECK(reader.read() == PageRead::kNew);
    auto writer = f.writer();
    REQUIRE(writer.before() != nullptr);
    CHECK(writer.before()->groups[0].token.seq == 2);
    REQUIRE(writer.publish(plan_with(3, 1)));
    CHECK(reader.read() == PageRead::kNew);
    CHECK(reader.value().serial == 3);
}

TEST_CASE("a writer killed in mid-write leaves the previous plan, and its successor writes over the torn one") {
    Fixture f;
    auto writer = f.writer();
    REQUIRE(writer.publish(plan_with(1, 2)));
    REQUIRE(writer.publish(plan_with(2, 2)));
    Slot<GuardPlan>& torn = f.raw().plan[1];  // where the third one goes
    torn.sequence += 1;
    torn.body.serial = 3;
    torn.body.groups[0].name = "torn";
    auto reader = f.reader();
    REQUIRE(reader.read() == PageRead::kNew);
    CHECK(reader.value().serial == 2);
    REQUIRE(writer.publish(plan_with(3, 2)));
    REQUIRE(reader.read() == PageRead::kNew);
    CHECK(reader.value().groups[0].token.seq == 3);
}

TEST_CASE("a page that cannot be believed is damaged until something sound is published") {
    Fixture f;
    auto writer = f.writer();
    REQUIRE(writer.publish(plan_with(1, 1)));
    auto reader = f.reader();
    REQUIRE(reader.read() == PageRead::kNew);
    SECTION("overwritten with noise") {
        std::mt19937 random(5);
        auto* bytes = reinterpret_cast<uint8_t*>(&f.raw().plan);
        for (size_t i = 0; i < sizeof(f.raw().plan); ++i) bytes[i] = static_cast<uint8_t>(random());
    }
    SECTION("of another version") {
        f.raw().plan[1].version = kPageVersion + 1;
        seal(f.raw().plan[1]);
    }
    SECTION("with an impossible length") {
        f.raw().plan[1].used_bytes = sizeof(GuardPlan) + 1;
        f.raw().plan[1].sequence += 2;
    }
    SECTION("with a length that its count of groups contradicts") {
        f.raw().plan[1].used_bytes = 8;
        seal(f.raw().plan[1]);
    }
    SECTION("written without end") {
        f.raw().plan[1].sequence += 1;
    }
    CHECK(reader.read() == PageRead::kDamaged);
    CHECK(reader.read() == PageRead::kDamaged);
    CHECK(reader.value().groups.size() == 1);  // what was known stays known
    auto next = plan_with(9, 1);
    REQUIRE(writer.publish(next));
    CHECK(reader.read() == PageRead::kNew);
}

TEST_CASE("a flipped bit anywhere in the used part of a slot is noticed") {
    Fixture f;
    REQUIRE(f.writer().publish(plan_with(1, 2)));
    auto& slot = f.raw().plan[1];
    std::mt19937 random(17);
    auto* bytes = reinterpret_cast<uint8_t*>(&slot.crc);
    const size_t length = offsetof(Slot<GuardPlan>, body) - offsetof(Slot<GuardPlan>, crc) + slot.used_bytes;
    for (int i = 0; i < 500; ++i) {
        const size_t at = random() % length;
        const auto bit = static_cast<uint8_t>(1U << random() % 8);
        bytes[at] ^= bit;
        auto reader = f.reader();
        INFO("byte " << at);
        CHECK(reader.read() == PageRead::kDamaged);
        bytes[at] ^= bit;
    }
    CHECK(f.reader().read() == PageRead::kNew);
}

TEST_CASE("a plan with a defect is neither published nor believed") {
    for (const auto& defective : kDefects) {
        INFO(defective.what);
        Fixture f;
        auto writer = f.writer();
        REQUIRE(writer.publish(plan_with(1, 2)));
        auto bad = plan_with(2, 2);
        defective.apply(bad);
        const auto published = writer.publish(bad);
        REQUIRE_FALSE(published);
        CHECK(published.error().message.starts_with("guard plan"));
        auto reader = f.reader();
        CHECK(reader.read() == PageRead::kNew);
        CHECK(reader.value().terms.lease_sent_at == Instant(1ns));

        auto& slot = f.raw().plan[1];  // past the writer's own check
        slot.body = bad;
        slot.body.serial = 3;
        slot.used_bytes = sizeof(GuardPlan) - (kMaxGroups - bad.groups.size()) * sizeof(GuardGroup);
        seal(slot);
        CHECK(f.reader().read() == PageRead::kDamaged);
    }
}

TEST_CASE("a refused group is named") {
    Fixture f;
    auto plan = plan_with(1, 2);
    plan.groups[1].mounts[0] = "relative";
    const auto published = f.writer().publish(plan);
    REQUIRE_FALSE(published);
    CHECK(published.error().message ==
          "guard plan: group g1: a mount point is not an absolute path of at most 255 bytes");
}

TEST_CASE("a report with a defect is not believed") {
    Fixture f;
    auto writer = GuardPageWriter<GuardReport>::open(f.path.c_str());
    GuardReport report;
    report.groups.push_back({"db", {}, static_cast<GroupState>(7)});
    CHECK_FALSE(writer->publish(report));
    report.groups[0].state = GroupState::kKilled;
    report.watchdog = static_cast<WatchdogKind>(9);
    CHECK_FALSE(writer->publish(report));
    report.watchdog = WatchdogKind::kNone;
    while (report.groups.ok()) report.groups.push_back(report.groups[0]);
    CHECK_FALSE(writer->publish(report));
}

TEST_CASE("a page file that others may touch, or that is no file, is refused") {
    Fixture f;
    REQUIRE(f.writer().publish(plan_with(1, 1)));
    SECTION("mode") {
        REQUIRE(chmod(f.path.c_str(), 0644) == 0);
    }
    SECTION("a directory") {
        REQUIRE(unlink(f.path.c_str()) == 0);
        REQUIRE(mkdir(f.path.c_str(), 0700) == 0);
    }
    SECTION("a symbolic link") {
        REQUIRE(unlink(f.path.c_str()) == 0);
        REQUIRE(symlink("/dev/shm/elsewhere", f.path.c_str()) == 0);
    }
    const auto opened = GuardPageReader<GuardPlan>::open(f.path.c_str());
    REQUIRE_FALSE(opened);
    CHECK_FALSE(opened.error().remedy.empty());
    rmdir(f.path.c_str());
}

TEST_CASE("a page file that is too short is made whole before it is mapped") {
    Fixture f;
    const int fd = ::open(f.path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(write(fd, "short", 5) == 5);
    close(fd);
    auto reader = f.reader();
    CHECK(reader.read() == PageRead::kDamaged);
    CHECK(f.writer().publish(plan_with(1, 1)));
    CHECK(reader.read() == PageRead::kNew);
}

TEST_CASE("a bystander neither makes the page nor can write into it") {
    Fixture f;
    const auto missing = GuardPageReader<GuardPlan>::open_existing(f.path.c_str());
    REQUIRE_FALSE(missing);
    CHECK_FALSE(missing.error().remedy.empty());
    CHECK(access(f.path.c_str(), F_OK) != 0);

    const int fd = ::open(f.path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(write(fd, "short", 5) == 5);
    CHECK_FALSE(GuardPageReader<GuardPlan>::open_existing(f.path.c_str()));
    struct stat found {};
    CHECK((fstat(fd, &found) == 0 && found.st_size == 5));
    close(fd);
    REQUIRE(unlink(f.path.c_str()) == 0);

    const auto mappings = [&](const std::string& mode) {
        std::ifstream maps("/proc/self/maps");
        int count = 0;
        for (std::string line; std::getline(maps, line);)
            count += line.find(f.path) != line.npos && line.find(' ' + mode + ' ') != line.npos ? 1 : 0;
        return count;
    };
    auto writer = f.writer();
    CHECK(mappings("rw-s") == 1);
    auto bystander = GuardPageReader<GuardPlan>::open_existing(f.path.c_str());
    REQUIRE(bystander);
    CHECK(mappings("rw-s") == 1);
    CHECK(mappings("r--s") == 1);
    CHECK(bystander->read() == PageRead::kBlank);
    REQUIRE(writer.publish(plan_with(1, 1)));
    CHECK(bystander->read() == PageRead::kNew);
    CHECK(bystander->read() == PageRead::kUnchanged);
    REQUIRE(chmod(f.path.c_str(), 0644) == 0);
    CHECK_FALSE(GuardPageReader<GuardPlan>::open_existing(f.path.c_str()));
}

TEST_CASE("a reader beside a busy writer never sees a mixture and never goes back") {
    Fixture f;
    auto writer = f.writer();
    auto reader = f.reader();
    std::atomic<bool> stop = false;
    std::thread busy([&] {
        for (uint64_t stamp = 1; !stop; ++stamp) {
            if (!writer.publish(plan_with(stamp, static_cast<int>(stamp % 4)))) std::abort();
        }
    });
    uint64_t last = 0;
    bool sound = true;
    for (int seen = 0; seen < 300;) {
        if (reader.read() != PageRead::kNew) {
            std::this_thread::yield();
            continue;
        }
        ++seen;
        const auto& plan = reader.value();
        const auto stamp = static_cast<uint64_t>(plan.terms.lease_sent_at.time_since_epoch().count());
        sound &= plan.serial == stamp && stamp > last && plan.groups.size() == stamp % 4;
        for (const auto& group : plan.groups) sound &= group.token.seq == stamp;
        last = stamp;
    }
    stop = true;
    busy.join();
    CHECK(sound);
}
