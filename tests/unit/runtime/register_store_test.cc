#include "cluster-daemon/runtime/register_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <random>

#include "tests/support/temporary_directory.h"

using namespace kagami;
using namespace kagami::runtime;
using kagami::testing::TemporaryDirectory;

namespace {

const Uuid kCluster = parse_uuid("11111111-2222-3333-4444-555555555555").value();
const Uuid kOther = parse_uuid("99999999-2222-3333-4444-555555555555").value();
constexpr size_t kBlock = 512;
constexpr size_t kSlot = 132 * 4096;

Bytes value(const std::string& text) {
    return {text.begin(), text.end()};
}
Bytes large(uint8_t seed, size_t length) {
    Bytes bytes(length);
    std::mt19937 random(seed);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    return bytes;
}

struct Store {
    TemporaryDirectory dir;
    std::string path = dir / "voter.store";

    StoreResult<RegisterStore> create(const Bytes& payload) const {
        return RegisterStore::create(path, StoreKind::kVoter, kCluster, payload);
    }
    StoreResult<RegisterStore> open(StoreCalls calls = system_store_calls()) const {
        return RegisterStore::open(path, StoreKind::kVoter, kCluster, std::move(calls));
    }
    std::string image() const { return read_file(path, 1U << 24U).value(); }
    void put_image(const std::string& image) const { REQUIRE(write_file_atomically(path, image)); }
    void flip(size_t offset) const {
        std::string bytes = image();
        bytes[offset] = static_cast<char>(bytes[offset] ^ 0x10);
        put_image(bytes);
    }
    // The value of an undamaged opening.
    Bytes payload() const {
        const auto store = open();
        REQUIRE(store);
        CHECK(store->loaded().warning.empty());
        CHECK_FALSE(store->loaded().may_be_rolled_back);
        return store->loaded().payload;
    }
};

// Where a write of `payload` puts its bytes, without doing it.
std::string recorded_write(const Store& store, const Bytes& payload, size_t& offset) {
    std::string recorded;
    StoreCalls calls = system_store_calls();
    calls.pwrite = [&](int, const void* data, size_t length, off_t at) {
        offset = static_cast<size_t>(at);
        recorded.assign(static_cast<const char*>(data), length);
        return static_cast<ssize_t>(length);
    };
    REQUIRE(store.open(calls)->write(payload));
    return recorded;
}

}  // namespace

TEST_CASE("values written one after the other are found again, of any size up to the limit") {
    const Store store;
    REQUIRE(store.create(value("first")));
    CHECK((store.payload() == value("first")));
    for (const size_t length :
         {size_t{0}, size_t{1}, size_t{499}, size_t{500}, size_t{501}, size_t{70'000}, kStorePayloadLimitBytes}) {
        const Bytes payload = large(3, length);
        REQUIRE(store.open()->write(payload));
        CHECK((store.payload() == payload));
    }
    auto open = store.open();
    for (int i = 0; i < 20; ++i) REQUIRE(open->write(value(std::to_string(i))));
    CHECK(open->serial() == 28);
}

TEST_CASE("the file has its full size from the start and belongs to its owner alone") {
    const Store store;
    REQUIRE(store.create(value("x")));
    struct stat before{};
    REQUIRE(::stat(store.path.c_str(), &before) == 0);
    CHECK((before.st_mode & 0777U) == 0600);
    REQUIRE(store.open()->write(large(1, kStorePayloadLimitBytes)));
    struct stat after{};
    REQUIRE(::stat(store.path.c_str(), &after) == 0);
    CHECK(after.st_size == before.st_size);
    CHECK(after.st_blocks == before.st_blocks);
}

TEST_CASE("a value above the limit is refused and the old one stands") {
    const Store store;
    REQUIRE(store.create(value("old")));
    CHECK(store.open()->write(Bytes(kStorePayloadLimitBytes + 1)).error().fault == StoreFault::kNotWritten);
    CHECK_FALSE(
        RegisterStore::create(store.dir / "other", StoreKind::kVoter, kCluster, Bytes(kStorePayloadLimitBytes + 1)));
    CHECK((store.payload() == value("old")));
}

TEST_CASE("a power loss anywhere inside a write leaves the old value, or the new one, without a word of rollback") {
    const Store store;
    REQUIRE(store.create(value("zero")));
    REQUIRE(store.open()->write(large(1, 9'000)));
    REQUIRE(store.open()->write(large(2, 7'000)));
    const Bytes old_value = large(2, 7'000);
    const Bytes new_value = large(9, 8'200);
    const std::string before = store.image();
    size_t offset = 0;
    const std::string written = recorded_write(store, new_value, offset);
    const size_t blocks = written.size() / kBlock;
    std::mt19937 random(11);
    // Every prefix, then random sets of blocks in any order, as a disk's cache may write them.
    for (size_t round = 0; round < blocks + 200; ++round) {
        std::string image = before;
        size_t count = 0;
        for (size_t block = 0; block < blocks; ++block) {
            const bool done = round < blocks ? block < round : (random() % 2 == 0);
            if (!done) continue;
            image.replace(offset + block * kBlock, kBlock, written, block * kBlock, kBlock);
            ++count;
        }
        store.put_image(image);
        const auto opened = store.open();
        REQUIRE(opened);
        CHECK((opened->loaded().payload == (count == blocks ? new_value : old_value)));
        CHECK_FALSE(opened->loaded().may_be_rolled_back);
        const bool mixed = count > 0 && count < blocks;
        CHECK(opened->loaded().warning.empty() == !mixed);
    }
}

TEST_CASE("a write cut off inside a block leaves the old value readable") {
    const Store store;
    REQUIRE(store.create(value("old")));
    const std::string before = store.image();
    size_t offset = 0;
    const std::string written = recorded_write(store, large(9, 1'000), offset);
    for (size_t length = 1; length < written.size(); length += 37) {
        std::string image = before;
        image.replace(offset, length, written, 0, length);
        store.put_image(image);
        const auto opened = store.open();
        REQUIRE(opened);
        CHECK((opened->loaded().payload == value("old")));
    }
}

TEST_CASE("after a torn write the next one works and the warning is gone") {
    const Store store;
    REQUIRE(store.create(value("old")));
    size_t offset = 0;
    const std::string written = recorded_write(store, large(9, 5'000), offset);
    std::string image = store.image();
    image.replace(offset, 3 * kBlock, written, 0, 3 * kBlock);
    store.put_image(image);
    REQUIRE(store.open()->write(value("new")));
    CHECK((store.payload() == value("new")));
}

TEST_CASE("any flipped bit in the newest value is noticed: the older one is returned as rolled back") {
    const Store store;
    REQUIRE(store.create(value("zero")));
    REQUIRE(store.open()->write(large(1, 3'000)));  // slot 1
    REQUIRE(store.open()->write(large(2, 3'000)));  // slot 0
    const std::string good = store.image();
    const size_t used = 7 * kBlock;  // the header, and 3000 bytes in 500s
    for (size_t at = 0; at < used; at += 61) {
        store.flip(at);
        const auto opened = store.open();
        REQUIRE(opened);
        CHECK((opened->loaded().payload == large(1, 3'000)));
        CHECK(opened->loaded().may_be_rolled_back);
        CHECK_THAT(opened->loaded().warning, Catch::Contains("newer value"));
        store.put_image(good);
    }
}

TEST_CASE("a flipped bit in the older value costs a warning only") {
    const Store store;
    REQUIRE(store.create(value("zero")));
    REQUIRE(store.open()->write(large(1, 3'000)));
    REQUIRE(store.open()->write(large(2, 3'000)));
    const std::string good = store.image();
    for (size_t at = 0; at < 7 * kBlock; at += 61) {
        store.flip(kSlot + at);
        const auto opened = store.open();
        REQUIRE(opened);
        CHECK((opened->loaded().payload == large(2, 3'000)));
        CHECK_FALSE(opened->loaded().may_be_rolled_back);
        CHECK_FALSE(opened->loaded().warning.empty());
        store.put_image(good);
    }
    store.flip(5 * kSlot / 4);  // beyond what the value uses
    CHECK((store.payload() == large(2, 3'000)));
}

TEST_CASE("a slot wiped with zeros, or a file cut in half, is not taken for a fresh store") {
    const Store store;
    REQUIRE(store.create(value("one")));
    REQUIRE(store.open()->write(value("two")));    // slot 1
    REQUIRE(store.open()->write(value("three")));  // slot 0
    const std::string good = store.image();
    std::string wiped = good;
    wiped.replace(0, kSlot, kSlot, '\0');
    store.put_image(wiped);
    CHECK(store.open()->loaded().may_be_rolled_back);
    store.put_image(good.substr(0, kSlot + 100));
    CHECK(store.open()->loaded().payload == value("three"));
    REQUIRE(store.open()->write(value("four")));  // grows to its size again
    CHECK((store.payload() == value("four")));
}

TEST_CASE("with both slots unreadable the store is lost, and the error says what to do") {
    const Store store;
    REQUIRE(store.create(value("one")));
    REQUIRE(store.open()->write(value("two")));
    const std::string good = store.image();
    for (const std::string& bad :
         {std::string(), std::string("short"), std::string(good.size(), '\0'), std::string(good.size(), 'x')}) {
        store.put_image(bad);
        const auto opened = store.open();
        REQUIRE_FALSE(opened);
        CHECK(opened.error().fault == StoreFault::kLost);
        CHECK_THAT(opened.error().error.message, Catch::Contains("voter.store"));
        CHECK_THAT(opened.error().error.remedy, Catch::Contains("kagami join"));
    }
    store.put_image(good);
    store.flip(10);
    store.flip(kSlot + 10);
    CHECK(store.open().error().fault == StoreFault::kLost);
}

TEST_CASE("a missing store, one of another cluster, another kind or a newer version are told apart") {
    const Store store;
    CHECK(store.open().error().fault == StoreFault::kMissing);
    REQUIRE(store.create(value("one")));
    CHECK(RegisterStore::open(store.path, StoreKind::kVoter, kOther).error().fault == StoreFault::kForeign);
    const auto foreign = RegisterStore::open(store.path, StoreKind::kVoter, kOther);
    CHECK_THAT(foreign.error().error.message, Catch::Contains("belongs to cluster 11111111"));
    CHECK(RegisterStore::open(store.path, StoreKind::kLocal, kCluster).error().fault == StoreFault::kForeign);
    CHECK((store.payload() == value("one")));
}

TEST_CASE("a store is not created over another, not opened twice, and not through a link") {
    const Store store;
    REQUIRE(store.create(value("one")));
    CHECK_FALSE(store.create(value("two")));
    {
        const auto open = store.open();
        REQUIRE(open);
        CHECK(store.open().error().fault == StoreFault::kInUse);
    }
    CHECK((store.payload() == value("one")));
    REQUIRE(::symlink(store.path.c_str(), (store.dir / "link").c_str()) == 0);
    CHECK_FALSE(RegisterStore::open(store.dir / "link", StoreKind::kVoter, kCluster));
}

TEST_CASE("a failed write leaves the value and may be repeated") {
    const Store store;
    REQUIRE(store.create(value("old")));
    for (const int error_number : {ENOSPC, EIO}) {
        int failures = 0;
        StoreCalls calls = system_store_calls();
        calls.pwrite = [&](int fd, const void* data, size_t length, off_t offset) -> ssize_t {
            if (failures-- > 0 && length > kBlock) {
                errno = error_number;
                return failures == 1 ? ::pwrite(fd, data, kBlock, offset) : -1;  // some of it, then none
            }
            return ::pwrite(fd, data, length, offset);
        };
        auto open = store.open(calls);
        failures = 2;
        const auto refused = open->write(large(5, 4'000));
        REQUIRE_FALSE(refused);
        CHECK(refused.error().fault == StoreFault::kNotWritten);
        CHECK_FALSE(refused.error().error.remedy.empty());
        CHECK(open->write(value("new")));
        open = tl::unexpected(StoreError{});  // closes it
        CHECK((store.payload() == value("new")));
    }
}

TEST_CASE("a failed flush is fatal: nothing is written through this store any more") {
    const Store store;
    REQUIRE(store.create(value("old")));
    bool fail_now = false;
    StoreCalls calls = system_store_calls();
    calls.fdatasync = [&](int fd) {
        errno = EIO;
        return fail_now ? -1 : ::fdatasync(fd);
    };
    auto open = store.open(calls);
    fail_now = true;
    CHECK(open->write(value("new")).error().fault == StoreFault::kFatal);
    fail_now = false;
    CHECK(open->write(value("newer")).error().fault == StoreFault::kFatal);
}

// The file is the page cache; `durable` is what a power loss leaves.
struct CachedDisk {
    explicit CachedDisk(const Store& s) : store(s) {}
    const Store& store;
    std::string durable;
    bool failing = false;
    std::string written;  // by the last pwrite
    size_t offset = 0;

    StoreCalls calls() {
        StoreCalls calls = system_store_calls();
        calls.pwrite = [this](int fd, const void* data, size_t length, off_t at) {
            written.assign(static_cast<const char*>(data), length);
            offset = static_cast<size_t>(at);
            return ::pwrite(fd, data, length, at);
        };
        calls.fdatasync = [this](int) {
            errno = EIO;
            if (failing) return -1;
            durable = store.image();
            return 0;
        };
        return calls;
    }
};

// Three confirmed values, then one that the disk refused and the page cache kept.
void lose_a_write(const Store& store, CachedDisk& disk) {
    REQUIRE(store.create(value("one")));
    auto open = store.open(disk.calls());
    REQUIRE(open->write(large(2, 5'000)));
    REQUIRE(open->write(large(3, 5'000)));
    disk.failing = true;
    REQUIRE(open->write(large(4, 5'000)).error().fault == StoreFault::kFatal);
    disk.failing = false;
}

TEST_CASE("a value that a failed flush left in the page cache is durable before a restarted process uses it") {
    const Store store;
    CachedDisk disk(store);
    lose_a_write(store, disk);
    REQUIRE(store.open(disk.calls())->loaded().payload == large(4, 5'000));
    store.put_image(disk.durable);  // the power fails
    CHECK((store.payload() == large(4, 5'000)));
}

TEST_CASE("a power loss while the start makes the value durable costs no confirmed value") {
    const Store store;
    CachedDisk disk(store);
    lose_a_write(store, disk);
    const std::string before = disk.durable;
    REQUIRE(store.open(disk.calls()));
    const size_t blocks = disk.written.size() / kBlock;
    REQUIRE(blocks > 10);
    for (size_t count = 0; count <= blocks; ++count) {
        std::string image = before;
        image.replace(disk.offset, count * kBlock, disk.written, 0, count * kBlock);
        store.put_image(image);
        const auto opened = store.open();
        REQUIRE(opened);
        CHECK((opened->loaded().payload == large(count == blocks ? 4 : 3, 5'000)));
        CHECK_FALSE(opened->loaded().may_be_rolled_back);
    }
}

TEST_CASE("a store whose value cannot be made durable is not opened, and the error says why") {
    const Store store;
    CachedDisk disk(store);
    lose_a_write(store, disk);
    disk.failing = true;
    const auto unflushed = store.open(disk.calls());
    REQUIRE_FALSE(unflushed);
    CHECK(unflushed.error().fault == StoreFault::kFailed);
    CHECK_THAT(unflushed.error().error.message,
               Catch::Contains("voter.store: cannot make the value that was read durable"));
    CHECK_FALSE(unflushed.error().error.remedy.empty());
    StoreCalls calls = system_store_calls();
    calls.pwrite = [](int, const void*, size_t, off_t) -> ssize_t {
        errno = ENOSPC;
        return -1;
    };
    const auto unwritten = store.open(calls);
    REQUIRE_FALSE(unwritten);
    CHECK(unwritten.error().fault == StoreFault::kFailed);
}

TEST_CASE("opening a store that may be rolled back leaves the damage in place for the next start to see") {
    const Store store;
    REQUIRE(store.create(value("one")));
    REQUIRE(store.open()->write(value("two")));
    store.flip(kSlot + 10);
    CHECK(store.open()->loaded().may_be_rolled_back);
    CHECK(store.open()->loaded().may_be_rolled_back);
}
