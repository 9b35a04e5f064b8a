// I10: whatever a crash leaves of the writes of one batch (any subset, any of them torn at 512 bytes), load() gives
// context and log of before or after it, together, and a bitmap that has lost nothing. Then life goes on from such a
// remainder.
#include <catch2/catch.hpp>
#include <cstdio>
#include <random>

#include "tests/unit/mirror_metadata/device.h"

using namespace kagami;
using namespace kagami::mirror;
using namespace kagami::mirror::test;

namespace {

constexpr size_t kSectorBytes = 512;
constexpr uint32_t kExtents = kDisk / kHotExtentBytes;

// What is durable, under what the crash left of a batch.
struct Image {
    const Device& under;
    std::map<uint64_t, Block> over;

    Result<Loaded> load() const {
        const auto read = [this](uint64_t offset, Block& bytes) {
            const auto at = over.find(offset);
            if (at == over.end()) return under.reader()(offset, bytes);
            bytes = at->second;
            return true;
        };
        return Metadata::load(read, kDevice);
    }
};

struct Truth {
    Context context;
    std::vector<uint32_t> slots;
    Bitmap bitmap{kDisk};
};

struct World {
    std::mt19937_64 random;
    Device device;
    Truth now;  // after the batch in `out`, once that is written
    Truth before;
    Metadata metadata;
    std::vector<BlockWrite> out;
    uint64_t images = 0;
    uint64_t crashes = 0;

    World(uint64_t seed, uint32_t hot)
        : random(seed),
          device(made(sample_context(hot))),
          now{sample_context(hot), std::vector<uint32_t>(hot, kFreeSlot), Bitmap(kDisk)},
          before(now),
          metadata(*device.load(), kDevice) {}

    uint64_t below(uint64_t bound) { return random() % bound; }

    void change_context() {
        Context& context = now.context;
        context.nonce = context.next_nonce;
        context.next_nonce = Nonce{random()};
        context.base = context.current;
        context.history[below(8)] = {context.current, Cause::kSolo};
        context.current = {context.current.counter + 1, uuid_of(static_cast<uint8_t>(random()))};
        context.highest_token.seq += 1;
        context.flags.primary_indicated = below(2) == 0;
        context.flags.inconsistent = below(2) == 0;
    }

    void next_batch() {
        before = now;
        MetadataBatch batch;
        batch.context = below(3) == 0;
        if (batch.context) change_context();
        const uint64_t updates = below(4) == 0 ? 0 : below(20) == 0 ? below(400) : below(8);
        for (uint64_t i = 0; i < updates; ++i) {
            const auto slot = static_cast<uint32_t>(below(now.slots.size()));
            now.slots[slot] = below(4) == 0 ? kFreeSlot : static_cast<uint32_t>(below(kExtents));
            batch.slots.push_back({slot, now.slots[slot]});
        }
        for (uint64_t left = below(4); left > 0; --left) {
            const Extent extent{below(kDisk / kBlockBytes) * kBlockBytes, kBlockBytes * (1 + below(300))};
            below(2) == 0 ? now.bitmap.set(extent) : now.bitmap.clear(extent);
        }
        batch.bitmap_pages.resize(3);
        batch.bitmap_pages.resize(now.bitmap.take_changed(batch.bitmap_pages));
        metadata.encode(batch, now.context, now.bitmap, out);
    }

    Block torn(const BlockWrite& write) {
        Block bytes{};
        device.reader()(write.offset, bytes);
        for (size_t at = 0; at < bytes.size(); at += kSectorBytes) {
            if (below(2) == 0) continue;
            std::copy_n(write.bytes.begin() + static_cast<std::ptrdiff_t>(at), kSectorBytes,
                        bytes.begin() + static_cast<std::ptrdiff_t>(at));
        }
        return bytes;
    }

    Image image_of(const std::vector<bool>& chosen, bool tear) {
        Image image{device, {}};
        for (size_t i = 0; i < out.size(); ++i) {
            if (chosen[i]) image.over[out[i].offset] = tear && below(2) == 0 ? torn(out[i]) : out[i].bytes;
        }
        return image;
    }

    void check(const Image& image) {
        ++images;
        const auto loaded = image.load();
        REQUIRE(loaded);
        const bool old = loaded->context == before.context && loaded->slots == before.slots;
        const bool fresh = loaded->context == now.context && loaded->slots == now.slots;
        REQUIRE((old || fresh));
        REQUIRE_FALSE(loaded->log_incomplete);
        bool lost = false;
        for (uint32_t page = 0; page < now.bitmap.pages(); ++page) {
            for (size_t i = 0; i < now.bitmap.page(page).size(); ++i) {
                const uint64_t kept = before.bitmap.page(page)[i] & now.bitmap.page(page)[i];
                lost = lost || (kept & ~loaded->bitmap.page(page)[i]) != 0;
            }
        }
        REQUIRE_FALSE(lost);
    }

    void check_all_subsets() {
        const size_t count = out.size();
        if (count <= 6) {
            for (uint32_t mask = 0; mask < 1U << count; ++mask) {
                std::vector<bool> chosen(count);
                for (size_t i = 0; i < count; ++i) chosen[i] = (mask >> i & 1U) != 0;
                for (const bool tear : {false, true}) check(image_of(chosen, tear));
            }
            return;
        }
        for (size_t boundary = 0; boundary <= count; ++boundary) {
            std::vector<bool> chosen(count);
            std::fill_n(chosen.begin(), boundary, true);
            check(image_of(chosen, false));
        }
        for (int i = 0; i < 64; ++i) check(image_of(random_subset(), i % 2 == 0));
    }

    std::vector<bool> random_subset() {
        std::vector<bool> chosen(out.size());
        for (size_t i = 0; i < chosen.size(); ++i) chosen[i] = below(2) == 0;
        return chosen;
    }

    void flush() {
        device.write(out);
        const auto loaded = device.load();
        REQUIRE(loaded);
        REQUIRE(loaded->context == now.context);
        REQUIRE(loaded->slots == now.slots);
        REQUIRE(loaded->bitmap.count() >= now.bitmap.count());
    }

    // The machine goes down inside the batch; what it left is what the next life begins with.
    void crash() {
        ++crashes;
        const Image image = image_of(random_subset(), true);
        for (const auto& [place, bytes] : image.over) device.blocks[place] = bytes;
        auto loaded = device.load();
        REQUIRE(loaded);
        metadata = Metadata(*loaded, kDevice);
        now = {loaded->context, loaded->slots, loaded->bitmap};
    }
};

// Of making metadata, over what was there: refused, or as `old` says, or as `made`.
void crash_while_making(const Device& start, const std::optional<Context>& old, const Context& made) {
    std::mt19937_64 random(7);
    Device device = start;
    const auto batches = Metadata::create(made, kDevice);
    for (size_t number = 0; number < batches.size(); ++number) {
        for (int round = 0; round < 100; ++round) {
            Image image{device, {}};
            for (const BlockWrite& write : batches[number]) {
                if (random() % 2 == 0) continue;
                Block& bytes = image.over[write.offset];
                device.reader()(write.offset, bytes);
                const bool tear = random() % 4 == 0;
                for (size_t at = 0; at < bytes.size(); at += kSectorBytes) {
                    if (!tear || random() % 2 == 0)
                        std::memcpy(bytes.data() + at, write.bytes.data() + at, kSectorBytes);
                }
            }
            const auto loaded = image.load();
            if (!loaded) continue;
            REQUIRE(number != 1);
            REQUIRE(loaded->context == (number == 0 ? old.value_or(Context{}) : made));
        }
        device.write(batches[number]);
    }
    CHECK(device.load()->context == made);
}

}  // namespace

TEST_CASE("I10 holds for what a crash leaves at any write boundary of random histories") {
    uint64_t images = 0;
    uint64_t crashes = 0;
    for (const uint32_t hot : {40U, 2000U}) {
        for (uint64_t seed = 1; seed <= 4; ++seed) {
            CAPTURE(hot, seed);
            World world(seed, hot);
            for (int batch = 0; batch < 160; ++batch) {
                world.next_batch();
                world.check_all_subsets();
                world.below(3) == 0 ? world.crash() : world.flush();
            }
            images += world.images;
            crashes += world.crashes;
        }
    }
    std::printf("metadata: %lu crash images loaded, %lu of them lived on\n", images, crashes);
    CHECK(images >= 10'000);
}

TEST_CASE("rings that have gone round many times are loaded after a crash as new ones are") {
    World world(99, 2000);
    for (int batch = 0; batch < 1000; ++batch) {
        world.next_batch();
        if (batch % 50 == 0) world.check_all_subsets();
        batch % 7 == 0 ? world.crash() : world.device.write(world.out);
    }
    world.next_batch();
    world.flush();
}

TEST_CASE("a crash while metadata are made leaves none, or the old, or the new ones") {
    crash_while_making(Device{}, std::nullopt, sample_context());
    World world(5, 100);
    for (int batch = 0; batch < 300; ++batch) {
        world.next_batch();
        world.device.write(world.out);
    }
    crash_while_making(world.device, world.now.context, full_context());
}
