// Requests by hand: what no well-behaved client sends, and clients that leave.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <random>
#include <tuple>

#include "common/files.h"
#include "mirror-driver/frontends/nbd_socket/nbd_protocol.h"
#include "mirror-driver/frontends/nbd_socket/nbd_socket.h"
#include "tests/component/mirror_nbd/memory_disk.h"
#include "tests/support/wait_until.h"

using namespace kagami;
using namespace kagami::testing;
using namespace kagami::mirror;
using namespace kagami::mirror::nbd;

namespace {

constexpr uint64_t kSize = uint64_t{16} << 20U;

struct Reply {
    uint32_t error = 0;
    uint64_t cookie = 0;
};

class RawClient {
 public:
    explicit RawClient(const MemoryDisk& disk) : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, disk.socket().c_str(), sizeof address.sun_path - 1);
        REQUIRE(::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        const timeval limit{10, 0};
        ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    }
    void greet(uint32_t flags = kFixedNewstyle | kNoZeroes) {
        const Bytes hello = take(18);
        REQUIRE(big_endian<uint64_t>(hello, 0) == kGreeting);
        REQUIRE(big_endian<uint64_t>(hello, 8) == kOptionMagic);
        REQUIRE(big_endian<uint16_t>(hello, 16) == (kFixedNewstyle | kNoZeroes));
        say(Words().put(flags));
    }
    void option(uint32_t number, const Words& data = {}) {
        say(Words().put(kOptionMagic).put(number).put(static_cast<uint32_t>(data.bytes().size())));
        say(data);
    }
    struct OptionReply {
        uint32_t option = 0;
        uint32_t type = 0;
        Bytes data;
    };
    OptionReply option_reply() {
        const Bytes head = take(20);
        REQUIRE(big_endian<uint64_t>(head, 0) == kOptionReplyMagic);
        return {big_endian<uint32_t>(head, 8), big_endian<uint32_t>(head, 12), take(big_endian<uint32_t>(head, 16))};
    }
    void enter() {
        greet();
        option(kOptExportName);
        REQUIRE(take(10).size() == 10);
    }
    void request(uint16_t command, uint64_t cookie, uint64_t offset, uint32_t length, uint16_t flags = 0,
                 uint32_t magic = kRequestMagic) {
        say(Words().put(magic).put(flags).put(command).put(cookie).put(offset).put(length));
    }
    Reply reply() {
        const Bytes bytes = take(16);
        REQUIRE(bytes.size() == 16);
        REQUIRE(big_endian<uint32_t>(bytes, 0) == kReplyMagic);
        return {big_endian<uint32_t>(bytes, 4), big_endian<uint64_t>(bytes, 8)};
    }
    void say(const Words& words) { say(words.bytes()); }
    void say(const Bytes& bytes) {
        // The server may have left already.
        std::ignore = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }
    Bytes take(size_t count) {
        Bytes bytes(count);
        size_t filled = 0;
        while (filled < count) {
            const ssize_t got = ::recv(socket_.get(), bytes.data() + filled, count - filled, 0);
            if (got <= 0) break;
            filled += static_cast<size_t>(got);
        }
        bytes.resize(filled);
        return bytes;
    }
    // Nothing more is said, and the end is clean.
    bool closed() {
        char byte = 0;
        const ssize_t got = ::recv(socket_.get(), &byte, 1, 0);
        return got == 0 || (got < 0 && errno == ECONNRESET);
    }
    // Still served: a read of the first block is answered.
    void still_served() {
        request(kCmdRead, 99, 0, 4096);
        const Reply answer = reply();
        CHECK(answer.error == 0);
        CHECK(answer.cookie == 99);
        CHECK(take(4096).size() == 4096);
    }
    void leave() { socket_.reset(); }

 private:
    UniqueFd socket_;
};

Words info_of(const std::string& name, uint16_t wishes = 0) {
    return Words().put(static_cast<uint32_t>(name.size())).text(name).put(wishes);
}

}  // namespace

TEST_CASE("the socket is root's alone and goes with the server; what is no socket is left alone") {
    const TemporaryDirectory other;
    std::string path;
    {
        MemoryDisk disk(kSize);
        path = disk.socket();
        struct stat found{};
        REQUIRE(::stat(path.c_str(), &found) == 0);
        CHECK((found.st_mode & 0777U) == 0600);
    }
    CHECK(::access(path.c_str(), F_OK) != 0);
    std::ofstream(other / "nbd.sock") << "not mine";
    FrontEndSettings settings;
    settings.directory = other.path();
    const auto refused = open_nbd_socket(std::move(settings));
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message, Catch::Contains("no socket stands in its place"));
}

TEST_CASE("options: list, info, go and abort are answered, the rest is refused politely") {
    MemoryDisk disk(kSize);
    RawClient client(disk);
    client.greet();
    client.option(5);  // STARTTLS
    CHECK(client.option_reply().type == kRepErrUnsupported);
    client.option(8);  // STRUCTURED_REPLY
    CHECK(client.option_reply().type == kRepErrUnsupported);
    client.option(0xffffffffU, Words().zeroes(8000));
    CHECK(client.option_reply().type == kRepErrUnsupported);
    client.option(kOptList);
    CHECK(client.option_reply().type == kRepServer);
    CHECK(client.option_reply().type == kRepAck);
    client.option(kOptList, Words().put(uint8_t{1}));
    CHECK(client.option_reply().type == kRepErrInvalid);
    client.option(kOptInfo, info_of("md2"));
    CHECK(client.option_reply().type == kRepErrUnknown);
    SECTION("info is not go") {
        client.option(kOptInfo, info_of("md1"));
        CHECK(client.option_reply().data.size() == 12);
        CHECK(client.option_reply().data.size() == 14);
        CHECK(client.option_reply().type == kRepAck);
        client.option(kOptAbort);
        CHECK(client.option_reply().type == kRepAck);
        CHECK(client.closed());
    }
    SECTION("go") {
        client.option(kOptGo, info_of("", 1).put(kInfoBlockSize));
        for (const uint32_t type : {kRepInfo, kRepInfo, kRepAck}) CHECK(client.option_reply().type == type);
        client.still_served();
    }
}

TEST_CASE("malformed options get an error or a clean end") {
    MemoryDisk disk(kSize);
    RawClient client(disk);
    SECTION("unknown client flags") {
        client.greet(0x80000001U);
        CHECK(client.closed());
    }
    SECTION("no fixed newstyle") {
        client.greet(0);
        CHECK(client.closed());
    }
    SECTION("a wrong magic") {
        client.greet();
        client.say(Words().put(uint64_t{1}).put(uint32_t{kOptList}).put(uint32_t{0}));
        CHECK(client.closed());
    }
    SECTION("a huge option") {
        client.greet();
        client.say(Words().put(kOptionMagic).put(uint32_t{kOptGo}).put(uint32_t{0xffffffff}));
        CHECK(client.closed());
    }
    SECTION("an unknown name by the old way") {
        client.greet();
        client.option(kOptExportName, Words().text("md2"));
        CHECK(client.closed());
    }
    SECTION("a name longer than its option") {
        client.greet();
        client.option(kOptGo, Words().put(uint32_t{0xfffffff0}).text("md1").put(uint16_t{0}));
        CHECK(client.option_reply().type == kRepErrInvalid);
    }
    SECTION("wishes that are not there") {
        client.greet();
        client.option(kOptGo, info_of("md1", 3));
        CHECK(client.option_reply().type == kRepErrInvalid);
    }
    SECTION("too short") {
        client.greet();
        client.option(kOptGo, Words().put(uint32_t{0}));
        CHECK(client.option_reply().type == kRepErrInvalid);
    }
    RawClient next(disk);
    next.enter();
    next.still_served();
}

TEST_CASE("the old way in sends zeroes unless the client declines them") {
    MemoryDisk disk(kSize);
    RawClient client(disk);
    client.greet(kFixedNewstyle);
    client.option(kOptExportName, Words().text("md1"));
    const Bytes answer = client.take(10 + 124);
    REQUIRE(answer.size() == 134);
    CHECK(big_endian<uint64_t>(answer, 0) == kSize);
    CHECK(big_endian<uint16_t>(answer, 8) == (kHasFlags | kSendFlush | kSendFua | kSendTrim | kSendWriteZeroes));
    client.still_served();
}

TEST_CASE("requests that cannot be done get an error and the client is served on") {
    MemoryDisk disk(kSize);
    RawClient client(disk);
    client.enter();
    struct Bad {
        uint16_t command;
        uint64_t offset;
        uint32_t length;
        uint16_t flags;
        uint32_t error;
    };
    const Bad bad = GENERATE(values<Bad>({
        {kCmdRead, 1, 4096, 0, kEinval},
        {kCmdRead, 0, 512, 0, kEinval},
        {kCmdRead, 0, 0, 0, kEinval},
        {kCmdRead, kSize, 4096, 0, kEinval},
        {kCmdRead, kSize - 4096, 8192, 0, kEinval},
        {kCmdRead, ~uint64_t{4095}, 8192, 0, kEinval},
        {kCmdRead, 0, (1U << 20U) + 4096, 0, kEinval},
        {kCmdRead, 0, 0xfffff000U, 0, kEinval},
        {kCmdRead, 0, 4096, 1U << 5U, kEinval},
        {kCmdWrite, kSize, 4096, 0, kEnospc},
        {kCmdWrite, 100, 4096, 0, kEinval},
        {kCmdWrite, 0, 100, 0, kEinval},
        {kCmdWrite, 0, 2U << 20U, 0, kEinval},
        {kCmdWrite, 0, 4096, 1U << 15U, kEinval},
        {kCmdTrim, kSize, 4096, 0, kEnospc},
        {kCmdWriteZeroes, kSize - 4096, 1U << 20U, 0, kEnospc},
        {kCmdWriteZeroes, 0, 513, 0, kEinval},
        {kCmdFlush, 4096, 0, 0, kEinval},
        {5, 0, 4096, 0, kEinval},  // CACHE
        {7, 0, 4096, 0, kEinval},  // BLOCK_STATUS
        {77, 0, 4096, 0, kEinval},
    }));
    INFO("command " << bad.command << ", " << bad.length << " bytes at " << bad.offset << ", flags " << bad.flags);
    client.request(bad.command, 7, bad.offset, bad.length, bad.flags);
    if (bad.command == kCmdWrite) client.say(Words().zeroes(bad.length));
    const Reply answer = client.reply();
    CHECK(answer.error == bad.error);
    CHECK(answer.cookie == 7);
    client.still_served();
}

TEST_CASE("requests that nobody can follow end the connection, and only that one") {
    MemoryDisk disk(kSize);
    RawClient other(disk);
    other.enter();
    RawClient client(disk);
    client.enter();
    SECTION("a wrong magic") {
        client.request(kCmdRead, 1, 0, 4096, 0, 0x12345678);
    }
    SECTION("a write of 4 GiB") {
        client.request(kCmdWrite, 1, 0, 0xfffff000U);
    }
    SECTION("goodbye") {
        client.request(kCmdDisconnect, 1, 0, 0);
    }
    CHECK(client.closed());
    other.still_served();
}

TEST_CASE("a durable write or zeroing is followed by a flush, others are not") {
    MemoryDisk disk(kSize);
    RawClient client(disk);
    client.enter();
    for (const uint16_t command : {kCmdWrite, kCmdTrim, kCmdWriteZeroes})
        for (const uint16_t flags : {uint16_t{0}, kFlagFua}) {
            const uint64_t before = disk.flushes();
            client.request(command, 5, 4096, 4096, flags);
            if (command == kCmdWrite) client.say(Words().zeroes(4096));
            CHECK(client.reply().error == 0);
            CHECK(disk.flushes() == before + flags);
        }
    client.request(kCmdFlush, 6, 0, 0, kFlagFua);
    CHECK(client.reply().error == 0);
    client.still_served();
}

TEST_CASE("more requests than buffers wait and are all answered") {
    MemoryDisk disk(kSize, 4, 3);
    RawClient client(disk);
    client.enter();
    constexpr uint64_t kRequests = 200;
    for (uint64_t cookie = 1; cookie <= kRequests; ++cookie) client.request(kCmdRead, cookie, 0, 65536);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < kRequests; ++i) {
        const Reply answer = client.reply();
        CHECK(answer.error == 0);
        CHECK(client.take(65536).size() == 65536);
        sum += answer.cookie;
    }
    CHECK(sum == kRequests * (kRequests + 1) / 2);
}

TEST_CASE("a client that leaves in the middle keeps nothing: not its buffers, nor the others") {
    MemoryDisk disk(kSize, 4, 3);
    const int kind = GENERATE(0, 1, 2);
    for (int round = 0; round < 20; ++round) {
        RawClient client(disk);
        client.enter();
        disk.hold(kind == 1);
        if (kind == 0) {
            client.request(kCmdWrite, 1, 0, 1U << 20U);
            client.say(Words().zeroes(5000));  // and no more
        } else {
            for (uint64_t cookie = 0; cookie < 40; ++cookie) client.request(kCmdRead, cookie, 0, 65536);
        }
        if (kind == 1) REQUIRE(wait_until([&] { return disk.under_way() > 0; }));
        client.leave();  // without taking a reply
        disk.hold(false);
        REQUIRE(wait_until([&] { return disk.idle().has_value(); }));
    }
    RawClient client(disk);
    client.enter();
    client.still_served();
    client.request(kCmdRead, 1, 0, 1U << 20U);
    CHECK(client.reply().error == 0);
}

TEST_CASE("requests under way are answered after a goodbye, then the connection ends") {
    MemoryDisk disk(kSize);
    disk.hold(true);
    RawClient client(disk);
    client.enter();
    client.request(kCmdRead, 3, 0, 4096);
    client.request(kCmdDisconnect, 0, 0, 0);
    REQUIRE(wait_until([&] { return disk.under_way() == 1; }));
    disk.hold(false);
    CHECK(client.reply().cookie == 3);
    CHECK(client.take(4096).size() == 4096);
    CHECK(client.closed());
}

TEST_CASE("it is closed only without clients, and says how many there are") {
    MemoryDisk disk(kSize);
    RawClient client(disk);
    client.enter();
    const Status busy = disk.close();
    REQUIRE_FALSE(busy);
    CHECK_THAT(busy.error().message, Catch::Contains("1 NBD client is connected to unix:"));
    client.leave();
    REQUIRE(wait_until([&] { return disk.close().has_value(); }));
    CHECK(::access(disk.socket().c_str(), F_OK) != 0);
}

TEST_CASE("requests of a client that has left are waited for: only then it is closed, and no buffer is lost") {
    MemoryDisk disk(kSize, 4, 3);
    disk.hold(true);
    {
        RawClient client(disk);
        client.enter();
        client.request(kCmdWrite, 1, 0, 1U << 20U, kFlagFua);
        client.say(Words().zeroes(1U << 20U));
        client.request(kCmdFlush, 2, 0, 0);
        REQUIRE(wait_until([&] { return disk.under_way() == 2; }));
    }
    REQUIRE(wait_until([&] { return disk.idle().has_value(); }));
    REQUIRE(disk.close().has_value());
    CHECK(disk.state() == FrontEndState::kClosing);
    CHECK(disk.close().has_value());  // asked again, it goes on closing
    CHECK(disk.state() == FrontEndState::kClosing);
    CHECK(::access(disk.socket().c_str(), F_OK) != 0);
    disk.hold(false);
    REQUIRE(wait_until([&] { return disk.state() == FrontEndState::kClosed; }));
    CHECK(disk.under_way() == 0);
    CHECK(disk.flushes() == 2);  // that of the durable write as well
    CHECK(disk.buffers_free());
}

TEST_CASE("one client too many sees the end, the others go on") {
    MemoryDisk disk(kSize);
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 16; ++i) {
        clients.push_back(std::make_unique<RawClient>(disk));
        clients.back()->enter();
    }
    RawClient late(disk);
    CHECK(late.closed());
    for (const auto& client : clients) client->still_served();
}

TEST_CASE("random options and requests never take the server down") {
    MemoryDisk disk(kSize);
    for (uint64_t seed = 1; seed <= 300; ++seed) {
        INFO("seed " << seed);
        std::mt19937_64 random(seed);
        RawClient client(disk);
        const bool inside = random() % 2 == 0;
        inside ? client.enter() : client.greet();
        for (int i = 0; i < 8; ++i) {
            Words said;
            if (inside) {
                said.put(random() % 8 == 0 ? uint32_t{1} : kRequestMagic).put(static_cast<uint16_t>(random() % 4));
                said.put(static_cast<uint16_t>(random() % 9))
                    .put(random())
                    .put(random() % 3 == 0 ? random() : random() % 8192);
                said.put(static_cast<uint32_t>(random() % 3 == 0 ? random() : 4096));
            } else {
                const auto length = static_cast<uint32_t>(random() % 40);
                said.put(kOptionMagic)
                    .put(static_cast<uint32_t>(random() % 12))
                    .put(random() % 8 == 0 ? ~length : length);
                for (uint32_t at = 0; at < length; ++at) said.put(static_cast<uint8_t>(random() % 4));
            }
            client.say(said);
        }
        client.leave();
    }
    RawClient last(disk);
    last.enter();
    last.still_served();
}
