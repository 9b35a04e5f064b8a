#include "mirror-driver/engine/bitmap.h"

#include <catch2/catch.hpp>
#include <random>
#include <set>

using namespace kagami::mirror;

namespace {

constexpr uint64_t kPageBytes = uint64_t{kBitsPerPage} * kBlockBytes;

Extent blocks(uint64_t first, uint64_t count) {
    return {first * kBlockBytes, count * kBlockBytes};
}

std::vector<uint32_t> taken(Bitmap& bitmap, size_t most = 100) {
    std::vector<uint32_t> pages(most);
    pages.resize(bitmap.take_changed(pages));
    return pages;
}

// The same thing, a block at a time.
struct Naive {
    explicit Naive(uint64_t count) : set(count) {}
    std::vector<bool> set;
    std::set<uint32_t> changed;

    void put(uint64_t first, uint64_t count, bool value) {
        for (uint64_t i = first; i < std::min<uint64_t>(first + count, set.size()); ++i) {
            if (set[i] != value) changed.insert(static_cast<uint32_t>(i / kBitsPerPage));
            set[i] = value;
        }
    }
    uint64_t in(uint64_t first, uint64_t count) const {
        uint64_t found = 0;
        for (uint64_t i = first; i < std::min<uint64_t>(first + count, set.size()); ++i) found += set[i] ? 1 : 0;
        return found;
    }
    std::optional<Extent> next(uint64_t from, uint64_t most) const {
        while (from < set.size() && !set[from]) ++from;
        if (from >= set.size()) return std::nullopt;
        uint64_t end = from;
        while (end < set.size() && end - from < most && set[end]) ++end;
        return blocks(from, end - from);
    }
};

}  // namespace

TEST_CASE("a new bitmap is clean and unchanged; an empty one has no pages") {
    Bitmap bitmap(kPageBytes + kBlockBytes);
    CHECK(bitmap.count() == 0);
    CHECK(bitmap.pages() == 2);
    CHECK(bitmap.page(0).size() == kBitsPerPage / 64);
    CHECK(bitmap.page(1).size() == 1);
    CHECK_FALSE(bitmap.next(0, kBlockBytes));
    CHECK(taken(bitmap).empty());
    Bitmap none(0);
    none.set_all();
    CHECK(none.pages() == 0);
    CHECK_FALSE(none.next(0, kBlockBytes));
    CHECK_FALSE(none.any(blocks(0, 1)));
}

TEST_CASE("setting rounds outwards, clearing inwards, and both stop at the end of the disk") {
    Bitmap bitmap(kBlockBytes * 10);
    bitmap.set({kBlockBytes - 1, 2});
    CHECK(bitmap.count() == 2);
    bitmap.clear({1, 2 * kBlockBytes - 2});
    CHECK(bitmap.count() == 2);
    bitmap.clear({0, 2 * kBlockBytes - 1});
    CHECK(bitmap.count() == 1);
    bitmap.set({kBlockBytes * 9, ~uint64_t{0}});
    CHECK(bitmap.count() == 2);
    bitmap.set({kBlockBytes * 10, kBlockBytes});
    bitmap.set({0, 0});
    CHECK(bitmap.count() == 2);
    bitmap.clear({0, ~uint64_t{0}});
    CHECK(bitmap.count() == 0);
}

TEST_CASE("only a page whose bits change is changed, and it counts as unchanged once taken") {
    Bitmap bitmap(3 * kPageBytes);
    bitmap.set(blocks(kBitsPerPage - 1, 2));
    CHECK(bitmap.changed(blocks(0, 1)));
    CHECK_FALSE(bitmap.changed(blocks(2 * kBitsPerPage, 1)));
    CHECK(taken(bitmap, 1) == std::vector<uint32_t>{0});
    CHECK(taken(bitmap) == std::vector<uint32_t>{1});
    bitmap.set(blocks(kBitsPerPage, 1));
    bitmap.clear(blocks(5, 7));
    CHECK(taken(bitmap).empty());
    bitmap.clear(blocks(kBitsPerPage, 1));
    CHECK(taken(bitmap) == std::vector<uint32_t>{1});
}

TEST_CASE("a page as read is unchanged and loses the bits behind the end; an unreadable one is dirty and changed") {
    Bitmap bitmap(kPageBytes + 3 * kBlockBytes);
    const std::vector<uint64_t> ones(kBitsPerPage / 64, ~uint64_t{0});
    bitmap.load_page(1, ones);
    CHECK(bitmap.count() == 3);
    bitmap.load_page(0, ones);
    CHECK(bitmap.count() == kBitsPerPage + 3);
    CHECK(taken(bitmap).empty());
    bitmap.set_page(1);
    CHECK(bitmap.count() == kBitsPerPage + 3);
    CHECK(taken(bitmap) == std::vector<uint32_t>{1});
    bitmap.load_page(0, std::vector<uint64_t>(kBitsPerPage / 64));
    CHECK(bitmap.count() == 3);
}

TEST_CASE("a merge is the union") {
    Bitmap one(2 * kPageBytes), other(2 * kPageBytes);
    one.set(blocks(0, 4));
    other.set(blocks(2, 4));
    other.set(blocks(kBitsPerPage, 1));
    taken(one);
    one.merge(other);
    CHECK(one.count() == 7);
    CHECK(taken(one) == std::vector<uint32_t>{0, 1});
    one.merge(other);
    CHECK(taken(one).empty());
}

TEST_CASE("a bitmap does what a plain list of blocks does") {
    std::mt19937 random(20261122);
    const auto below = [&](uint64_t bound) { return std::uniform_int_distribution<uint64_t>(0, bound - 1)(random); };
    for (const uint64_t count :
         {uint64_t{1}, uint64_t{63}, uint64_t{64}, uint64_t{700}, uint64_t{2} * kBitsPerPage + 77}) {
        Bitmap bitmap(count * kBlockBytes);
        Naive naive(count);
        for (int round = 0; round < 1500; ++round) {
            const uint64_t first = below(count);
            const uint64_t length = below(20) == 0 ? below(count) + 1 : below(130) + 1;
            const Extent extent = blocks(first, length);
            if (below(2) == 0) {
                bitmap.set(extent);
                naive.put(first, length, true);
            } else {
                bitmap.clear(extent);
                naive.put(first, length, false);
            }
            const uint64_t from = below(count), most = below(200) + 1, there = naive.in(from, most);
            REQUIRE(bitmap.any(blocks(from, most)) == (there > 0));
            REQUIRE(bitmap.all(blocks(from, most)) == (there == std::min(most, count - from)));
            REQUIRE(bitmap.next(from * kBlockBytes, most * kBlockBytes) == naive.next(from, most));
            if (round % 100 == 0) {
                REQUIRE(bitmap.count() == naive.in(0, count));
                REQUIRE(taken(bitmap) == std::vector<uint32_t>(naive.changed.begin(), naive.changed.end()));
                naive.changed.clear();
            }
        }
    }
}
