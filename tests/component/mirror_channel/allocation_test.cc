// Nothing is allocated for a frame of data, but what OpenSSL takes for a record and gives back at once.
#include <openssl/crypto.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "tests/component/mirror_channel/channel_fixture.h"

namespace {

std::atomic<bool> watching{false};
std::atomic<uint64_t> ours{0};
std::atomic<uint64_t> openssl{0};
std::atomic<size_t> largest{0};
std::atomic<int64_t> balance{0};

void count_openssl(size_t bytes) {
    ++openssl;
    ++balance;
    if (bytes > largest) largest = bytes;
}
void* take(size_t bytes, const char*, int) {
    if (watching) count_openssl(bytes);
    return std::malloc(bytes);
}
void* take_again(void* old, size_t bytes, const char*, int) {
    if (watching) count_openssl(bytes);
    return std::realloc(old, bytes);
}
void give_back(void* memory, const char*, int) {
    if (watching && memory != nullptr) --balance;
    std::free(memory);
}
// Before OpenSSL allocates for the first time.
const bool hooked = CRYPTO_set_mem_functions(take, take_again, give_back) == 1;

}  // namespace

void* operator new(size_t bytes) {
    if (watching) ++ours;
    if (void* const memory = std::malloc(bytes)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
    std::free(memory);
}

using namespace kagami;
using namespace kagami::testing;
using namespace kagami::mirror;

TEST_CASE("data frames in a steady state allocate nothing of ours, and OpenSSL keeps nothing") {
    REQUIRE(hooked);
    Couple couple;
    couple.acceptor.on_frame = [&](Frame& frame) {
        couple.acceptor.buffers.release(frame.payload);
        Frame ack;
        ack.type = FrameType::kAck;
        couple.acceptor.channel->send(std::move(ack), false);
    };
    uint32_t acknowledged = 0;
    couple.dialler.on_frame = [&](Frame&) { ++acknowledged; };
    couple.connect();
    const BufferId data = couple.dialler.buffers.take(kMaxRequestBytes, Use::kClient);
    const auto write = [&](uint32_t length) {
        const uint32_t before = acknowledged;
        Frame frame;
        frame.type = FrameType::kWrite;
        frame.length = length;
        frame.payload = data;
        couple.dialler.channel->send(std::move(frame), false);
        couple.dialler.channel->flush();
        // By hand: the fixture's loop allocates.
        while (acknowledged == before) {
            couple.acceptor.channel->advance(host::boot_now());
            couple.dialler.channel->advance(host::boot_now());
        }
    };
    for (int i = 0; i < 10; ++i) write(kMaxRequestBytes);
    watching = true;
    for (int i = 0; i < 50; ++i) write(kMaxRequestBytes);
    for (int i = 0; i < 500; ++i) write(4096);
    watching = false;
    const uint64_t records = 50 * 65 + 500 + 550;
    std::printf("ours %lu; OpenSSL %lu (%.1f a record), largest %zu bytes, kept %ld\n", ours.load(), openssl.load(),
                static_cast<double>(openssl) / static_cast<double>(records), largest.load(), balance.load());
    CHECK(ours == 0);
    CHECK(balance == 0);
    CHECK(largest <= 128);
    couple.dialler.buffers.release(data);
}
