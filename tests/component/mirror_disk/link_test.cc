// MirrorLink against the driver's end of the socket: what the driver is told of the configuration, what the engine and the
// md resource hear of the driver.
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <mutex>
#include <thread>

#include "cluster-daemon/runtime/daemon/mirror_link.h"
#include "common/config/reader.h"
#include "common/host/boot_clock.h"
#include "mirror-driver/link/server.h"
#include "monitors/monitor.h"
#include "resources/resource.h"
#include "tests/support/wait_until.h"

using namespace kagami;
using namespace kagami::runtime;
using kagami::testing::wait_until;

namespace {

config::Config configuration(const std::string& networks) {
    config::TypeCatalogue types;
    for (const auto& type : resources::registry()) types.resources.push_back(type.description);
    for (const auto& type : monitors::registry()) types.monitors.push_back(type.description);
    const std::string text = "[cluster]\nname = \"demo\"\n" + networks + R"([[node]]
name = "node1"
address = { lan = "10.77.1.1", repl = "10.77.2.1" }
[[node]]
name = "node2"
address = { lan = "10.77.1.2", repl = "10.77.2.2" }
[[node]]
name = "node3"
address = { lan = "10.77.1.3", repl = "10.77.2.3" }
[[group]]
name = "db"
nodes = ["node2", "node1"]
[[group.resource]]
type = "md"
name = "md1"
data = "/dev/d1"
metadata = "/dev/m1"
node.node2 = { data = "/dev/d2" }
automatic_resync = false
[[group]]
name = "web"
nodes = ["node2", "node3"]
[[group.resource]]
type = "md"
name = "md2"
data = "/dev/e1"
metadata = "/dev/f1"
port = 29012
)";
    const auto parsed = config::parse(text, "cluster.toml", types);
    for (const auto& problem : parsed.problems) UNSCOPED_INFO(to_string(problem));
    REQUIRE(parsed.config);
    return *parsed.config;
}
const std::string kPlain = "[[network]]\nname = \"lan\"\n[[network]]\nname = \"repl\"\n";
const std::string kChosen = "[[network]]\nname = \"lan\"\n[[network]]\nname = \"repl\"\nuse = [\"mirror\"]\n";

struct Driver {
    std::unique_ptr<mirror_link::Server> server;
    std::mutex mutex;
    std::vector<std::string> heard;
    std::atomic<bool> ends = false, promoted = false;
    std::atomic<int> not_yet = 0;
    std::thread thread;

    explicit Driver(const std::string& socket) {
        mirror_link::Server::Handlers handlers;
        handlers.welcome = [this](const auto& w) { hear("welcome " + w.pki_directory); };
        handlers.configure = [this](const auto& c) {
            for (const auto& mirror : c.mirrors) {
                hear("configure " + mirror.name);
                mirror::Report report;
                report.mirror = mirror.name;
                report.role = mirror::Role::kSecondary;
                report.disk = mirror::DiskState::kConsistent;
                server->send(report);
            }
        };
        handlers.authority = [this](const auto& a) { hear("authority " + a.mirror); };
        handlers.ask = [this](const auto& ask, const auto& answer) { answer(reply(ask)); };
        handlers.daemon_gone = [] {};
        auto made = mirror_link::Server::listen(socket, std::move(handlers));
        REQUIRE(made);
        server = std::move(*made);
        thread = std::thread([this] {
            while (!ends) {
                pollfd entry{server->descriptor(), POLLIN, 0};
                ::poll(&entry, 1, 20);
                server->advance();
            }
        });
    }
    ~Driver() {
        ends = true;
        thread.join();
    }
    mirror_link::Answer reply(const mirror_link::Ask& ask) {
        mirror_link::Answer answer;
        answer.ok = true;
        if (ask.verb == mirror_link::Verb::kPromote && not_yet > 0) {
            --not_yet;
            answer.ok = false;
            answer.not_yet = true;
            answer.message = "waits for the authority";
            return answer;
        }
        if (ask.verb == mirror_link::Verb::kDemote && promoted) {
            answer.ok = false;
            answer.message = "md1: the device is open";
            answer.remedy = "close it";
            return answer;
        }
        if (ask.verb == mirror_link::Verb::kPromote) promoted = true;
        answer.status.report.role = promoted ? mirror::Role::kPrimary : mirror::Role::kSecondary;
        if (promoted) answer.status.device = "/dev/loop7";
        return answer;
    }
    void hear(const std::string& line) {
        const std::lock_guard lock(mutex);
        heard.push_back(line);
    }
    bool has(const std::string& line) {
        const std::lock_guard lock(mutex);
        return std::find(heard.begin(), heard.end(), line) != heard.end();
    }
};

struct Bench {
    std::string directory = "/run/kagami-mirror-link-test." + std::to_string(::getpid());
    std::string socket = directory + "/mirror.sock";
    std::mutex mutex;
    std::vector<mirror::Report> reports;
    std::unique_ptr<MirrorLink> link;

    Bench() {
        ::mkdir(directory.c_str(), 0700);
        link = std::make_unique<MirrorLink>(
            socket, mirror_link::Welcome{Uuid{1}, NodeId{1}, BootId{2}, "/etc/kagami/pki"}, [this](engine::Event event) {
                const std::lock_guard lock(mutex);
                reports.push_back(std::get<engine::MirrorReported>(event).report);
            },
            [](const engine::Decision&) {});
        link->set_config(configuration(kPlain));
    }
    ~Bench() {
        link.reset();
        for (const char* name : {"/mirror.sock", "/mirror.sock.lock"}) ::unlink((directory + name).c_str());
        ::rmdir(directory.c_str());
    }
    bool last_is(mirror::Role role) {
        const std::lock_guard lock(mutex);
        return !reports.empty() && reports.back().role == role;
    }
    static Instant in(Duration d) { return host::boot_now() + d; }
};

}  // namespace

TEST_CASE("the driver is told the mirrors of this node's groups, with the networks for mirrors or all of them") {
    const auto own = mirror_configuration(configuration(kPlain), NodeId{1});
    REQUIRE(own.mirrors.size() == 1);
    const mirror_link::MirrorConfig expected = {
        "md1", "db", NodeId{2}, "node2", "/dev/d1", "/dev/m1", uint16_t{29011},
        {{"lan", "10.77.1.1", "10.77.1.2"}, {"repl", "10.77.2.1", "10.77.2.2"}}, false};
    CHECK(own.mirrors[0] == expected);
    const auto both = mirror_configuration(configuration(kChosen), NodeId{2});
    REQUIRE(both.mirrors.size() == 2);
    CHECK(both.mirrors[0].data == "/dev/d2");
    CHECK(both.mirrors[0].peer == NodeId{1});
    CHECK(both.mirrors[0].paths == std::vector<mirror_link::Path>{{"repl", "10.77.2.2", "10.77.2.1"}});
    CHECK(both.mirrors[1].peer_name == "node3");
    CHECK(both.mirrors[1].port == 29012);
    CHECK(both.mirrors[1].automatic_resync);
}

TEST_CASE("without a driver every mirror is reported as detached, and a driver that comes and goes is told") {
    Bench b;
    CHECK(wait_until([&] { return b.last_is(mirror::Role::kDetached); }));
    CHECK(b.link->report("md1")->message == "the mirror driver does not run");
    CHECK_FALSE(b.link->report("md2"));  // of other nodes
    CHECK(b.link->status("md1", 5s).error().code == ErrorCode::kUnreachable);
    std::atomic<int> changes = 0;
    auto handle = b.link->on_change("md1", [&] { ++changes; });
    {
        Driver driver(b.socket);
        CHECK(wait_until([&] { return b.last_is(mirror::Role::kSecondary) && driver.has("configure md1"); }));
        CHECK(driver.has("welcome /etc/kagami/pki"));
        CHECK(b.link->report("md1")->disk == mirror::DiskState::kConsistent);
        mirror::Authority authority;
        authority.mirror = "md1";
        b.link->tell(authority);
        CHECK(wait_until([&] { return driver.has("authority md1"); }));
        CHECK(changes >= 1);
    }
    CHECK(wait_until([&] { return b.last_is(mirror::Role::kDetached); }));
    CHECK(wait_until([&] { return changes >= 2; }));
    handle.reset();
    const int before = changes;
    Driver again(b.socket);
    CHECK(wait_until([&] { return b.last_is(mirror::Role::kSecondary); }));
    CHECK(changes == before);
}

TEST_CASE("a promotion waits for its authority, gives the device, and a refusal keeps its words") {
    Bench b;
    Driver driver(b.socket);
    driver.not_yet = 3;
    CHECK_FALSE(b.link->device("md1")->has_value());
    const auto device = b.link->promote("md1", Bench::in(10s));
    REQUIRE(device);
    CHECK(device->path == "/dev/loop7");
    CHECK((*b.link->device("md1"))->path == "/dev/loop7");
    CHECK(b.link->status("md1", 5s)->device == "/dev/loop7");
    const Status refused = b.link->demote("md1", Bench::in(10s));
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == Error{ErrorCode::kRefused, "md1: the device is open", "close it"});
    driver.not_yet = 1000000;
    const auto never = b.link->promote("md1", Bench::in(100ms));
    REQUIRE_FALSE(never);
    CHECK(never.error().code == ErrorCode::kTimedOut);
    CHECK(never.error().message == "waits for the authority");
}
