#include <catch2/catch.hpp>

#include "tests/support/prober/attempt.h"

using namespace kagami::prober;

namespace {
const std::string kGood = "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 6\r\n\r\nnode1\n";
}

TEST_CASE("a good answer names its server in the first line of the body") {
    CHECK(understood(kGood).server == "node1");
    CHECK(understood(kGood + "and more\n").server == "node1");
    CHECK(understood(kGood).error.empty());
}

TEST_CASE("anything else is no good answer, with the reason") {
    const auto refused = [](const std::string& response, const std::string& why) {
        const Outcome outcome = understood(response);
        CHECK(outcome.server.empty());
        CHECK(outcome.error == why);
    };
    refused("", "closed without an answer");
    refused("SSH-2.0-OpenSSH_9.2\r\n", "not an HTTP answer");
    refused("HTTP/1.1", "not an HTTP answer");
    refused("HTTP/1.1 502 Bad Gateway\r\n\r\nx\n", "status 502");
    refused("HTTP/1.1 \"\"\" x\r\n\r\nnode1\n", "no status");
    refused("HTTP/1.1 200 OK\r\nContent-Le", "an incomplete answer");
    refused("HTTP/1.1 200 OK\r\n\r\n", "the body names no server");
    refused("HTTP/1.1 200 OK\r\n\r\nnode1", "the body names no server");
    refused("HTTP/1.1 200 OK\r\n\r\n\"no\"\n", "the body names no server");
    refused("HTTP/1.1 200 OK\r\n\r\n" + std::string(200, 'x') + "\n", "the body names no server");
}
