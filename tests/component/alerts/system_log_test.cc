#include "cluster-daemon/runtime/alerts/system_log.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "common/files.h"
#include "tests/component/alerts/fixture.h"

using namespace kagami;
using namespace kagami::testing;
using config::AlertLevel;
using runtime::alerts::SystemLog;

namespace {

// A log that takes datagrams, or lets them pile up.
class Log {
 public:
    explicit Log(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
        REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    }
    std::string next() const {
        std::array<char, 8192> buffer{};
        pollfd readable{socket_.get(), POLLIN, 0};
        if (::poll(&readable, 1, 10'000) != 1) return "nothing came";
        const ssize_t length = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
        return {buffer.data(), static_cast<size_t>(std::max<ssize_t>(length, 0))};
    }
    bool empty() const {
        char byte = 0;
        return ::recv(socket_.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0;
    }

 private:
    UniqueFd socket_;
};

}  // namespace

TEST_CASE("journald gets an alert with its fields, and syslog gets nothing then") {
    AlertFixture fixture;
    const Log journal(fixture.dir / "journal");
    const Log syslog(fixture.dir / "syslog");
    fixture.config.syslog = true;
    fixture.start();
    fixture.post("Group web fails over.\nPRIORITY=0", AlertLevel::kError);
    const std::string fields = journal.next();
    CHECK(fields.starts_with("MESSAGE=KG-0302 group web: Group web fails over.\\x0aPRIORITY=0\nPRIORITY=3\n"));
    for (const char* field : {"SYSLOG_FACILITY=3\n", "SYSLOG_IDENTIFIER=kagami\n", "KAGAMI_MESSAGE=KG-0302\n",
                              "KAGAMI_NAME=group-failover\n", "KAGAMI_OBJECT=group web\n", "KAGAMI_NODE=node1\n"}) {
        CAPTURE(field);
        CHECK(fields.find(field) != std::string::npos);
    }
    REQUIRE(fixture.queue->flush(10s));
    CHECK(syslog.empty());
}

TEST_CASE("without journald syslog gets a line with facility and priority") {
    AlertFixture fixture;
    const Log syslog(fixture.dir / "syslog");
    fixture.config.syslog = true;
    fixture.start();
    fixture.post("One.", AlertLevel::kInfo);
    fixture.post("Two.", AlertLevel::kWarning);
    const std::string one = syslog.next();
    CHECK(one.starts_with("<30>"));
    CHECK(one.find(" kagami[") != std::string::npos);
    CHECK(one.ends_with("]: KG-0302 group web: One."));
    CHECK(syslog.next().starts_with("<28>"));
}

TEST_CASE("every message goes to the system's log unless the configuration says otherwise") {
    AlertFixture fixture;
    const Log journal(fixture.dir / "journal");
    fixture.config.syslog = false;
    fixture.config.routes = {{"KG-0302", true, false, false}};
    fixture.start();
    runtime::alerts::Alert other = alert("Not routed.");
    other.code = "KG-0300";
    other.name = "group-placed";
    fixture.queue->post(other);
    fixture.post("Routed.", AlertLevel::kInfo);
    CHECK(journal.next().find("Routed.") != std::string::npos);
    REQUIRE(fixture.queue->flush(10s));
    CHECK(journal.empty());
}

TEST_CASE("a log that takes nothing holds nobody up for long, and mail goes out meanwhile") {
    AlertFixture fixture;
    const Log stuck(fixture.dir / "journal");
    const Receiver server(fixture.dir.path(), "http");
    fixture.webhook_to(server.url("/"));
    fixture.config.syslog = true;
    fixture.start();
    for (int i = 0; i < 300; ++i) fixture.post("One.");
    const Instant before = host::boot_now();
    CHECK(fixture.queue->flush(20s));
    CHECK(host::boot_now() - before < 5s);  // 300 times kPatience would be 30 s
    CHECK(server.took(300));
}

TEST_CASE("a machine without a log loses the line and goes on") {
    const TemporaryDirectory dir;
    SystemLog log({dir / "journal", dir / "syslog"});
    CHECK_FALSE(log.write(alert("One."), {"demo", "node1"}));
    SystemLog unreachable({std::string(200, 'x'), dir.path()});
    CHECK_FALSE(unreachable.write(alert("One."), {"demo", "node1"}));
}
