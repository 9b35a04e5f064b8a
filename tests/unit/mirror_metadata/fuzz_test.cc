// Bytes of anybody: load() and the blocks' readers end with values in range or a refusal. Checksums are made right
// again after most mutations, else nothing behind them would be reached.
#include <catch2/catch.hpp>
#include <random>

#include "common/hash.h"
#include "mirror-driver/engine/handshake.h"
#include "mirror-driver/engine/metadata_blocks.h"
#include "tests/unit/mirror_metadata/device.h"

using namespace kagami;
using namespace kagami::mirror;
using namespace kagami::mirror::test;

namespace {

void reseal(Block& block) {
    const uint32_t crc = crc32c(std::span(block).subspan(64), crc32c(std::span(block).first(60)));
    for (size_t i = 0; i < 4; ++i) block[60 + i] = static_cast<uint8_t>(crc >> (8 * i));
}

// Mostly in the header and the first fields behind it, where the meaning is.
void mutate(Block& block, std::mt19937_64& random) {
    for (uint64_t left = 1 + random() % 4; left > 0; --left) {
        const size_t at = random() % (random() % 3 == 0 ? block.size() : 320);
        const uint8_t values[] = {0, 1, 0x7f, 0xff, static_cast<uint8_t>(random())};
        block[at] = values[random() % std::size(values)];
    }
    if (random() % 8 != 0) reseal(block);
}

bool in_range(const Context& context) {
    return context.size_bytes > 0 && context.size_bytes % kBlockBytes == 0 && context.hot_extents > 0 &&
           context.hot_extents <= kMaxLogSlots && context.device_identity.size() <= blocks::kMaxIdentityBytes &&
           std::all_of(context.history.begin(), context.history.end(),
                       [](const Ancestor& each) { return each.cause <= Cause::kResync; });
}

Device device_with_past() {
    Device device = made(full_context());
    Metadata metadata(*device.load(), kDevice);
    Bitmap bitmap(kDisk);
    std::vector<BlockWrite> out;
    for (uint32_t i = 0; i < 80; ++i) {
        MetadataBatch batch;
        batch.context = i % 3 == 0;
        batch.slots.assign(1 + i % 90, {i, i % 75});
        batch.bitmap_pages = {i % 3};
        metadata.encode(batch, full_context(), bitmap, out);
        device.write(out);
    }
    return device;
}

}  // namespace

TEST_CASE("fuzz: the readers of single blocks never accept a value out of range") {
    std::mt19937_64 random(1);
    const Device device = device_with_past();
    std::vector<std::pair<uint64_t, Block>> sound;
    for (const auto& [place, block] : device.blocks) {
        if (blocks::open(block, place).validity == blocks::Validity::kValid) sound.emplace_back(place, block);
    }
    for (int round = 0; round < 100'000; ++round) {
        auto [place, block] = sound[random() % sound.size()];
        mutate(block, random);
        blocks::open(block, place);
        if (const auto superblock = blocks::get_superblock(block)) REQUIRE(in_range(superblock->context));
        RingPosition at;
        Context context = sample_context();
        if (blocks::get_state(block, at, context)) REQUIRE(in_range(context));
        bool inside = true;
        blocks::get_log(block, 100, 75, [&](uint32_t slot, uint32_t extent) {
            inside = inside && slot < 100 && (extent < 75 || extent == kFreeSlot);
        });
        REQUIRE(inside);
    }
}

TEST_CASE("fuzz: mutated metadata are refused or loaded with every value in range, and can be gone on with") {
    std::mt19937_64 random(2);
    const Device sound = device_with_past();
    std::vector<uint64_t> places;
    for (const auto& [place, block] : sound.blocks) places.push_back(place);
    std::vector<uint64_t> used = {0, kMetadataBlockBytes, blocks::page_place(0), blocks::page_place(2)};
    for (uint64_t i = 0; i < 28; ++i) used.push_back(blocks::state_place(i));
    for (uint64_t i = 60; i < 122; ++i) used.push_back(blocks::log_place(i));
    Device device = sound;
    uint64_t refused = 0;
    std::vector<BlockWrite> out;
    for (int round = 0; round < 10'000; ++round) {
        const uint64_t count = 1 + random() % 6;
        std::set<uint64_t> touched;
        for (uint64_t i = 0; i < count; ++i) {
            const uint64_t place = random() % 8 == 0 ? places[random() % places.size()] : used[random() % used.size()];
            mutate(device.blocks[place], random);
            touched.insert(place);
            if (random() % 50 == 0) device.unreadable.insert(place);
        }
        device.identify();
        const auto loaded = device.load();
        if (loaded) {
            REQUIRE(in_range(loaded->context));
            REQUIRE(loaded->slots.size() == loaded->context.hot_extents);
            const uint64_t extents = blocks::extents_of(loaded->context.size_bytes);
            REQUIRE(std::all_of(loaded->slots.begin(), loaded->slots.end(),
                                [&](uint32_t each) { return each < extents || each == kFreeSlot; }));
            REQUIRE(loaded->bitmap.size_bytes() == loaded->context.size_bytes);
            MetadataBatch batch;
            batch.context = true;
            batch.slots = {{0, 0}};
            Metadata(*loaded, kDevice).encode(batch, loaded->context, loaded->bitmap, out);
            REQUIRE(out.size() >= 2);
        } else {
            ++refused;
            REQUIRE_FALSE(loaded.error().remedy.empty());
        }
        for (const uint64_t place : touched) device.blocks[place] = sound.blocks.at(place);
        device.unreadable.clear();
    }
    CHECK(refused < 5000);
}

TEST_CASE("fuzz: mutated verdicts are refused or are what they say") {
    std::mt19937_64 random(3);
    const Bytes sound = encode(HandshakeDecision{Outcome::kCatchUp, Part::kSource, 9, "node2 is behind"});
    for (int round = 0; round < 100'000; ++round) {
        Bytes bytes = sound;
        for (uint64_t left = 1 + random() % 3; left > 0; --left)
            bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
        if (random() % 4 == 0) bytes.resize(random() % (2 * sound.size()));
        const auto decision = decode_decision(bytes);
        if (!decision) continue;
        REQUIRE(decision->outcome <= Outcome::kUnrelated);
        REQUIRE(decision->me <= Part::kTarget);
        REQUIRE(encode(*decision) == bytes);
    }
}
