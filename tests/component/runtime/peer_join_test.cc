#include <catch2/catch.hpp>
#include <set>
#include <thread>

#include "tests/component/runtime/peer_fixture.h"
#include "tests/support/wait_until.h"

using namespace kagami;
using namespace kagami::runtime;
using namespace kagami::testing;

namespace {

const PeerIdentity kNode2 = node_identity(2);

// node1, which signs once for each token.
struct Signer {
    Credential ca = create_ca(kTestCluster).value();
    Member one{ca, node_identity(1)};
    std::set<std::string> used;
    PeerIdentity signs_for = kNode2;  // what a broken signer would do

    Signer() {
        one.callbacks.on_join = [this](const JoinAttempt& attempt, const JoinReplier& reply) {
            if (!used.insert(attempt.token_serial).second) {
                reply(fail(ErrorCode::kRefused, "this join token was used before",
                           "make a new token with `kagami token`"));
                return;
            }
            const auto certificate = sign_csr(ca, attempt.csr_pem, signs_for);
            if (!certificate) {
                reply(tl::unexpected(certificate.error()));
                return;
            }
            reply(JoinAnswer{*certificate, ca.certificate_pem, bytes("bootstrap")});
        };
    }
    JoinToken token(const Validity& validity = valid_for(kTokenLifetime)) const {
        return make_join_token(ca, kNode2, {"127.0.0.1:1", one.address()}, validity).value();
    }
};

std::string csr() {
    return create_csr(create_key().value(), "node2").value();
}

}  // namespace

TEST_CASE("the holder of a token becomes the node it names, and speaks as that node") {
    Signer signer;
    signer.one.start();
    const std::string key = create_key().value();
    const auto answer = join_with_token(decode_join_token(encode_join_token(signer.token()).value()).value(),
                                        create_csr(key, "node2").value());
    if (!answer) FAIL(answer.error().message);
    CHECK(answer->bootstrap == bytes("bootstrap"));
    Member two(answer->ca_pem, {answer->certificate_pem, key});
    two.start();
    two.knows({&signer.one});
    signer.one.knows({&two});
    REQUIRE(wait_until([&] { return two.up(1) && signer.one.up(2); }));
    two.network->send(NodeId{1}, bytes("I am node2"));
    CHECK(wait_until([&] { return signer.one.received_from(2).size() == 1; }));
}

TEST_CASE("a token is good once") {
    Signer signer;
    signer.one.start();
    const JoinToken token = signer.token();
    REQUIRE(join_with_token(token, csr()));
    const auto again = join_with_token(token, csr());
    REQUIRE_FALSE(again);
    CHECK(again.error().code == ErrorCode::kRefused);
    CHECK_THAT(again.error().message, Catch::Contains("used before"));
    CHECK_THAT(again.error().remedy, Catch::Contains("kagami token"));
}

TEST_CASE("an expired token and a token of another CA end in the handshake") {
    Signer signer;
    signer.one.start();
    const auto now = std::chrono::system_clock::now();
    CHECK_FALSE(join_with_token(signer.token({now - std::chrono::hours(2), now - std::chrono::hours(1)}), csr()));
    const Credential stranger = create_ca(kTestCluster).value();
    const JoinToken foreign = make_join_token(stranger, kNode2, {signer.one.address()}).value();
    CHECK_FALSE(join_with_token(foreign, csr()));  // the joiner refuses the server
    JoinToken half = foreign;
    half.ca_pem = signer.ca.certificate_pem;
    CHECK_FALSE(join_with_token(half, csr()));  // the server refuses the joiner
    CHECK(signer.used.empty());
}

TEST_CASE("only the role join may join, and a node's own certificate is not it") {
    Signer signer;
    signer.one.start();
    JoinToken token = signer.token();
    token.credential = issue(signer.ca, node_identity(3)).value();
    const auto refused = join_with_token(token, csr());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kRefused);
    CHECK(signer.used.empty());
    CHECK_FALSE(signer.one.refusals().empty());
}

TEST_CASE("a request that is damaged or far too large is refused without using the token's holder up") {
    Signer signer;
    signer.one.start();
    CHECK_FALSE(join_with_token(signer.token(), "not a request"));
    CHECK_FALSE(join_with_token(signer.token(), std::string(100'000, 'A')));
    CHECK(join_with_token(signer.token(), csr()));
}

TEST_CASE("an answer for another identity than the token's is refused by the joiner") {
    Signer signer;
    signer.signs_for = node_identity(3);
    signer.one.start();
    const auto refused = join_with_token(signer.token(), csr());
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message, Catch::Contains("not for kagami:"));
}

TEST_CASE("a node without the CA key says where to ask") {
    Signer signer;
    signer.one.callbacks.on_join = nullptr;
    signer.one.start();
    const auto refused = join_with_token(signer.token(), csr());
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().remedy, Catch::Contains("CA key"));
}

TEST_CASE("nobody there: the error names the address") {
    Signer signer;
    signer.one.start();
    JoinToken token = signer.token();
    token.addresses = {"127.0.0.1:1"};
    const auto refused = join_with_token(token, csr());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kUnreachable);
    CHECK_THAT(refused.error().message, Catch::Contains("127.0.0.1:1"));
}

TEST_CASE("an answer may come later from another thread, after the caller gave up, and after the network's end") {
    Signer signer;
    std::mutex mutex;
    std::vector<JoinReplier> waiting;
    signer.one.callbacks.on_join = [&](const JoinAttempt&, const JoinReplier& reply) {
        const std::lock_guard lock(mutex);
        waiting.push_back(reply);
    };
    signer.one.start();
    const auto timed_out = join_with_token(signer.token(), csr(), 500ms);
    REQUIRE_FALSE(timed_out);
    CHECK(timed_out.error().code == ErrorCode::kTimedOut);
    REQUIRE(waiting.size() == 1);
    waiting[0](fail("too late"));

    Result<JoinAnswer> answer = fail("nothing yet");
    std::thread caller([&] { answer = join_with_token(signer.token(), csr()); });
    const auto asked = [&](size_t count) {
        const std::lock_guard lock(mutex);
        return waiting.size() == count;
    };
    REQUIRE(wait_until([&] { return asked(2); }));
    waiting[1](fail(ErrorCode::kNoQuorum, "no majority now"));
    caller.join();
    CHECK(answer.error().code == ErrorCode::kNoQuorum);

    std::thread abandoned([&] { answer = join_with_token(signer.token(), csr()); });
    REQUIRE(wait_until([&] { return asked(3); }));
    signer.one.stop();
    abandoned.join();
    waiting[2](fail("after the end"));
    CHECK_FALSE(answer);
}
