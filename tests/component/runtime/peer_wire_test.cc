// A peer with a good certificate and bad manners: what our own client would never send.
#include <grpcpp/create_channel.h>

#include <catch2/catch.hpp>

#include "cluster-daemon/runtime/peer_credentials.h"
#include "proto/peer.grpc.pb.h"
#include "tests/component/runtime/peer_fixture.h"
#include "tests/support/wait_until.h"

using namespace kagami;
using namespace kagami::runtime;
using namespace kagami::testing;

namespace {

struct RudePeer {
    Credential ca = create_ca(kTestCluster).value();
    Member one{ca, node_identity(1)};
    std::unique_ptr<peer::Peer::Stub> stub;

    RudePeer() {
        one.start();
        one.network->set_peers({{NodeId{2}, "node2", {}}});
        const auto anybody = [](const PeerIdentity&) { return Status{}; };
        stub = peer::Peer::NewStub(grpc::CreateChannel(
            one.address(), client_credentials(ca.certificate_pem, issue(ca, node_identity(2)).value(), anybody)));
    }
};

using Stream = std::unique_ptr<grpc::ClientReaderWriter<peer::Frame, peer::Frame>>;

void set_deadline(grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
}

bool write(const Stream& stream, size_t length_bytes) {
    peer::Frame frame;
    frame.set_message(std::string(length_bytes, 'x'));
    return stream->Write(frame);
}

grpc::StatusCode end_of(const Stream& stream) {
    peer::Frame never;
    CHECK_FALSE(stream->Read(&never));
    return stream->Finish().error_code();
}

}  // namespace

TEST_CASE("a frame above the limit ends the stream and is not delivered, and the next stream works") {
    RudePeer peer;
    for (const size_t length_bytes :
         {kPeerMessageLimitBytes + 1, kPeerMessageLimitBytes + 100, 3 * kPeerMessageLimitBytes}) {
        grpc::ClientContext context;
        set_deadline(context);
        const Stream stream = peer.stub->Deliver(&context);
        write(stream, length_bytes);
        CHECK(end_of(stream) == grpc::StatusCode::RESOURCE_EXHAUSTED);
    }
    CHECK(peer.one.received_from(2).empty());
    grpc::ClientContext context;
    set_deadline(context);
    const Stream stream = peer.stub->Deliver(&context);
    CHECK(write(stream, 5));
    CHECK(wait_until([&] { return peer.one.received_from(2) == std::vector<std::string>{"xxxxx"}; }));
}

TEST_CASE("of two streams of one peer the newer is read and the older is ended") {
    RudePeer peer;
    grpc::ClientContext old_context;
    grpc::ClientContext new_context;
    set_deadline(old_context);
    set_deadline(new_context);
    const Stream old_stream = peer.stub->Deliver(&old_context);
    REQUIRE(write(old_stream, 1));
    REQUIRE(wait_until([&] { return peer.one.received_from(2).size() == 1; }));
    const Stream new_stream = peer.stub->Deliver(&new_context);
    CHECK(end_of(old_stream) == grpc::StatusCode::ABORTED);
    CHECK(write(new_stream, 2));
    CHECK(wait_until([&] { return peer.one.received_from(2) == std::vector<std::string>{"x", "xx"}; }));
}

TEST_CASE("a node's certificate may not join") {
    RudePeer peer;
    grpc::ClientContext context;
    set_deadline(context);
    peer::JoinReply reply;
    CHECK(peer.stub->Join(&context, peer::JoinRequest(), &reply).error_code() == grpc::StatusCode::PERMISSION_DENIED);
}
