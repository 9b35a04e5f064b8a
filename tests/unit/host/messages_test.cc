// The script helper's messages.
#include "cluster-daemon/script-helper/messages.h"

#include <catch2/catch.hpp>

using namespace kagami;
using namespace kagami::script_helper;

namespace {

Request full_request() {
    Request request{Verb::kRun, {}, Instant(123456789ns)};
    request.script = {"web",       "nginx", {"/bin/x", "-a", ""}, {{"CLP_EVENT", "START"}, {"EMPTY", ""}},
                      "web.nginx", true,    host::Mark::kInactive};
    return request;
}

Reply full_reply() {
    Reply reply;
    reply.error = Error{ErrorCode::kTimedOut, "what", "remedy"};
    reply.result = {-1, 9, true, "the last line"};
    reply.processes = {4711, 1};
    reply.started = {true, 4711, true};
    reply.list = {{7, "web", "nginx", "/bin/x", 4711, true, false}};
    return reply;
}

}  // namespace

TEST_CASE("requests and replies come through unchanged") {
    const auto request = decode_request(*encode(full_request()));
    REQUIRE(request);
    CHECK(encode(*request) == encode(full_request()));
    CHECK(request->script.environment.at("CLP_EVENT") == "START");
    CHECK(request->script.argv.size() == 3);
    CHECK(request->script.background);
    CHECK(request->script.mark == host::Mark::kInactive);
    CHECK(request->deadline == full_request().deadline);
    const auto reply = decode_reply(encode(full_reply()));
    REQUIRE(reply);
    CHECK(encode(*reply) == encode(full_reply()));
    CHECK(reply->error == full_reply().error);
    CHECK(reply->result.exit_code == -1);
    CHECK(reply->processes == full_reply().processes);
    CHECK(reply->started.main == 4711);
    CHECK(reply->list.front().program == "/bin/x");
}

TEST_CASE("a packet that is cut, has more, another version or a value that does not exist is refused") {
    const Bytes good = *encode(full_request());
    for (size_t length_bytes = 0; length_bytes < good.size(); ++length_bytes) {
        CHECK_FALSE(decode_request(std::span(good).first(length_bytes)));
    }
    Bytes longer = good;
    longer.push_back(0);
    CHECK_FALSE(decode_request(longer));
    for (const uint8_t verb : {uint8_t{0}, uint8_t{7}, uint8_t{255}}) {
        Bytes bad = good;
        bad[1] = verb;
        CHECK_FALSE(decode_request(bad));
    }
    Bytes version = good;
    version[0] = 2;
    CHECK_FALSE(decode_request(version));
    Bytes mark = good;
    mark.back() = 3;
    CHECK_FALSE(decode_request(mark));
    const Bytes reply = encode(full_reply());
    for (size_t length_bytes = 0; length_bytes < reply.size(); ++length_bytes) {
        CHECK_FALSE(decode_reply(std::span(reply).first(length_bytes)));
    }
}

TEST_CASE("lengths that do not fit are refused before anything is allocated") {
    const Bytes good = *encode(full_request());
    for (size_t at = 10; at + 4 <= good.size(); ++at) {
        Bytes bad = good;
        for (size_t i = 0; i < 4; ++i) bad[at + i] = 0xff;
        (void)decode_request(bad);  // the sanitizers watch
    }
    Request request = full_request();
    request.script.environment["BIG"] = std::string(kMaxTextBytes + 1, 'x');
    CHECK_FALSE(encode(request));
    request = full_request();
    for (int i = 0; i < 20; ++i) request.script.environment["V" + std::to_string(i)] = std::string(kMaxTextBytes, 'x');
    const auto refused = encode(request);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("web.nginx") != std::string::npos);
}

TEST_CASE("a reply of any size fits a packet") {
    Reply reply;
    reply.processes = std::vector<int>(100000, 1);
    CHECK(encode(reply).size() <= kMaxMessageBytes);
    CHECK(decode_reply(encode(reply))->processes.size() == kMaxProcesses);
    reply = {};
    reply.list.resize(1000, {1, std::string(31, 'g'), std::string(31, 'r'), std::string(5000, 'p'), 1, true, true});
    reply.error = Error{ErrorCode::kFailed, std::string(9000, 'm'), std::string(9000, 'r')};
    CHECK(encode(reply).size() <= kMaxMessageBytes);
    CHECK(decode_reply(encode(reply)));
}
