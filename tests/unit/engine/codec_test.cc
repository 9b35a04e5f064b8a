// The canonical forms of documents, messages and durable states: what goes in comes out, nothing else is read.
#include <catch2/catch.hpp>
#include <random>

#include "cluster-daemon/engine/coder.h"
#include "cluster-daemon/engine/io.h"
#include "common/config/bundle.h"

using namespace kagami;
using namespace kagami::engine;

namespace {

// Random values of every field, from one seed.
class Random {
 public:
    explicit Random(uint64_t seed) : engine_(seed) {}
    uint64_t below(uint64_t n) { return engine_() % n; }
    bool coin() { return below(2) == 1; }
    NodeId node() { return NodeId{static_cast<uint16_t>(below(33))}; }
    Version version() { return {Epoch{engine_()}, below(1000)}; }
    template <size_t N>
    std::array<uint8_t, N> array() {
        std::array<uint8_t, N> a{};
        for (auto& b : a) b = static_cast<uint8_t>(engine_());
        return a;
    }
    Incarnation incarnation() { return {node(), array<16>()}; }
    VoterId voter_id() { return {node(), static_cast<uint16_t>(below(9))}; }
    Nonce nonce() { return Nonce{engine_()}; }
    Duration duration() { return Duration(static_cast<int64_t>(engine_())); }
    Bytes bytes(size_t limit) {
        Bytes b(below(limit + 1));
        for (auto& x : b) x = static_cast<uint8_t>(engine_());
        return b;
    }
    std::string text(size_t limit) {
        std::string s(below(limit + 1), 'a');
        for (char& c : s) c = static_cast<char>('a' + below(26));
        return s;
    }
    template <typename E>
    E choice(E last) {
        return static_cast<E>(below(static_cast<uint64_t>(last) + 1));
    }

 private:
    std::mt19937_64 engine_;
};

std::vector<Voter> voters_of(Random& r) {
    std::vector<Voter> voters;
    for (uint16_t n = 1; n <= r.below(6); ++n)
        voters.push_back(
            {{NodeId{n}, static_cast<uint16_t>(r.below(4))}, static_cast<uint16_t>(r.below(3)), r.nonce(), r.nonce()});
    return voters;
}

Document document_of(Random& r) {
    Document d;
    d.cluster = r.array<16>();
    d.version = r.version();
    d.previous = r.array<32>();
    d.leader = r.incarnation();
    d.voters = voters_of(r);
    d.previous_voters = voters_of(r);
    d.timing = {r.duration(), r.duration(), r.duration(), r.duration()};
    d.config = {r.below(100), r.array<32>(), r.bytes(300)};
    for (uint64_t i = r.below(5); i > 0; --i)
        d.nodes[r.node()] = {
            r.choice(NodeState::kFenced), r.array<16>(), r.coin(), r.coin(), static_cast<uint32_t>(r.below(9)),
            r.choice(Leaving::kReboot), {r.choice(MaintenanceKind::kUnmanaged), static_cast<uint32_t>(r.below(99))},
            static_cast<uint32_t>(r.below(99)), static_cast<uint32_t>(r.below(99))};
    for (uint64_t i = r.below(5); i > 0; --i) {
        GroupEntry& g = d.groups[r.text(31)];
        if (r.coin()) g.owner = r.incarnation();
        g.token = r.version();
        g.goal = r.choice(Goal::kStarted);
        g.target = r.node();
        g.last_owner = r.node();
        g.held = r.coin();
        g.crashed = r.coin();
        g.stop_failed = r.coin();
        for (uint64_t k = r.below(4); k > 0; --k) g.failed_on.insert(r.node());
        g.failovers = static_cast<uint32_t>(r.below(9));
    }
    for (uint64_t i = r.below(5); i > 0; --i) {
        mirror::Record& record = d.mirrors[r.text(31)];
        record.uuid = r.array<16>();
        record.generation = {r.below(9), r.array<16>()};
        for (uint64_t k = r.below(4); k > 0; --k)
            record.replicas[r.node()] = {r.nonce(), r.nonce(), r.choice(mirror::Standing::kSuspect)};
        record.hold = r.choice(mirror::Hold::kBroken);
    }
    if (r.coin()) d.last_standing = LastStanding{r.node(), Epoch{r.below(1U << 30U)}};
    d.cluster_stopped = r.coin();
    d.leader_wish = r.node();
    if (r.coin()) {
        d.pending = PendingChange{{r.below(9), r.array<32>(), r.bytes(99)}, r.text(99), {}, {}, 7, r.coin(), r.coin()};
        d.pending->stops = {r.text(9), r.text(9)};
        d.pending->ran = {r.text(9)};
    }
    if (r.coin()) d.unconfirmed = Unconfirmed{{r.below(9), r.array<32>(), r.bytes(99)}, 60};
    return d;
}

mirror::Report replica_of(Random& r) {
    mirror::Report m;
    m.mirror = r.text(31);
    m.role = r.choice(mirror::Role::kPrimary);
    m.disk = r.choice(mirror::DiskState::kFailed);
    m.mode = r.choice(mirror::Mode::kHalted);
    m.token = r.version();
    m.nonce = r.nonce();
    m.next_nonce = r.nonce();
    m.generation = {r.below(9), r.array<16>()};
    m.size_bytes = r.below(1U << 30U);
    m.connected = r.coin();
    m.resync = r.choice(mirror::Resync::kTarget);
    m.percent = static_cast<uint8_t>(r.below(101));
    m.dirty_bytes = r.below(1U << 30U);
    m.wish = {r.choice(mirror::WishKind::kGiveUp), r.version(), m.generation, {r.below(9), r.array<16>()}, r.node()};
    m.message = r.text(99);
    return m;
}

NodeReport report_of(Random& r) {
    NodeReport report{r.incarnation(), r.below(100), r.version(), r.coin(), r.coin(), r.coin(), {}, {}, {}, 0, 0, 0, {}};
    for (uint64_t i = r.below(4); i > 0; --i) report.mirrors.push_back(replica_of(r));
    for (uint64_t i = r.below(4); i > 0; --i) report.bad_paths.push_back({r.node(), r.text(31), r.coin()});
    for (uint64_t i = r.below(4); i > 0; --i) {
        GroupReport& g = report.groups.emplace_back();
        g = {r.text(31), r.choice(GroupState::kSuspended), r.version(), r.coin(), r.coin(), r.text(500), {}};
        for (uint64_t k = r.below(4); k > 0; --k)
            g.resources.push_back({r.text(31), r.choice(ResourceState::kOfflineFailure), r.text(500)});
        report.monitors.push_back({r.text(31), r.choice(MonitorState::kUnknown), r.text(99), 1, 2});
    }
    return report;
}

Message message_of(Random& r, size_t kind) {
    switch (kind) {
        case 0:
            return Heartbeat{r.incarnation(), r.coin(),    r.coin(),      r.coin(),     Epoch{r.below(99)},
                             r.node(),        r.version(), r.array<32>(), r.voter_id(), r.nonce(),
                             r.nonce(),       7,           r.coin()};
        case 1: return PreVote{Epoch{r.below(99)}, r.incarnation(), r.coin()};
        case 2: return PreVoteReply{Epoch{r.below(99)}, r.coin(), Epoch{r.below(99)}, r.duration()};
        case 3: return Prepare{Epoch{r.below(99)}, r.incarnation(), r.coin()};
        case 4:
            return PrepareReply{Epoch{1},     r.coin(),  Epoch{2},    r.duration(),
                                r.voter_id(), r.nonce(), r.version(), r.bytes(500)};
        case 5: return Accept{r.version(), r.bytes(500), r.array<32>()};
        case 6: return AcceptReply{r.version(), r.coin(), Epoch{r.below(99)}, r.voter_id(), r.nonce()};
        case 7: return Renew{Epoch{r.below(99)}, r.below(1U << 30U), r.array<32>(), r.version()};
        case 8: return RenewAck{Epoch{1}, r.below(1U << 30U), r.coin(), Epoch{2}, r.version(), r.voter_id(), r.nonce()};
        case 9: return LeaseRequest{r.below(1U << 30U), r.incarnation(), r.array<32>()};
        case 10: return LeaseGrant{r.below(1U << 30U), Epoch{r.below(99)}, r.duration(), r.version()};
        case 11: return HandOver{Epoch{r.below(99)}, r.node()};
        case 12: return Release{Epoch{r.below(99)}, r.node()};
        case 13: return FetchDocument{r.version()};
        case 14: return DocumentIs{r.bytes(500)};
        case 15: return StartGroup{r.text(31), r.version(), r.coin(), r.coin(), r.node()};
        case 16: return StopGroup{r.text(31), r.version(), r.choice(StopReason::kResourceRestart), 2};
        case 17: return report_of(r);
        case 18: {
            OperatorRequest q;
            q.id = r.below(99);
            q.verb = r.choice(OperatorVerb::kMirrorRejoin);
            q.subject = r.text(31);
            q.node = r.node();
            q.bundle = r.bytes(300);
            q.expected = r.array<32>();
            q.person = r.text(40);
            q.reboot = r.coin();
            q.halt = r.coin();
            q.force = r.coin();
            q.alone = r.coin();
            return q;
        }
        default: return OperatorReply{r.below(99), r.choice(OperatorOutcome::kFailed), 3, r.text(500), r.text(500)};
    }
}

DurableState durable_of(Random& r) {
    DurableState s{r.voter_id(), r.nonce(),     r.nonce(), Epoch{r.below(99)}, r.version(), r.bytes(500),
                   r.duration(), r.array<16>(), {}};
    for (uint64_t i = r.below(4); i > 0; --i)
        s.groups[r.text(31)] = {r.version(), r.version(), r.choice(RunMark::kStopping)};
    return s;
}

// Every prefix is refused; a flipped bit is refused or reads as another value that has exactly these bytes.
template <typename Decode>
void damage(const Bytes& bytes, Decode&& decode, Random& r) {
    for (size_t length = 0; length < bytes.size(); ++length)
        REQUIRE_FALSE(decode(std::span<const uint8_t>(bytes).first(length)).has_value());
    Bytes longer = bytes;
    longer.push_back(0);
    REQUIRE_FALSE(decode(std::span<const uint8_t>(longer)).has_value());
    for (int i = 0; i < 200 && !bytes.empty(); ++i) {
        Bytes flipped = bytes;
        flipped[r.below(flipped.size())] ^= static_cast<uint8_t>(1U << r.below(8));
        const auto read = decode(std::span<const uint8_t>(flipped));
        if (read) REQUIRE(encode(*read) == flipped);
    }
}

}  // namespace

TEST_CASE("a document reads back, its form is canonical and damage is found") {
    Random r(1);
    for (int i = 0; i < 30; ++i) {
        const Document document = document_of(r);
        const Bytes bytes = encode(document);
        const auto read = decode_document(bytes);
        REQUIRE(read.has_value());
        CHECK(*read == document);
        CHECK(hash_of(*read) == hash_of(document));
        damage(
            bytes, [](std::span<const uint8_t> b) { return decode_document(b); }, r);
    }
}

TEST_CASE("every kind of message reads back and damage is found") {
    Random r(2);
    for (size_t kind = 0; kind < std::variant_size_v<Message>; ++kind) {
        for (int i = 0; i < 8; ++i) {
            const Message message = message_of(r, kind);
            REQUIRE(message.index() == kind);
            const Bytes bytes = encode(message);
            const auto read = decode_message(bytes);
            REQUIRE(read.has_value());
            CHECK(*read == message);
            damage(
                bytes, [](std::span<const uint8_t> b) { return decode_message(b); }, r);
        }
    }
}

TEST_CASE("datagrams fit into one packet and have names") {
    Random r(3);
    int datagrams = 0;
    for (size_t kind = 0; kind < std::variant_size_v<Message>; ++kind) {
        const Message message = message_of(r, kind);
        CHECK(std::string(name_of(message)).size() > 4);
        if (!is_datagram(message)) continue;
        ++datagrams;
        CHECK(encode(message).size() <= kMaxDatagramBytes);
    }
    CHECK(datagrams == 5);
    CHECK(name_of(Message(Renew{})) == std::string("Renew"));
}

TEST_CASE("a durable state reads back and damage is found") {
    Random r(4);
    for (int i = 0; i < 20; ++i) {
        const DurableState state = durable_of(r);
        const Bytes bytes = encode(state);
        const auto read = decode_durable_state(bytes);
        REQUIRE(read.has_value());
        CHECK(*read == state);
        damage(
            bytes, [](std::span<const uint8_t> b) { return decode_durable_state(b); }, r);
    }
}

TEST_CASE("counts, sizes and enums beyond their limits are refused before anything is allocated") {
    CHECK_FALSE(decode_message(Bytes(kMaxMessageBytes + 1)).has_value());
    CHECK_FALSE(decode_document(Bytes(kMaxDocumentBytes + 1)).has_value());
    CHECK_FALSE(decode_message({}).has_value());
    CHECK_FALSE(decode_message(Bytes{static_cast<uint8_t>(std::variant_size_v<Message>)}).has_value());

    Bytes huge = encode(Message(DocumentIs{Bytes(8)}));
    std::fill(huge.begin() + 1, huge.begin() + 5, uint8_t{0xff});
    CHECK_FALSE(decode_message(huge).has_value());

    StartGroup long_name;
    long_name.group = std::string(kMaxNameBytes + 1, 'x');
    CHECK_FALSE(decode_message(encode(Message(long_name))).has_value());

    StopGroup odd_reason;
    odd_reason.reason = static_cast<StopReason>(99);
    CHECK_FALSE(decode_message(encode(Message(odd_reason))).has_value());

    NodeReport crowded;
    crowded.groups.resize(kMaxGroups + 1);
    CHECK_FALSE(decode_message(encode(Message(crowded))).has_value());

    NodeReport mirrored;
    mirrored.mirrors.resize(kMaxMirrors + 1);
    CHECK_FALSE(decode_message(encode(Message(mirrored))).has_value());
    mirrored.mirrors.resize(1);
    CHECK(decode_message(encode(Message(mirrored))).has_value());
    mirrored.mirrors[0].wish.kind = static_cast<mirror::WishKind>(6);
    CHECK_FALSE(decode_message(encode(Message(mirrored))).has_value());

    Random r(6);
    Document document = document_of(r);
    document.mirrors.clear();
    document.mirrors["md1"].replicas[NodeId{1}].standing = static_cast<mirror::Standing>(4);
    CHECK_FALSE(decode_document(encode(document)).has_value());
    document.mirrors["md1"].replicas[NodeId{1}].standing = mirror::Standing::kSuspect;
    CHECK(decode_document(encode(document)).has_value());
    document.mirrors["md1"].hold = static_cast<mirror::Hold>(3);
    CHECK_FALSE(decode_document(encode(document)).has_value());
    document.mirrors.clear();
    for (uint32_t i = 0; i <= kMaxMirrors; ++i) document.mirrors["md" + std::to_string(i)] = {};
    CHECK_FALSE(decode_document(encode(document)).has_value());

    OperatorRequest fat;
    fat.bundle.resize(config::kMaxPackedBytes + 1);
    CHECK_FALSE(decode_message(encode(Message(fat))).has_value());
}

TEST_CASE("voters out of order are not a document") {
    Random r(5);
    Document document = document_of(r);
    document.voters = {{{NodeId{2}, 0}, 1, {}, {}}, {{NodeId{1}, 0}, 1, {}, {}}};
    CHECK_FALSE(decode_document(encode(document)).has_value());
    document.voters = {{{NodeId{1}, 0}, 1, {}, {}}, {{NodeId{1}, 1}, 1, {}, {}}};  // one node, two voters
    CHECK_FALSE(decode_document(encode(document)).has_value());
}

TEST_CASE("a sentence that is too long is cut between characters, not refused") {
    OperatorReply reply;
    reply.remedy = std::string(kMaxSentenceBytes - 1, 'x') + "\u00fc";
    const auto read = decode_message(encode(Message(reply)));
    REQUIRE(read.has_value());
    CHECK(std::get<OperatorReply>(*read).remedy == std::string(kMaxSentenceBytes - 1, 'x'));
}
