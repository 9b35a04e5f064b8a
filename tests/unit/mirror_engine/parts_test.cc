// The engine's smaller parts on their own: intervals, the activity log, the queue of metadata batches; and that nothing
// is allocated for a request.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <new>

#include "mirror-driver/engine/intervals.h"
#include "mirror-driver/engine/metadata_queue.h"
#include "tests/unit/mirror_engine/scenes.h"

using namespace kagami;
using namespace kagami::mirror;
using namespace kagami::mirror::test;

namespace {

uint64_t allocations = 0;

constexpr Holder client(uint16_t index) {
    return {HolderKind::kClient, index};
}
constexpr Extent blocks(uint64_t first, uint64_t count) {
    return {first * kBlockBytes, count * kBlockBytes};
}
constexpr Extent hot(uint64_t extent) {
    return {extent * kHotExtentBytes, kBlockBytes};
}

struct Log {
    Bitmap bits{kDiskBytes};
    MetadataQueue queue{bits};
    ActivityLog log;
    MetadataBatch batch;
    explicit Log(size_t slots) : log(kDiskBytes, std::vector<uint32_t>(slots, kFreeSlot)) {}
    bool commit() {
        if (!queue.next(log, batch)) return false;
        REQUIRE(queue.done(batch.serial));
        log.batch_done();
        return true;
    }
};

}  // namespace

#if !defined(__SANITIZE_ADDRESS__)  // which has its own
void* operator new(size_t bytes) {
    ++allocations;
    if (void* memory = std::malloc(bytes)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
    std::free(memory);
}
#endif

TEST_CASE("intervals that overlap are held one after the other, in the order of asking") {
    Intervals intervals(8);
    CHECK(intervals.take(blocks(0, 4), client(0)));
    CHECK(intervals.take(blocks(4, 4), client(1)));
    CHECK_FALSE(intervals.take(blocks(3, 2), client(2)));
    CHECK_FALSE(intervals.take(blocks(4, 1), client(3)));  // behind 2, which waits
    Holder next;
    intervals.release(client(1));
    CHECK_FALSE(intervals.next_granted(next));
    intervals.release(client(0));
    REQUIRE(intervals.next_granted(next));
    CHECK(next == client(2));
    CHECK_FALSE(intervals.next_granted(next));
    intervals.release(client(2));
    REQUIRE(intervals.next_granted(next));
    CHECK(next == client(3));
}

TEST_CASE("who gives up waiting for an interval lets the next one in") {
    Intervals intervals(8);
    CHECK(intervals.take(blocks(0, 2), client(0)));
    CHECK_FALSE(intervals.take(blocks(1, 2), client(1)));
    CHECK_FALSE(intervals.take(blocks(2, 1), client(2)));
    intervals.release(client(1));
    Holder next;
    REQUIRE(intervals.next_granted(next));
    CHECK(next == client(2));
}

TEST_CASE("an extent is hot only when its slot is durable") {
    Log world(2);
    REQUIRE(world.log.enter(hot(3), world.queue));
    CHECK_FALSE(world.log.durable(hot(3)));
    CHECK(world.commit());
    CHECK(world.batch.slots.size() == 1);
    CHECK(world.batch.slots[0].extent == 3);
    CHECK(world.log.durable(hot(3)));
}

TEST_CASE("a slot is used again only for an extent that nobody uses, and that is flushed on both sides") {
    Log world(1);
    REQUIRE(world.log.enter(hot(0), world.queue));
    world.commit();
    CHECK_FALSE(world.log.enter(hot(1), world.queue));  // in use
    CHECK(world.log.starved());
    world.log.sent(hot(0));
    world.log.written(hot(0));
    world.log.leave(hot(0));
    CHECK_FALSE(world.log.enter(hot(1), world.queue));  // not flushed here
    CHECK(world.log.flush_helps());
    world.log.flush_started();
    world.log.flush_done();
    CHECK_FALSE(world.log.enter(hot(1), world.queue));  // not confirmed by the peer
    world.log.confirm_started();
    world.log.confirmed();
    CHECK(world.log.enter(hot(1), world.queue));
}

TEST_CASE("a slot whose blocks have bits is used again only when the bits are durable") {
    Log world(1);
    REQUIRE(world.log.enter(hot(0), world.queue));
    world.commit();
    world.bits.set(hot(0));
    world.log.leave(hot(0));
    CHECK_FALSE(world.log.enter(hot(1), world.queue));
    const Barrier written = world.queue.persist_pages();
    CHECK_FALSE(world.queue.reached(written));
    CHECK(world.commit());
    CHECK(world.queue.reached(written));
    CHECK(world.log.enter(hot(1), world.queue));
}

TEST_CASE("a flush that started before a write ended does not count for it") {
    Log world(1);
    REQUIRE(world.log.enter(hot(0), world.queue));
    world.commit();
    world.log.flush_started();
    world.log.written(hot(0));
    world.log.leave(hot(0));
    world.log.flush_done();
    CHECK_FALSE(world.log.enter(hot(1), world.queue));
}

TEST_CASE("what was sent and not confirmed becomes bits, block by block") {
    Log world(2);
    REQUIRE(world.log.enter(hot(0), world.queue));
    world.log.sent(blocks(5, 2));
    world.log.confirm_started();
    world.log.sent(blocks(9, 1));
    world.log.lost(world.bits);
    CHECK(world.bits.count() == 3);
    CHECK(world.bits.all(blocks(5, 2)));
    CHECK(world.bits.any(blocks(9, 1)));
    CHECK_FALSE(world.log.unconfirmed());
}

TEST_CASE("a bit that is set while its page is being written is not durable yet") {
    Log world(1);
    world.bits.set(blocks(1, 1));
    world.queue.persist_pages();
    REQUIRE(world.queue.next(world.log, world.batch));
    world.bits.set(blocks(2, 1));
    REQUIRE(world.queue.done(world.batch.serial));
    CHECK_FALSE(world.queue.durable(blocks(1, 1)));
    const Barrier again = world.queue.persist_pages();
    CHECK(world.commit());
    CHECK(world.queue.reached(again));
    CHECK(world.queue.durable(blocks(1, 1)));
}

TEST_CASE("one batch is under way at a time, and a wish that comes meanwhile is in the next one") {
    Log world(1);
    const Barrier first = world.queue.persist_context();
    REQUIRE(world.queue.next(world.log, world.batch));
    const Barrier second = world.queue.persist_context();
    MetadataBatch other;
    CHECK_FALSE(world.queue.next(world.log, other));
    REQUIRE(world.queue.done(world.batch.serial));
    CHECK(world.queue.reached(first));
    CHECK_FALSE(world.queue.reached(second));
    CHECK_FALSE(world.queue.done(world.batch.serial));
    CHECK(world.commit());
    CHECK(world.queue.reached(second));
    CHECK(world.queue.idle());
}

TEST_CASE("a request in steady state allocates nothing in either engine") {
#if defined(__SANITIZE_ADDRESS__)
    WARN("SKIPPED: allocations cannot be counted under the address sanitizer");
#endif
    World world;
    bring_up(world);
    for (int i = 0; i < 3; ++i) write_and_settle(world, 0, 5);
    Mirror& primary = *world.nodes[0].engine;
    Mirror& standby = *world.nodes[1].engine;
    Output near, far;
    uint64_t counted = 0;
    const auto step = [&](Mirror& engine, const Event& event, Output& out) {
        const uint64_t before = allocations;
        engine.step(event, world.now);
        engine.take_output(out);
        counted += allocations - before;
    };
    for (uint64_t i = 0; i < 50; ++i) {
        if (i == 10) counted = 0;  // by then the vectors have grown
        step(primary, ClientRequest{RequestId{1000 + i}, Operation::kWrite, blocks(5, 1), BufferId{1}}, near);
        REQUIRE(near.data.size() == 1);
        REQUIRE(near.frames.size() == 1);
        const DataIo here = near.data[0];
        const Frame frame = near.frames[0].frame;
        step(standby, FrameReceived{world.wire.id, frame}, far);
        const DataIo there = far.data.at(0);
        step(standby, IoDone{there.id, 0, kNoBuffer}, far);
        const Frame ack = far.frames.at(0).frame;
        step(primary, IoDone{here.id, 0, kNoBuffer}, near);
        step(primary, FrameReceived{world.wire.id, ack}, near);
        REQUIRE(near.completions.size() == 1);
    }
    CHECK(counted == 0);
}
