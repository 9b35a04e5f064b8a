// The words between kagamid and kagami-mirrord: what is written reads as the same, and nothing else reads at all.
#include "mirror-driver/link/messages.h"

#include <catch2/catch.hpp>
#include <random>

using namespace kagami;
using namespace kagami::mirror_link;

namespace {

mirror::Report sample_report() {
    mirror::Report report;
    report.mirror = "md1";
    report.role = mirror::Role::kPrimary;
    report.disk = mirror::DiskState::kConsistent;
    report.mode = mirror::Mode::kSyncing;
    report.token = {Epoch::make(5, NodeId{1}), 12};
    report.nonce = Nonce{77};
    report.next_nonce = Nonce{78};
    report.generation = {3, Uuid{9, 8, 7}};
    report.size_bytes = uint64_t{1} << 34U;
    report.connected = true;
    report.resync = mirror::Resync::kSource;
    report.percent = 42;
    report.dirty_bytes = 3 << 20;
    report.wish = {mirror::WishKind::kSolo, report.token, report.generation, {4, Uuid{1}}, NodeId{2}};
    report.message = "node2 is away";
    return report;
}

MirrorConfig sample_mirror(const std::string& name) {
    return {name,          "web",   NodeId{2}, "node2", "/dev/vg/data", "/dev/vg/meta",
            uint16_t{29011}, {{"lan", "10.77.1.11", "10.77.1.12"}, {"repl", "fd00::1", "fd00::2"}}, false};
}

std::vector<Message> samples() {
    mirror::Authority authority;
    authority.mirror = "md1";
    authority.record.uuid = Uuid{1, 2, 3};
    authority.record.generation = {3, Uuid{9}};
    authority.record.replicas[NodeId{1}] = {Nonce{5}, Nonce{6}, mirror::Standing::kCurrent};
    authority.record.replicas[NodeId{2}] = {Nonce{7}, Nonce{}, mirror::Standing::kStale};
    authority.record.hold = mirror::Hold::kCancelled;
    authority.version = {Epoch::make(5, NodeId{2}), 90};
    authority.member = authority.fresh = true;
    authority.token = {Epoch::make(5, NodeId{2}), 80};
    authority.detect = 800ms;
    MirrorStatus status;
    status.report = sample_report();
    status.device = "/dev/loop3";
    status.front_end = "fuse-loop";
    status.network = "lan";
    status.remaining = -1ns;
    status.warnings = {"memory is not locked", "no TLS offload"};
    return {Welcome{Uuid{1}, NodeId{1}, BootId{2}, "/etc/kagami/pki"},
            Configure{{sample_mirror("md1"), sample_mirror("md2")}},
            authority,
            Ask{7, Verb::kPromote, "md1"},
            sample_report(),
            Answer{7, false, true, "not current", "wait for the resync", status}};
}

}  // namespace

TEST_CASE("every message reads as what was written, and only as a whole") {
    for (const Message& message : samples()) {
        const Bytes packet = encode(message);
        const auto read = decode_message(packet);
        REQUIRE(read);
        CHECK(*read == message);
        for (size_t size = 0; size < packet.size(); ++size) CHECK_FALSE(decode_message({packet.data(), size}));
        Bytes longer = packet;
        longer.push_back(0);
        CHECK_FALSE(decode_message(longer));
    }
}

TEST_CASE("mutated messages are refused, or are canonical messages") {
    std::mt19937 random(20261122);  // NOLINT: the same mutations in every run
    const auto all = samples();
    for (int round = 0; round < 60000; ++round) {
        Bytes packet = encode(all[random() % all.size()]);
        for (uint32_t i = 0, count = 1 + random() % 4; i < count; ++i)
            packet[random() % packet.size()] = static_cast<uint8_t>(random());
        if (random() % 8 == 0) packet.resize(random() % (packet.size() + 1));
        if (const auto read = decode_message(packet)) CHECK(encode(*read) == packet);
    }
}

TEST_CASE("what could hurt the driver is refused") {
    Configure configure{{sample_mirror("md1")}};
    const auto refused = [&](auto change) {
        Configure bad = configure;
        change(bad);
        return !decode_message(encode(bad));
    };
    CHECK_FALSE(refused([](Configure&) {}));
    CHECK(refused([](Configure& c) { c.mirrors[0].name = "../etc"; }));
    CHECK(refused([](Configure& c) { c.mirrors[0].name = ""; }));
    CHECK(refused([](Configure& c) { c.mirrors[0].name = std::string(32, 'a'); }));
    CHECK(refused([](Configure& c) { c.mirrors[0].group = "a/b"; }));
    CHECK(refused([](Configure& c) { c.mirrors[0].data = "dev/sdb1"; }));
    CHECK(refused([](Configure& c) { c.mirrors[0].metadata = std::string("/dev/\0x", 7); }));
    CHECK(refused([](Configure& c) { c.mirrors[0].port = 0; }));
    CHECK(refused([](Configure& c) { c.mirrors[0].peer = kNobody; }));
    CHECK(refused([](Configure& c) { c.mirrors.push_back(c.mirrors[0]); }));
    CHECK(refused([](Configure& c) {
        for (int i = 2; i <= 65; ++i) c.mirrors.push_back(sample_mirror("md" + std::to_string(i)));
    }));
    CHECK(refused([](Configure& c) { c.mirrors[0].paths.resize(kMaxPaths + 1); }));
    CHECK_FALSE(decode_message(encode(Ask{1, Verb::kStatus, ".."})));
    CHECK_FALSE(decode_message(encode(Welcome{Uuid{}, NodeId{1}, BootId{}, "pki"})));
    CHECK_FALSE(decode_message(Bytes(kMaxMessageBytes + 1, 4)));
    CHECK_FALSE(decode_message({}));
}

TEST_CASE("the largest configuration fits a message") {
    Configure all;
    for (uint32_t i = 0; i < kMaxMirrors; ++i) {
        MirrorConfig mirror = sample_mirror("md" + std::to_string(i));
        mirror.data = mirror.metadata = "/" + std::string(kMaxPathBytes - 1, 'x');
        mirror.group = mirror.peer_name = std::string(31, 'g');
        mirror.paths.assign(kMaxPaths, {std::string(31, 'n'), std::string(39, 'a'), std::string(39, 'b')});
        all.mirrors.push_back(mirror);
    }
    const Bytes packet = encode(all);
    CHECK(packet.size() <= kMaxMessageBytes);
    CHECK(decode_message(packet));
}

TEST_CASE("long sentences and too many warnings are cut when written") {
    Answer answer;
    answer.message = std::string(4000, 'm');
    answer.status.warnings.assign(40, "w");
    const auto read = decode_message(encode(answer));
    REQUIRE(read);
    CHECK(std::get<Answer>(*read).message.size() == 512);
    CHECK(std::get<Answer>(*read).status.warnings.size() == kMaxWarnings);
}
