#include "mirror-driver/engine/signature.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace kagami::mirror {
namespace {

using namespace std::string_view_literals;

struct Mark {
    uint32_t offset;  // in the first 80 KiB
    std::string_view bytes;
    const char* what;
};
// First match wins: what lies inside stands before what may merely surround it. Offsets from the formats' own
// documentation and libblkid.
constexpr Mark kMarks[] = {
    {0, "KGMM"sv, "metadata of a mirror"},
    {0, "LUKS\xba\xbe"sv, "a LUKS volume"},
    {512 + 24, "LVM2 001"sv, "an LVM physical volume"},
    {24, "LVM2 001"sv, "an LVM physical volume"},
    {1024 + 24, "LVM2 001"sv, "an LVM physical volume"},
    {1536 + 24, "LVM2 001"sv, "an LVM physical volume"},
    {0, "XFSB"sv, "an xfs file system"},
    {65536 + 64, "_BHRfS_M"sv, "a btrfs file system"},
    {4086, "SWAPSPACE2"sv, "swap space"},
    {4086, "SWAP-SPACE"sv, "swap space"},
    {1024, "\x10\x20\xf5\xf2"sv, "an f2fs file system"},
    {4096, "\xfc\x4e\x2b\xa9"sv, "a member of a Linux RAID"},
    {0, "\xfc\x4e\x2b\xa9"sv, "a member of a Linux RAID"},
    {3, "NTFS    "sv, "an NTFS file system"},
    {3, "EXFAT   "sv, "an exFAT file system"},
    {54, "FAT"sv, "a FAT file system"},
    {82, "FAT32"sv, "a FAT file system"},
    {32769, "CD001"sv, "an ISO 9660 file system"},
    {512, "EFI PART"sv, "a GPT partition table"},
    {4096, "EFI PART"sv, "a GPT partition table"},
};

constexpr uint64_t kBlankAtStart = uint64_t{1} << 20U;
constexpr uint64_t kBlankAtEnd = uint64_t{64} << 10U;

using Block = std::array<uint8_t, kMetadataBlockBytes>;
struct Probe {
    uint64_t offset = 0;
    Block bytes{};
};

uint32_t number(const Block& block, size_t offset, size_t length_bytes) {
    uint32_t v = 0;
    for (size_t i = 0; i < length_bytes; ++i) v |= uint32_t{block[offset + i]} << (8 * i);
    return v;
}

std::string ext_at(const Block& block) {
    constexpr size_t kSuper = 1024;
    if (number(block, kSuper + 0x38, 2) != 0xef53) return {};
    constexpr uint32_t kJournal = 0x4, kOfExt4 = 0x40 | 0x80 | 0x200;  // extents, 64bit, flex_bg
    if ((number(block, kSuper + 0x60, 4) & kOfExt4) != 0) return "an ext4 file system";
    return (number(block, kSuper + 0x5c, 4) & kJournal) != 0 ? "an ext3 file system" : "an ext2 file system";
}

// 55 AA alone is also a boot sector's mark: only a table with sane entries, at least one of them in use, counts.
std::string mbr_at(const Block& block) {
    if (number(block, 510, 2) != 0xaa55) return {};
    bool used = false;
    for (size_t entry = 446; entry < 510; entry += 16) {
        if ((block[entry] & 0x7fU) != 0) return {};
        used = used || (block[entry + 4] != 0 && number(block, entry + 12, 4) != 0);
    }
    return used ? "an MBR partition table" : "";
}

}  // namespace

std::string recognise(const BlockReader& read) {
    std::array<Probe, 4> probes{Probe{0, {}}, Probe{4096, {}}, Probe{32768, {}}, Probe{65536, {}}};
    for (Probe& probe : probes) {
        if (!read(probe.offset, probe.bytes))
            return "a device that cannot be read at offset " + std::to_string(probe.offset);
    }
    for (const Mark& mark : kMarks) {
        for (const Probe& probe : probes) {
            if (mark.offset < probe.offset || mark.offset + mark.bytes.size() > probe.offset + probe.bytes.size())
                continue;
            if (std::memcmp(probe.bytes.data() + (mark.offset - probe.offset), mark.bytes.data(), mark.bytes.size()) ==
                0) {
                return mark.what;
            }
        }
    }
    const std::string ext = ext_at(probes[0].bytes);
    return ext.empty() ? mbr_at(probes[0].bytes) : ext;
}

std::string content_of(const BlockReader& read, uint64_t size_bytes) {
    if (std::string known = recognise(read); !known.empty()) return known;
    const uint64_t end = size_bytes - size_bytes % kMetadataBlockBytes;
    const uint64_t start_end = std::min(end, kBlankAtStart);
    const uint64_t tail = std::max(start_end, end - std::min(end, kBlankAtEnd));
    Block block{};
    for (uint64_t at = 0; at < end; at = at + block.size() == start_end ? tail : at + block.size()) {
        if (!read(at, block)) return "a device that cannot be read at offset " + std::to_string(at);
        if (std::any_of(block.begin(), block.end(), [](uint8_t byte) { return byte != 0; }))
            return "data of an unknown kind (not zero in the block at offset " + std::to_string(at) + ")";
    }
    return {};
}

}  // namespace kagami::mirror
