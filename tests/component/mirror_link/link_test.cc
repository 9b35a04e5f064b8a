// Both ends of mirror.sock on a real socket: the whole mind after every connect, restarts of either side, askers.
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <mutex>
#include <thread>

#include "common/host/boot_clock.h"
#include "common/host/packet_socket.h"
#include "mirror-driver/link/client.h"
#include "mirror-driver/link/server.h"
#include "tests/support/wait_until.h"

using namespace kagami;
using namespace kagami::mirror_link;
using kagami::testing::wait_until;

namespace {

std::string make_directory() {
    // Not /tmp: directories above a socket of ours must be root's alone.
    const std::string path = "/run/kagami-link-test." + std::to_string(::getpid());
    ::mkdir(path.c_str(), 0700);
    return path;
}

// A driver that notes what it is told.
class Driver {
 public:
    explicit Driver(std::string socket) : path_(std::move(socket)) { start(); }
    ~Driver() { stop(); }
    void start() {
        Server::Handlers handlers;
        handlers.welcome = [this](const Welcome&) { ++welcomes; };
        handlers.configure = [this](const Configure& c) {
            configured = static_cast<int>(c.mirrors.size());
            for (const auto& mirror : c.mirrors) server_->send(report(mirror.name));
        };
        handlers.authority = [this](const mirror::Authority& a) {
            const std::lock_guard lock(mutex);
            authorities[a.mirror] = a;
        };
        handlers.ask = [this](const Ask& ask, const std::function<void(Answer)>& answer) { on_ask(ask, answer); };
        handlers.daemon_gone = [this] { ++gone; };
        auto server = Server::listen(path_, std::move(handlers));
        REQUIRE(server);
        server_ = std::move(*server);
        ends_ = false;
        thread_ = std::thread([this] {
            while (!ends_) {
                pollfd entry{server_->descriptor(), POLLIN, 0};
                ::poll(&entry, 1, 20);
                server_->advance();
                if (say_.exchange(false)) server_->send(report("md1"));
            }
        });
    }
    void stop() {
        ends_ = true;
        if (thread_.joinable()) thread_.join();
        server_.reset();
        held_.clear();
    }
    void say() { say_ = true; }
    std::map<std::string, mirror::Authority> told() {
        const std::lock_guard lock(mutex);
        return authorities;
    }

    std::atomic<int> welcomes = 0, configured = -1, gone = 0, asks = 0, not_yet = 0;
    std::atomic<bool> silent = false;
    std::atomic<uint8_t> percent = 0;
    std::mutex mutex;
    std::map<std::string, mirror::Authority> authorities;

 private:
    mirror::Report report(const std::string& name) const {
        mirror::Report one;
        one.mirror = name;
        one.role = mirror::Role::kSecondary;
        one.percent = percent;
        return one;
    }
    void on_ask(const Ask& ask, const std::function<void(Answer)>& answer) {
        ++asks;
        if (silent) return held_.push_back(answer);
        Answer word;
        word.ok = ask.mirror != "md9";
        word.not_yet = not_yet > 0 && not_yet-- > 0;
        if (word.not_yet) word.ok = false;
        word.message = ask.mirror;
        answer(word);
    }
    std::string path_;
    std::unique_ptr<Server> server_;
    std::vector<std::function<void(Answer)>> held_;
    std::atomic<bool> ends_ = false, say_ = false;
    std::thread thread_;
};

// A daemon's end that notes what it hears.
struct Daemon {
    explicit Daemon(const std::string& socket)
        : client(socket, Welcome{Uuid{1}, NodeId{1}, BootId{2}, "/etc/kagami/pki"},
                 {[this](const mirror::Report& r) {
                      percent = r.percent;
                      ++reports;
                  },
                  [this](bool up) { connected = up; }}) {}
    std::atomic<int> reports = 0;
    std::atomic<int> percent = -1;
    std::atomic<bool> connected = false;
    Client client;
};

Configure two_mirrors() {
    Configure configure;
    for (const char* name : {"md1", "md2"}) {
        MirrorConfig mirror;
        mirror.name = name;
        mirror.group = "web";
        mirror.peer = NodeId{2};
        mirror.data = "/dev/a";
        mirror.metadata = "/dev/b";
        configure.mirrors.push_back(mirror);
    }
    return configure;
}

mirror::Authority authority(const std::string& name, uint64_t seq) {
    mirror::Authority one;
    one.mirror = name;
    one.version.seq = seq;
    return one;
}

struct Bench {
    std::string directory = make_directory();
    std::string socket = directory + "/mirror.sock";
    ~Bench() {
        for (const char* name : {"/mirror.sock", "/mirror.sock.lock"}) ::unlink((directory + name).c_str());
        ::rmdir(directory.c_str());
    }
};

Instant in(Duration d) {
    return host::boot_now() + d;
}

}  // namespace

TEST_CASE("a daemon's whole mind reaches a driver that starts later, and one that is restarted") {
    Bench bench;
    Daemon daemon(bench.socket);
    daemon.client.configure(two_mirrors());
    daemon.client.tell(authority("md1", 4));
    daemon.client.tell(authority("md1", 5));
    Driver driver(bench.socket);
    CHECK(wait_until([&] { return driver.configured == 2 && driver.told()["md1"].version.seq == 5; }));
    CHECK(wait_until([&] { return daemon.reports >= 2 && daemon.connected; }));
    daemon.client.tell(authority("md2", 6));
    CHECK(wait_until([&] { return driver.told()["md2"].version.seq == 6; }));

    driver.stop();
    CHECK(wait_until([&] { return !daemon.connected; }));
    driver.authorities.clear();
    driver.configured = -1;
    driver.start();
    CHECK(wait_until([&] { return driver.configured == 2 && driver.told().size() == 2; }));
    CHECK(driver.told()["md1"].version.seq == 5);
    CHECK(driver.welcomes == 2);
}

TEST_CASE("a daemon that comes later gets every report, and its going is noticed") {
    Bench bench;
    Driver driver(bench.socket);
    {
        Daemon first(bench.socket);
        first.client.configure(two_mirrors());
        CHECK(wait_until([&] { return first.reports >= 2; }));
    }
    CHECK(wait_until([&] { return driver.gone == 1; }));
    driver.percent = 42;
    driver.say();
    Daemon second(bench.socket);
    second.client.configure(two_mirrors());
    CHECK(wait_until([&] { return second.reports >= 2 && second.connected; }));
}

TEST_CASE("a newer daemon replaces an older one") {
    Bench bench;
    Driver driver(bench.socket);
    const UniqueFd older = host::connect_packets(bench.socket);
    REQUIRE(older.valid());
    const Bytes welcome = encode(Welcome{Uuid{1}, NodeId{1}, BootId{2}, "/p"});
    REQUIRE(::send(older.get(), welcome.data(), welcome.size(), 0) > 0);
    CHECK(wait_until([&] { return driver.welcomes == 1; }));
    Daemon newer(bench.socket);
    newer.client.configure(two_mirrors());
    CHECK(wait_until([&] { return driver.welcomes == 2 && driver.configured == 2; }));
    uint8_t byte = 0;
    CHECK(wait_until([&] { return ::recv(older.get(), &byte, 1, MSG_DONTWAIT) == 0; }));
    driver.percent = 7;
    driver.say();
    CHECK(wait_until([&] { return newer.percent == 7; }));
    CHECK(driver.gone == 0);
}

TEST_CASE("two askers beside the daemon get their own answers") {
    Bench bench;
    Driver driver(bench.socket);
    Daemon daemon(bench.socket);
    daemon.client.configure(two_mirrors());
    Daemon asker(bench.socket);
    std::thread other([&] {
        for (int i = 0; i < 50; ++i) {
            const auto answer = daemon.client.ask(Verb::kStatus, "md2", in(10s));
            if (!answer || answer->message != "md2") std::abort();
        }
    });
    for (int i = 0; i < 50; ++i) {
        const auto answer = daemon.client.ask(Verb::kStatus, "md1", in(10s));
        REQUIRE(answer);
        CHECK(answer->message == "md1");
    }
    other.join();
    const auto refused = daemon.client.ask(Verb::kPromote, "md9", in(10s));
    REQUIRE(refused);
    CHECK_FALSE(refused->ok);
}

TEST_CASE("an asker that is no daemon may ask, and nothing else") {
    Bench bench;
    Driver driver(bench.socket);
    const UniqueFd asker = host::connect_packets(bench.socket);
    const Bytes ask = encode(Ask{77, Verb::kStatus, "md1"});
    REQUIRE(::send(asker.get(), ask.data(), ask.size(), 0) > 0);
    Bytes packet(4096);
    ssize_t got = -1;
    CHECK(wait_until([&] { return (got = ::recv(asker.get(), packet.data(), packet.size(), MSG_DONTWAIT)) > 0; }));
    const auto answer = decode_message({packet.data(), static_cast<size_t>(got)});
    REQUIRE(answer);
    CHECK(std::get<Answer>(*answer).id == 77);
    const Bytes configure = encode(two_mirrors());
    REQUIRE(::send(asker.get(), configure.data(), configure.size(), 0) > 0);
    CHECK(wait_until([&] { return ::recv(asker.get(), packet.data(), packet.size(), MSG_DONTWAIT) == 0; }));
    CHECK(driver.configured == -1);
}

TEST_CASE("the socket is root's alone") {
    Bench bench;
    Driver driver(bench.socket);
    struct stat found{};
    REQUIRE(::stat(bench.socket.c_str(), &found) == 0);
    CHECK((found.st_mode & 0777U) == 0600);
}

TEST_CASE("garbage costs its sender the connection and nobody else anything") {
    Bench bench;
    Driver driver(bench.socket);
    for (const Bytes& garbage : {Bytes{9}, Bytes(100, 0xff), Bytes(kMaxMessageBytes + 1, 3)}) {
        const UniqueFd sender = host::connect_packets(bench.socket);
        REQUIRE(::send(sender.get(), garbage.data(), garbage.size(), 0) > 0);
        uint8_t byte = 0;
        CHECK(wait_until([&] { return ::recv(sender.get(), &byte, 1, MSG_DONTWAIT) == 0; }));
    }
    Daemon daemon(bench.socket);
    CHECK(daemon.client.ask(Verb::kStatus, "md1", in(10s)));
}

TEST_CASE("a question outlives a restart of the driver, and 'not yet' is asked again") {
    Bench bench;
    Daemon daemon(bench.socket);
    daemon.client.configure(two_mirrors());
    Driver driver(bench.socket);
    driver.silent = true;
    std::atomic<bool> ok = false;
    std::thread asker([&] {
        const auto answer = daemon.client.ask(Verb::kPromote, "md1", in(20s));
        ok = answer && answer->ok;
    });
    CHECK(wait_until([&] { return driver.asks == 1; }));
    driver.stop();
    driver.silent = false;
    driver.not_yet = 2;
    driver.start();
    asker.join();
    CHECK(ok);
    CHECK(driver.asks == 4);
}

TEST_CASE("no driver, a silent driver and a driver that always says 'not yet' end at the deadline") {
    Bench bench;
    Daemon daemon(bench.socket);
    const auto nobody = daemon.client.ask(Verb::kStatus, "md1", in(60ms));
    REQUIRE_FALSE(nobody);
    CHECK(nobody.error().code == ErrorCode::kUnreachable);
    CHECK(nobody.error().message == "mirror md1: the mirror driver of this node does not run");
    Driver driver(bench.socket);
    driver.not_yet = 100000;
    const auto never = daemon.client.ask(Verb::kPromote, "md1", in(100ms));
    REQUIRE(never);
    CHECK_FALSE(never->ok);
    CHECK(never->not_yet);
    driver.silent = true;
    const auto silence = daemon.client.ask(Verb::kPromote, "md1", in(60ms));
    REQUIRE_FALSE(silence);
    CHECK(silence.error().code == ErrorCode::kTimedOut);
    CHECK_FALSE(daemon.client.ask(Verb::kStatus, "../md1", in(1s)));
}

TEST_CASE("a question for a sign of life stands until some driver answers, and is not given up with the others") {
    Bench bench;
    Daemon daemon(bench.socket);
    daemon.client.configure(two_mirrors());
    Driver driver(bench.socket);
    driver.silent = true;
    std::atomic<int> answers = 0;
    daemon.client.ask_for_life("md1", [&](const Answer&) { ++answers; });
    std::atomic<bool> other_answered = false;
    std::thread other([&] { other_answered = daemon.client.ask(Verb::kStatus, "md2", in(20s)).has_value(); });
    std::atomic<bool> unreachable = false;
    std::thread asker([&] {
        const auto answer = daemon.client.ask(Verb::kDemote, "md1", in(20s));
        unreachable = !answer && answer.error().code == ErrorCode::kUnreachable;
    });
    CHECK(wait_until([&] { return driver.asks == 3; }));
    const Instant before = host::boot_now();
    daemon.client.abandon("md1");
    asker.join();
    CHECK(unreachable);
    CHECK(host::boot_now() - before < 10s);
    CHECK(answers == 0);
    driver.stop();
    driver.silent = false;
    driver.start();
    CHECK(wait_until([&] { return answers == 1; }));
    other.join();
    CHECK(other_answered);
    daemon.client.ask_for_life("md9", [&](const Answer& answer) { answers += answer.ok ? 100 : 1; });
    CHECK(wait_until([&] { return answers == 2; }));  // a refusal is a sign of life as well
}
