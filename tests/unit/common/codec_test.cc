#include "common/codec.h"

#include <catch2/catch.hpp>

using namespace kagami;

TEST_CASE("what a writer wrote a reader reads back") {
    ByteWriter w;
    w.u8(7);
    w.u16(0x1234);
    w.u32(0xdeadbeef);
    w.u64(0x0123456789abcdefULL);
    w.i64(-5);
    w.boolean(true);
    w.string("mirror");
    const Bytes out = w.take();
    CHECK(out[1] == 0x34);  // little endian
    ByteReader r(out);
    CHECK(r.u8() == 7);
    CHECK(r.u16() == 0x1234);
    CHECK(r.u32() == 0xdeadbeef);
    CHECK(r.u64() == 0x0123456789abcdefULL);
    CHECK(r.i64() == -5);
    CHECK(r.boolean());
    CHECK(r.string(100) == "mirror");
    CHECK(r.finished());
}

TEST_CASE("a short, oversized or malformed field fails the reader and yields zeros") {
    const Bytes huge_length = {0xff, 0xff, 0xff, 0xff, 1, 2, 3};
    ByteReader r(huge_length);
    CHECK(r.string(1000).empty());
    CHECK_FALSE(r.ok());
    CHECK(r.u64() == 0);

    ByteReader truncated(std::span<const uint8_t>(huge_length).first(3));
    CHECK(truncated.u32() == 0);
    CHECK_FALSE(truncated.ok());

    const Bytes two = {2};
    ByteReader not_boolean(two);
    not_boolean.boolean();
    CHECK_FALSE(not_boolean.ok());

    ByteReader left_over(huge_length);
    left_over.u32();
    CHECK(left_over.ok());
    CHECK_FALSE(left_over.finished());
}
