#include "common/config/bundle.h"

#include <catch2/catch.hpp>

using namespace kagami;
using namespace kagami::config;

namespace {
const Bundle kBundle{"[cluster]\nname = \"demo\"\n",
                     {{"web/nginx/start.sh", "#!/bin/sh\n"}, {"web/nginx/stop.sh", std::string("\0\xff", 2)}}};
}

TEST_CASE("a bundle survives packing, and the same bundle gives the same bytes") {
    const auto packed = pack(kBundle);
    REQUIRE(packed);
    CHECK(pack(kBundle) == packed);
    CHECK(unpack(*packed) == kBundle);
    CHECK(unpack(*pack({})) == Bundle{});
}

TEST_CASE("script names that could leave their directory are refused, packed or not") {
    for (const char* name :
         {"start.sh", "web/start.sh", "../x/y", "web/../y", "web/nginx/..", "web/nginx/.hidden", "/web/nginx/start.sh",
          "web/nginx/a/b", "web//start.sh", "web/nginx/", "web/ng inx/s", "web/nginx/a\nb"}) {
        INFO(name);
        CHECK_FALSE(valid_script_path(name));
        CHECK_FALSE(pack({"", {{name, "x"}}}));
    }
    CHECK(valid_script_path("web/nginx/start.sh"));
}

TEST_CASE(
    "every truncation and every flipped byte of a packed bundle is refused or read as some bundle, never a crash") {
    const Bytes packed = *pack(kBundle);
    for (size_t length = 0; length < packed.size(); ++length) CHECK_FALSE(unpack(std::span(packed).first(length)));
    for (size_t at = 0; at < packed.size(); ++at) {
        Bytes flipped = packed;
        flipped[at] ^= 0x41U;
        static_cast<void>(unpack(flipped));
    }
}

TEST_CASE("a bundle beyond the limits is refused with the remedy") {
    const auto large = pack({std::string(kMaxBundleBytes + 1, 'x'), {}});
    REQUIRE_FALSE(large);
    CHECK(large.error().message == "the configuration with its scripts is larger than 1 MiB");
    std::string noise;  // does not compress
    uint64_t state = 1;
    while (noise.size() < kMaxPackedBytes + 20000) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        noise += static_cast<char>(state >> 56U);
    }
    const auto packed = pack({noise, {}});
    REQUIRE_FALSE(packed);
    CHECK(packed.error().message == "the configuration with its scripts is larger than 192 KiB when compressed");
    CHECK_FALSE(packed.error().remedy.empty());
    CHECK_FALSE(unpack(Bytes(kMaxPackedBytes + 1)));
}
