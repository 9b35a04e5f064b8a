// Every kind of block damaged, lost or unreadable: refused, or more to resynchronise; never less.
#include <catch2/catch.hpp>
#include <random>

#include "common/hash.h"
#include "mirror-driver/engine/metadata_blocks.h"
#include "tests/unit/mirror_metadata/device.h"

using namespace kagami;
using namespace kagami::mirror;
using namespace kagami::mirror::test;

namespace {

// Metadata with a past: five batches {context, one slot}, the bitmap's first page with one bit.
struct Past {
    Device device = made(full_context());
    Metadata metadata{*device.load(), kDevice};
    Context context = full_context();
    Bitmap bitmap{kDisk};
    std::vector<BlockWrite> out;

    Past() {
        bitmap.set({0, kBlockBytes});
        for (uint32_t i = 0; i < 5; ++i) write(i, true);
    }
    void write(uint32_t slot, bool with_context) {
        MetadataBatch batch;
        batch.context = with_context;
        context.highest_token.seq += with_context ? 1 : 0;
        batch.slots = {{slot, slot + 10}};
        batch.bitmap_pages = {0};
        metadata.encode(batch, context, bitmap, out);
        device.write(out);
    }
    uint64_t last_place(blocks::BlockType type) const {
        for (const BlockWrite& write : out) {
            if (blocks::open(write.bytes, write.offset).header.type == type) return write.offset;
        }
        return 0;
    }
};

bool mentions(const std::vector<std::string>& findings, const std::string& what) {
    return std::any_of(findings.begin(), findings.end(),
                       [&](const auto& each) { return each.find(what) != std::string::npos; });
}

void damage(Device& device, uint64_t place, size_t at = 2000) {
    device.blocks[place][at] = static_cast<uint8_t>(device.blocks[place][at] ^ 0x55U);
}

Device with(uint64_t place, size_t at, std::string_view bytes) {
    Device device;
    std::copy(bytes.begin(), bytes.end(), device.blocks[place].begin() + static_cast<std::ptrdiff_t>(at));
    return device;
}

}  // namespace

TEST_CASE("any changed byte of a block makes it invalid, and so does another place") {
    const Past past;
    for (const auto& [place, block] : past.device.blocks) {
        if (blocks::open(block, place).validity != blocks::Validity::kValid) continue;
        REQUIRE(blocks::open(block, place + kMetadataBlockBytes).validity == blocks::Validity::kBad);
        for (size_t at = 0; at < block.size(); at += at < 80 ? 1 : 61) {
            Block changed = block;
            changed[at] = static_cast<uint8_t>(changed[at] ^ 4U);
            REQUIRE(blocks::open(changed, place).validity == blocks::Validity::kBad);
        }
    }
}

TEST_CASE("one sound superblock of four is enough, and the loss of others is told") {
    const auto places = blocks::superblock_places(kDevice);
    for (const uint64_t kept : places) {
        Past past;
        for (const uint64_t place : places) {
            if (place != kept) damage(past.device, place);
        }
        const auto loaded = past.device.load();
        REQUIRE(loaded);
        CHECK(loaded->context == past.context);
        CHECK(mentions(loaded->findings, "3 superblocks of 4"));
        CHECK_FALSE(loaded->log_incomplete);
        CHECK(past.device.identify().kind == MetadataKind::kOurs);
    }
}

TEST_CASE("without a sound superblock the metadata are refused, with a remedy") {
    Past past;
    for (const uint64_t place : blocks::superblock_places(kDevice)) damage(past.device, place);
    const auto loaded = past.device.load();
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().message.find("no superblock") != std::string::npos);
    CHECK(loaded.error().remedy.find("kagami mirror init") != std::string::npos);
    CHECK(past.device.identify().kind == MetadataKind::kDamaged);
    for (const uint64_t place : blocks::superblock_places(kDevice)) past.device.unreadable.insert(place);
    CHECK_FALSE(past.device.load());
    CHECK(past.device.identify().kind == MetadataKind::kDamaged);
}

TEST_CASE("the superblock with the higher number wins") {
    Past past;
    const uint64_t place = blocks::superblock_places(kDevice)[3];
    Context grown = full_context();
    grown.device_identity = "file=9:9";
    Block& block = past.device.blocks[place];
    block = {};
    blocks::put_superblock(block, {grown, kDevice});
    blocks::seal(block, place, {.seq = 2, .mirror = grown.mirror});
    CHECK(past.device.load()->context.device_identity == "file=9:9");
}

TEST_CASE("a metadata device of another size is told; a too small one is refused") {
    Past past;
    auto loaded = past.device.load(kDevice + kMetadataBlockBytes);
    REQUIRE(loaded);
    CHECK(mentions(loaded->findings, "when the metadata were made"));
    loaded = past.device.load(kDevice - kMetadataBlockBytes);
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().message.find("less than") != std::string::npos);
    for (const uint64_t bytes : {uint64_t{0}, uint64_t{1}, uint64_t{4096}}) {
        CHECK_FALSE(past.device.load(bytes));
        CHECK(past.device.identify(bytes).kind == MetadataKind::kDamaged);
    }

    Context large = full_context();
    large.size_bytes = uint64_t{1} << 40U;
    const uint64_t place = 0;
    Block& block = past.device.blocks[place];
    block = {};
    blocks::put_superblock(block, {large, kDevice});
    blocks::seal(block, place, {.seq = 9, .mirror = large.mirror});
    loaded = past.device.load();
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().message.find("needs") != std::string::npos);
}

TEST_CASE("metadata of a newer format are refused, and not called damaged") {
    Past past;
    Block& block = past.device.blocks[0];
    block[4] = 2;
    const uint32_t crc = crc32c(std::span(block).subspan(64), crc32c(std::span(block).first(60)));
    for (size_t i = 0; i < 4; ++i) block[60 + i] = static_cast<uint8_t>(crc >> (8 * i));
    const auto loaded = past.device.load();
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().code == ErrorCode::kRefused);
    CHECK(loaded.error().message.find("newer version") != std::string::npos);
    CHECK(past.device.identify().kind == MetadataKind::kForeign);
}

TEST_CASE("a torn last block takes its whole batch back: context and log are those before it") {
    for (const auto type : {blocks::BlockType::kState, blocks::BlockType::kLog}) {
        Past past;
        Context before = past.context;
        past.write(50, true);
        damage(past.device, past.last_place(type));
        const auto loaded = past.device.load();
        REQUIRE(loaded);
        CHECK(loaded->context == before);
        CHECK(loaded->slots[50] == kFreeSlot);
        CHECK(loaded->slots[4] == 14);
        CHECK_FALSE(loaded->log_incomplete);
        CHECK(mentions(loaded->findings, "unfinished write"));

        // Life goes on behind it, and the remains never count again.
        past.metadata = Metadata(*loaded, kDevice);
        past.context = before;
        past.write(60, false);
        const auto again = past.device.load();
        REQUIRE(again);
        CHECK(again->context == before);
        CHECK(again->slots[50] == kFreeSlot);
        CHECK(again->slots[60] == 70);
        CHECK_FALSE(again->log_incomplete);
    }
}

TEST_CASE("a batch of a killed process that lands after the next one has read the metadata is not mixed with its batches") {
    Device device = made(sample_context(kMaxHotExtents));
    Metadata killed(*device.load(), kDevice);
    Bitmap bitmap(kDisk);
    Context other = sample_context(kMaxHotExtents);
    other.highest_token.seq = 7;
    MetadataBatch batch;
    batch.context = true;
    for (uint32_t i = 0; i < 130; ++i) batch.slots.push_back({i, 3});
    MetadataBatch attach;
    attach.context = true;
    std::vector<BlockWrite> out;
    killed.encode(attach, sample_context(kMaxHotExtents), bitmap, out);
    device.write(out);
    std::vector<BlockWrite> late;
    killed.encode(batch, other, bitmap, late);
    CHECK(late.size() == 4);

    Metadata next(*device.load(), kDevice);
    device.write(late);
    batch = {};
    batch.slots = {{500, 5}};
    next.encode(batch, sample_context(kMaxHotExtents), bitmap, out);
    device.write(out);
    const auto loaded = device.load();
    REQUIRE(loaded);
    CHECK(loaded->context == sample_context(kMaxHotExtents));
    CHECK(loaded->slots[0] == kFreeSlot);
    CHECK(loaded->slots[129] == kFreeSlot);
    CHECK(loaded->slots[500] == 5);
    CHECK_FALSE(loaded->log_incomplete);
}

TEST_CASE("a damaged older state block matters only while it is the newest") {
    Past past;
    const uint64_t state = past.last_place(blocks::BlockType::kState);
    const Context before = past.context;
    past.write(50, false);
    CHECK(past.device.load()->context == before);
    damage(past.device, state);
    const auto loaded = past.device.load();
    REQUIRE(loaded);
    CHECK(loaded->context.highest_token.seq + 1 == before.highest_token.seq);
    CHECK(loaded->log_incomplete);
    CHECK(mentions(loaded->findings, "newest state block"));
    past.write(51, true);
    CHECK_FALSE(past.device.load()->log_incomplete);
}

TEST_CASE(
    "a damaged log block among those that are needed makes the log incomplete, until the log was written as a whole") {
    Past past;
    const uint64_t needed = past.last_place(blocks::BlockType::kLog);
    past.device.blocks.erase(needed - kMetadataBlockBytes);
    past.device.blocks.erase(needed - 2 * kMetadataBlockBytes);
    past.write(50, false);
    CHECK_FALSE(past.device.load()->log_incomplete);  // 100 slots: each block has them all

    Device device = made(sample_context(kMaxHotExtents));
    Metadata metadata(*device.load(), kDevice);
    std::vector<BlockWrite> out;
    const auto write = [&](uint32_t slot) {
        MetadataBatch batch;
        batch.slots = {{slot, 7}};
        metadata.encode(batch, sample_context(kMaxHotExtents), Bitmap(kDisk), out);
        device.write(out);
    };
    for (uint32_t i = 0; i < 20; ++i) write(i);
    const uint64_t last = out.front().offset;
    damage(device, last - 3 * kMetadataBlockBytes);
    auto loaded = device.load();
    REQUIRE(loaded);
    CHECK(loaded->log_incomplete);
    CHECK(mentions(loaded->findings, "activity log is damaged"));
    metadata = Metadata(*loaded, kDevice);
    write(99);
    CHECK(out.size() == 8);
    loaded = device.load();
    CHECK_FALSE(loaded->log_incomplete);
    CHECK(loaded->slots[99] == 7);
}

TEST_CASE(
    "a log block that is still the one of a round before, because the device lost a write, makes the log incomplete") {
    Device device = made(sample_context(kMaxHotExtents));
    Metadata metadata(*device.load(), kDevice);
    std::vector<BlockWrite> out;
    Block older{};
    for (uint32_t i = 0; i < 3 * blocks::kLogBlocks; ++i) {
        MetadataBatch batch;
        batch.slots = {{i, i % 75}};
        metadata.encode(batch, sample_context(kMaxHotExtents), Bitmap(kDisk), out);
        if (out.front().offset == blocks::log_place(50) && older == Block{}) older = out.front().bytes;
        device.write(out);
        if (out.front().offset == blocks::log_place(52) && i > 2 * blocks::kLogBlocks) break;
    }
    CHECK_FALSE(device.load()->log_incomplete);
    device.blocks[blocks::log_place(50)] = older;
    const auto loaded = device.load();
    REQUIRE(loaded);
    CHECK(loaded->log_incomplete);
    CHECK(mentions(loaded->findings, "activity log is damaged"));
}

TEST_CASE("an unreadable block where the newest would lie makes the log incomplete; elsewhere it is only told") {
    for (const auto type : {blocks::BlockType::kState, blocks::BlockType::kLog}) {
        Past past;
        past.write(50, true);
        past.device.unreadable.insert(past.last_place(type));
        const auto loaded = past.device.load();
        REQUIRE(loaded);
        CHECK(loaded->log_incomplete);
        CHECK(mentions(loaded->findings, "cannot be read"));
    }
    Past past;
    past.device.unreadable.insert(blocks::log_place(100));
    const auto loaded = past.device.load();
    REQUIRE(loaded);
    CHECK_FALSE(loaded->log_incomplete);
    CHECK(mentions(loaded->findings, "cannot be read"));
}

TEST_CASE("without any sound state block the metadata are refused") {
    Past past;
    for (uint32_t i = 0; i < blocks::kStateBlocks; ++i) past.device.blocks.erase(blocks::state_place(i));
    CHECK_FALSE(past.device.load());
    for (uint32_t i = 0; i < blocks::kLogBlocks; ++i) past.device.unreadable.insert(blocks::log_place(i));
    const auto loaded = past.device.load();
    REQUIRE_FALSE(loaded);
    CHECK_FALSE(loaded.error().remedy.empty());
}

TEST_CASE("without any log block the log is incomplete") {
    Past past;
    past.write(1, true);
    MetadataBatch context_only;
    context_only.context = true;
    past.metadata.encode(context_only, past.context, past.bitmap, past.out);
    past.device.write(past.out);
    for (uint32_t i = 0; i < blocks::kLogBlocks; ++i) past.device.blocks.erase(blocks::log_place(i));
    const auto loaded = past.device.load();
    REQUIRE(loaded);
    CHECK(loaded->log_incomplete);
}

TEST_CASE(
    "a bitmap page that is damaged, misplaced, missing or another mirror's counts as all dirty, and only that page") {
    const Past past;
    const uint64_t first = blocks::page_place(0);
    std::vector<Device> damaged(4, past.device);
    damage(damaged[0], first);
    damaged[1].blocks[first] = past.device.blocks.at(blocks::page_place(1));
    damaged[2].unreadable.insert(first);
    blocks::put_page(damaged[3].blocks[first], {});
    blocks::seal(damaged[3].blocks[first], first, {.type = blocks::BlockType::kBitmap, .mirror = uuid_of(77)});
    for (const Device& device : damaged) {
        auto loaded = device.load();
        REQUIRE(loaded);
        CHECK(loaded->bitmap.count() == kBitsPerPage);
        CHECK(mentions(loaded->findings, "1 page of the bitmap"));
        CHECK_FALSE(loaded->log_incomplete);
        std::array<uint32_t, 3> pages{};
        CHECK(loaded->bitmap.take_changed(pages) == 1);  // to be written again
    }
    CHECK(past.device.load()->bitmap.count() == 1);
}

TEST_CASE("a device is told by what lies on it") {
    CHECK(Device{}.identify().kind == MetadataKind::kBlank);
    const std::vector<std::pair<Device, std::string>> known = {
        {with(0, 0, "XFSB"), "an xfs file system"},
        {with(65536, 64, "_BHRfS_M"), "a btrfs file system"},
        {with(0, 4086, "SWAPSPACE2"), "swap space"},
        {with(0, 512 + 24, "LVM2 001"), "an LVM physical volume"},
        {with(0, 0, "LUKS\xba\xbe"), "a LUKS volume"},
        {with(0, 512, "EFI PART"), "a GPT partition table"},
        {with(4096, 0, "EFI PART"), "a GPT partition table"},
        {with(0, 1024 + 56, "\x53\xef"), "an ext2 file system"},
        {with(4096, 0, "\xfc\x4e\x2b\xa9"), "a member of a Linux RAID"},
        {with(32768, 1, "CD001"), "an ISO 9660 file system"},
        {with(8192, 5, "hello"), ""},  // where nobody looks
        {with(0, 5, "hello"), "data of an unknown kind"},
        {with(kDevice - kMetadataBlockBytes, 5, "hello"), "data of an unknown kind"},
    };
    for (const auto& [device, what] : known) {
        CAPTURE(what);
        CHECK(device.identify().what == what);
        CHECK(device.identify().kind == (what.empty() ? MetadataKind::kBlank : MetadataKind::kForeign));
    }
}

TEST_CASE("ext3, ext4 and a partition table are told from what resembles them") {
    Device device = with(0, 1024 + 56, "\x53\xef");
    device.blocks[0][1024 + 0x5c] = 4;
    CHECK(device.identify().what == "an ext3 file system");
    device.blocks[0][1024 + 0x60] = 0x40;
    CHECK(device.identify().what == "an ext4 file system");

    device = with(0, 510, "\x55\xaa");
    CHECK(device.identify().what == "data of an unknown kind");
    device.blocks[0][446 + 4] = 0x83;
    device.blocks[0][446 + 12] = 1;
    CHECK(device.identify().what == "an MBR partition table");
    device.blocks[0][446] = 0x33;  // code, not a table
    CHECK(device.identify().what == "data of an unknown kind");
}

TEST_CASE("metadata with a read error at the beginning are still ours; a blank device with one is damaged") {
    Past past;
    past.device.unreadable.insert(0);
    CHECK(past.device.identify().kind == MetadataKind::kOurs);
    Device blank;
    blank.unreadable.insert(0);
    CHECK(blank.identify().kind == MetadataKind::kDamaged);
    blank.unreadable = {32768};
    const Identified who = blank.identify();
    CHECK(who.kind == MetadataKind::kForeign);
    CHECK(who.what.find("cannot be read at offset 32768") != std::string::npos);
}
