#include "mirror-driver/io/buffers.h"

#include <catch2/catch.hpp>
#include <cstdint>

using namespace kagami;
using namespace kagami::mirror;

namespace {

std::vector<BufferId> take_all(Buffers& buffers, uint32_t length, Use use) {
    std::vector<BufferId> taken;
    for (BufferId id = buffers.take(length, use); id != kNoBuffer; id = buffers.take(length, use)) taken.push_back(id);
    return taken;
}

}  // namespace

TEST_CASE("buffers are aligned, distinct and as large as asked for") {
    auto buffers = Buffers::make(8, 4);
    REQUIRE(buffers);
    for (const uint32_t length : {1U, Buffers::kSmallBytes, Buffers::kSmallBytes + 1, kMaxRequestBytes}) {
        const BufferId id = buffers->take(length, Use::kPeer);
        REQUIRE(id != kNoBuffer);
        const auto bytes = buffers->bytes(id);
        CHECK(bytes.size() >= length);
        CHECK(reinterpret_cast<uintptr_t>(bytes.data()) % 4096 == 0);
        CHECK(bytes.data() >= buffers->memory().data());
        CHECK(bytes.data() + bytes.size() <= buffers->memory().data() + buffers->memory().size());
    }
    CHECK(buffers->take(kMaxRequestBytes + 1, Use::kPeer) == kNoBuffer);
    CHECK_FALSE(buffers->available(kMaxRequestBytes + 1, Use::kPeer));
}

TEST_CASE("clients leave the shares of the peer and of a resync") {
    auto buffers = Buffers::make(16, 8);
    REQUIRE(buffers);
    const auto clients = take_all(*buffers, kMaxRequestBytes, Use::kClient);
    CHECK(clients.size() == 8 - 2 - 1);
    CHECK_FALSE(buffers->available(kMaxRequestBytes, Use::kClient));
    CHECK(buffers->available(kMaxRequestBytes, Use::kPeer));
    CHECK(take_all(*buffers, kMaxRequestBytes, Use::kPeer).size() == 2);
    CHECK(take_all(*buffers, kMaxRequestBytes, Use::kResync).size() == 1);
    for (const auto id : clients) buffers->release(id);
    CHECK(take_all(*buffers, kMaxRequestBytes, Use::kClient).size() == 5);
}

TEST_CASE("a resync takes half at most, whatever is free") {
    auto buffers = Buffers::make(16, 8);
    REQUIRE(buffers);
    CHECK(take_all(*buffers, kMaxRequestBytes, Use::kResync).size() == 4);
    CHECK(take_all(*buffers, 4096, Use::kResync).size() == 8);
}

TEST_CASE("small requests go on in large buffers, and everything comes back") {
    auto buffers = Buffers::make(4, 4);
    REQUIRE(buffers);
    for (int round = 0; round < 3; ++round) {
        auto taken = take_all(*buffers, 4096, Use::kClient);
        CHECK(taken.size() == 2 + 2);
        for (const auto id : taken) buffers->release(id);
    }
    Buffers moved = std::move(*buffers);
    CHECK(moved.take(4096, Use::kClient) != kNoBuffer);
}
