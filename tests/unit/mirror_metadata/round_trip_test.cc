#include <catch2/catch.hpp>
#include <random>

#include "tests/unit/mirror_metadata/device.h"

using namespace kagami;
using namespace kagami::mirror;
using namespace kagami::mirror::test;

namespace {

bool same_bits(const Bitmap& a, const Bitmap& b) {
    if (a.pages() != b.pages() || a.count() != b.count()) return false;
    for (uint32_t page = 0; page < a.pages(); ++page) {
        if (!std::ranges::equal(a.page(page), b.page(page))) return false;
    }
    return true;
}

}  // namespace

TEST_CASE("new metadata are loaded as they were made: clean, and with every slot free") {
    const Context context = full_context();
    const Device device = made(context);
    const auto loaded = device.load();
    REQUIRE(loaded);
    CHECK(loaded->context == context);
    CHECK(loaded->slots == std::vector<uint32_t>(100, kFreeSlot));
    CHECK(loaded->bitmap.count() == 0);
    CHECK(loaded->bitmap.size_bytes() == kDisk);
    CHECK_FALSE(loaded->log_incomplete);
    CHECK(loaded->findings.empty());
    const Identified who = device.identify();
    CHECK(who.kind == MetadataKind::kOurs);
    CHECK(who.cluster == context.cluster);
    CHECK(who.mirror == context.mirror);
    CHECK(who.self == context.self);
}

TEST_CASE("each flag keeps its own value") {
    for (int i = 0; i < 7; ++i) {
        Context context = sample_context();
        bool* const flags[] = {&context.flags.constructed,  &context.flags.primary_indicated,
                               &context.flags.inconsistent, &context.flags.full_sync,
                               &context.flags.suspect,      &context.flags.outdated,
                               &context.flags.failed};
        *flags[i] = true;
        CHECK(made(context).load()->context.flags == context.flags);
    }
}

TEST_CASE("the least size of the metadata holds header areas, bitmap and end copies") {
    CHECK(metadata_bytes_for(kBlockBytes) == kMinMetadataBytes);
    CHECK(metadata_bytes_for(kDisk) == kMinMetadataBytes);
    const uint64_t tib = uint64_t{1} << 40U;
    CHECK(metadata_bytes_for(tib) >= (uint64_t{8} << 20U) + tib / kBitsPerPage + 2 * kMetadataBlockBytes);
    CHECK(metadata_bytes_for(tib) <= uint64_t{43} << 20U);
}

TEST_CASE("random histories are loaded as they were written, in logs of any size") {
    for (const uint32_t hot : {1U, 64U, 871U, 872U, 873U, kMaxHotExtents}) {
        std::mt19937_64 random(hot);
        const auto below = [&](uint64_t bound) { return random() % bound; };
        Device device = made(sample_context(hot));
        Context context = sample_context(hot);
        std::vector<uint32_t> slots(hot, kFreeSlot);
        Bitmap bitmap(kDisk);
        Metadata metadata(*device.load(), kDevice);
        std::vector<BlockWrite> out;
        for (int round = 0; round < 700; ++round) {
            MetadataBatch batch;
            batch.context = below(4) == 0;
            context.highest_token.seq += batch.context ? 1 : 0;
            const uint64_t updates = below(30) == 0 ? hot : below(70);
            for (uint64_t i = 0; i < updates; ++i) {
                const auto slot = static_cast<uint32_t>(below(hot));
                slots[slot] = below(3) == 0 ? kFreeSlot : static_cast<uint32_t>(below(75));
                batch.slots.push_back({slot, slots[slot]});
            }
            const Extent extent{below(kDisk / kBlockBytes) * kBlockBytes, kBlockBytes * (1 + below(50))};
            below(2) == 0 ? bitmap.set(extent) : bitmap.clear(extent);
            batch.bitmap_pages.resize(3);
            batch.bitmap_pages.resize(bitmap.take_changed(batch.bitmap_pages));
            metadata.encode(batch, context, bitmap, out);
            device.write(out);
            if (round % 20 != 0) continue;
            const auto loaded = device.load();
            REQUIRE(loaded);
            REQUIRE(loaded->findings == std::vector<std::string>{});
            REQUIRE(loaded->context == context);
            REQUIRE(loaded->slots == slots);
            REQUIRE(same_bits(loaded->bitmap, bitmap));
            if (below(2) == 0) metadata = Metadata(*loaded, kDevice);
        }
    }
}

TEST_CASE("a batch is written without growing its vector again") {
    const Device device = made(sample_context());
    Metadata metadata(*device.load(), kDevice);
    MetadataBatch batch;
    batch.context = true;
    batch.slots.assign(64, {3, 4});
    batch.bitmap_pages = {0, 1, 2};
    std::vector<BlockWrite> out;
    metadata.encode(batch, sample_context(), Bitmap(kDisk), out);
    CHECK(out.size() == 5);
    const auto* before = out.data();
    for (int i = 0; i < 300; ++i) metadata.encode(batch, sample_context(), Bitmap(kDisk), out);
    CHECK(out.data() == before);
}

TEST_CASE("making metadata anew voids what was there, whatever its numbers") {
    Device device = made(full_context());
    Metadata metadata(*device.load(), kDevice);
    std::vector<BlockWrite> out;
    for (uint32_t i = 0; i < 600; ++i) {
        MetadataBatch batch;
        batch.context = true;
        batch.slots = {{i % 100, i % 75}};
        metadata.encode(batch, full_context(), Bitmap(kDisk), out);
        device.write(out);
    }
    const auto batches = Metadata::create(sample_context(), kDevice);
    device.write(batches[0]);
    CHECK_FALSE(device.load());
    device.write(batches[1]);
    CHECK_FALSE(device.load());
    device.write(batches[2]);
    const auto loaded = device.load();
    REQUIRE(loaded);
    CHECK(loaded->context == sample_context());
    CHECK(loaded->slots == std::vector<uint32_t>(100, kFreeSlot));
    CHECK(loaded->findings.empty());
}
