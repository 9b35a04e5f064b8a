#include "common/host/ip_address.h"

#include <catch2/catch.hpp>

using namespace kagami::host;
using Catch::Matchers::Contains;

TEST_CASE("floating addresses become canonical") {
    CHECK(parse_floating_address("10.77.1.100/24").value() == Address{"10.77.1.100", 24, ""});
    CHECK(parse_floating_address("FD00:0:0::0100/64").value() == Address{"fd00::100", 64, ""});
    CHECK(parse_floating_address("192.0.2.0/31").value().prefix_bits == 31);
    CHECK(parse_floating_address("192.0.2.255/32").value().prefix_bits == 32);
    CHECK(parse_floating_address("fe80::7/64").value().text == "fe80::7");
}

TEST_CASE("what no host can bear is refused, saying why") {
    const auto why = [](const char* text) {
        const auto parsed = parse_floating_address(text);
        return parsed ? std::string("accepted") : parsed.error().message;
    };
    CHECK_THAT(why(""), Contains("is not an IPv4 or IPv6 address"));
    CHECK_THAT(why("10.77.1.100"), Contains("has no prefix length"));
    CHECK_THAT(why("10.77.1.100/"), Contains("prefix length that is not possible"));
    CHECK_THAT(why("10.77.1.100/0"), Contains("prefix length that is not possible"));
    CHECK_THAT(why("10.77.1.100/33"), Contains("prefix length that is not possible"));
    CHECK_THAT(why("10.77.1.100/2x"), Contains("prefix length that is not possible"));
    CHECK_THAT(why("fd00::1/129"), Contains("prefix length that is not possible"));
    CHECK_THAT(why("10.77.1/24"), Contains("is not an IPv4 or IPv6 address"));
    CHECK_THAT(why("10.77.1.256/24"), Contains("is not an IPv4 or IPv6 address"));
    CHECK_THAT(why(" 10.77.1.1/24"), Contains("is not an IPv4 or IPv6 address"));
    CHECK_THAT(why("fe80::1%eth0/64"), Contains("is not an IPv4 or IPv6 address"));
    CHECK_THAT(why("10.77.1.0/24"), Contains("is the address of its network"));
    CHECK_THAT(why("10.77.1.255/24"), Contains("is the broadcast address"));
    CHECK_THAT(why("127.0.0.2/8"), Contains("loopback"));
    CHECK_THAT(why("::1/128"), Contains("loopback"));
    CHECK_THAT(why("224.0.0.1/24"), Contains("multicast"));
    CHECK_THAT(why("ff02::1/64"), Contains("multicast"));
    CHECK_THAT(why("0.0.0.0/24"), Contains("unspecified"));
    CHECK_THAT(why("::/64"), Contains("unspecified"));
}

TEST_CASE("subnets compare the bits of the prefix") {
    const auto same = [](const char* a, const char* b, int bits) {
        return same_subnet(*parse_ip(a), *parse_ip(b), bits);
    };
    CHECK(same("10.77.1.1", "10.77.1.254", 24));
    CHECK_FALSE(same("10.77.1.1", "10.77.2.1", 24));
    CHECK(same("10.77.1.1", "10.77.2.1", 22));
    CHECK_FALSE(same("10.77.1.1", "10.77.4.1", 22));
    CHECK(same("10.77.1.1", "10.77.1.1", 32));
    CHECK_FALSE(same("10.77.1.1", "10.77.1.0", 32));
    CHECK(same("fd00::1", "fd00::ffff", 64));
    CHECK_FALSE(same("fd00::1", "fd01::1", 64));
    CHECK_FALSE(same("10.77.1.1", "fd00::1", 1));
    CHECK(link_local(*parse_ip("febf::1")));
    CHECK_FALSE(link_local(*parse_ip("fec0::1")));
}
