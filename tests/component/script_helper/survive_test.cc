// What outlives whom: daemon (client) restarts, a killed helper, hostile names in its directories, and emptying a
// cgroup.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>

#include "cluster-daemon/script-helper/run_table.h"
#include "tests/component/script_helper/helper_fixture.h"

using namespace kagami;
using namespace kagami::script_helper;
using Catch::Matchers::Contains;

namespace {

Instant soon(Duration left = 10s) {
    return host::boot_now() + left;
}

UniqueFd raw_connection(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size());
    UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    return fd;
}

// A daemon that asks and dies before it has the answer.
void ask_and_leave(const std::string& socket, const host::ScriptRequest& script, Instant deadline) {
    const UniqueFd fd = raw_connection(socket);
    const auto packet = encode(Request{Verb::kRun, script, deadline});
    REQUIRE(::send(fd.get(), packet->data(), packet->size(), 0) > 0);
}

// One request as a retry sends it; the answer is acknowledged.
Reply ask(const std::string& socket, const Request& request) {
    const UniqueFd fd = raw_connection(socket);
    const auto packet = encode(request);
    REQUIRE(::send(fd.get(), packet->data(), packet->size(), 0) > 0);
    Bytes answer(kMaxMessageBytes);
    const ssize_t got = ::recv(fd.get(), answer.data(), answer.size(), 0);
    REQUIRE(got > 0);
    const uint8_t received = 1;
    REQUIRE(::send(fd.get(), &received, sizeof received, 0) > 0);
    return decode_reply({answer.data(), static_cast<size_t>(got)}).value();
}

bool ended(HelperFixture& fixture) {
    const auto list = fixture.client().list();
    return list && list->size() == 1 && !list->front().running;
}

// Waits for the file `go`, counts its runs in the file `runs`.
std::string waiting_script(HelperFixture& fixture, int status) {
    return fixture.script("wait", "echo run >> " + fixture.path("runs") + "; until [ -e " + fixture.path("go") +
                                      " ]; do sleep 0.01; done; exit " + std::to_string(status));
}

void touch(const std::string& path) {
    std::ofstream(path) << "";
}

size_t lines(const std::string& path) {
    std::ifstream in(path);
    size_t count = 0;
    for (std::string line; std::getline(in, line);) ++count;
    return count;
}

}  // namespace

TEST_CASE("a restarted daemon that asks again gets the running script's result, and the script ran once") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    const auto request = fixture.request(waiting_script(fixture, 7));
    ask_and_leave(fixture.path("run/helper.sock"), request, soon());
    REQUIRE(wait_until([&] { return lines(fixture.path("runs")) == 1; }));
    const auto list = fixture.client().list();
    REQUIRE(list);
    REQUIRE(list->size() == 1);
    CHECK(list->front().running);
    CHECK(list->front().program == request.argv[0]);
    auto again =
        std::async(std::launch::async, [&] { return Client(fixture.path("run/helper.sock")).run(request, soon()); });
    touch(fixture.path("go"));
    const auto result = again.get();
    REQUIRE(result);
    CHECK(result->exit_code == 7);
    CHECK(lines(fixture.path("runs")) == 1);
    CHECK(fixture.client().list()->empty());
}

TEST_CASE("a result that nobody fetched is told to who asks for it again, and to nobody who starts the script anew") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    const std::string socket = fixture.path("run/helper.sock");
    const auto request = fixture.request(waiting_script(fixture, 7));
    touch(fixture.path("go"));
    ask_and_leave(socket, request, soon());
    REQUIRE(wait_until([&] { return ended(fixture); }));
    const auto fetched = ask(socket, {Verb::kFetch, request, soon()});
    CHECK_FALSE(fetched.error);
    CHECK(fetched.result.exit_code == 7);
    CHECK(lines(fixture.path("runs")) == 1);

    ask_and_leave(socket, request, soon());
    REQUIRE(wait_until([&] { return lines(fixture.path("runs")) == 2 && ended(fixture); }));
    CHECK(fixture.client().run(request, soon())->exit_code == 7);
    CHECK(lines(fixture.path("runs")) == 3);

    ask_and_leave(socket, request, soon());
    REQUIRE(wait_until([&] { return lines(fixture.path("runs")) == 4 && ended(fixture); }));
    REQUIRE(fixture.client().run(fixture.request("/usr/bin/true"), soon()));
    CHECK(fixture.client().list()->empty());
    CHECK(ask(socket, {Verb::kFetch, request, soon()}).error);
}

TEST_CASE("what a killed daemon's start script died of is not the result of the next activation") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    const std::string socket = fixture.path("run/helper.sock");
    const auto request = fixture.request(waiting_script(fixture, 0));
    ask_and_leave(socket, request, soon());
    REQUIRE(wait_until([&] { return lines(fixture.path("runs")) == 1; }));
    REQUIRE(fixture.client().kill_all("web", "nginx", soon()));
    touch(fixture.path("go"));
    const auto result = fixture.client().run(request, soon());
    REQUIRE(result);
    CHECK(result->signal == 0);
    CHECK(result->exit_code == 0);
    CHECK(lines(fixture.path("runs")) == 2);
    CHECK(wait_until([&] { return fixture.client().list()->empty(); }));
}

TEST_CASE("a run that was killed for a new activation leaves no result, and its asker still gets his") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    const std::string socket = fixture.path("run/helper.sock");
    const auto request = fixture.request(waiting_script(fixture, 0));
    ask_and_leave(socket, request, soon());
    REQUIRE(wait_until([&] { return lines(fixture.path("runs")) == 1; }));
    REQUIRE(fixture.client().kill_all("web", "nginx", soon()));
    CHECK(wait_until([&] { return fixture.client().list()->empty(); }));
    CHECK(ask(socket, {Verb::kFetch, request, soon()}).error);

    auto waiting = std::async(std::launch::async, [&] { return Client(socket).run(request, soon()); });
    REQUIRE(wait_until([&] { return lines(fixture.path("runs")) == 2; }));
    REQUIRE(fixture.client().kill_all("web", "nginx", soon()));
    const auto killed = waiting.get();
    REQUIRE(killed);
    CHECK(killed->signal == SIGTERM);
}

TEST_CASE("a killed helper: the service goes on, the running script is found again and not started twice") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    auto service = fixture.request(fixture.script("service", "while :; do echo alive; sleep 0.01; done"));
    service.background = true;
    REQUIRE(fixture.client().run(service, soon()));
    const auto living = fixture.processes();
    const auto request = fixture.request(waiting_script(fixture, 0));
    auto running = std::async(std::launch::async, [&] { return fixture.client().run(request, soon()); });
    REQUIRE(wait_until([&] { return lines(fixture.path("runs")) == 1; }));
    fixture.kill_helper();
    fixture.start_helper();
    const auto list = fixture.client().list();
    REQUIRE(list);
    CHECK(list->size() == 2);
    CHECK(fixture.processes().front() == living.front());
    const auto size = std::filesystem::file_size(fixture.path("var/log/web.nginx.log"));
    CHECK(wait_until([&] { return std::filesystem::file_size(fixture.path("var/log/web.nginx.log")) > size; }));

    touch(fixture.path("go"));
    const auto result = running.get();
    REQUIRE_FALSE(result);
    CHECK_THAT(result.error().message, Contains("web.nginx: the result of " + request.argv[0] + " is unknown") &&
                                           Contains("processes are in its cgroup"));
    CHECK(lines(fixture.path("runs")) == 1);
    REQUIRE(fixture.client().kill_all("web", "nginx", soon()));
    CHECK(fixture.processes().empty());
    CHECK(wait_until([&] { return fixture.client().list()->empty(); }));
}

TEST_CASE("a script that ended while no helper was there has an unknown result, told once") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    const auto request = fixture.request(waiting_script(fixture, 0));
    ask_and_leave(fixture.path("run/helper.sock"), request, soon());
    REQUIRE(wait_until([&] { return lines(fixture.path("runs")) == 1; }));
    const int pid = fixture.processes().front();
    fixture.kill_helper();
    touch(fixture.path("go"));
    REQUIRE(wait_until([&] { return host::process_start_ticks(pid) == 0; }));
    fixture.start_helper();
    const auto lost = ask(fixture.path("run/helper.sock"), {Verb::kFetch, request, soon()});
    REQUIRE(lost.error);
    CHECK_THAT(lost.error->message, Contains("is unknown") && Contains("0 processes"));
    CHECK(fixture.client().run(request, soon())->exit_code == 0);
    CHECK(lines(fixture.path("runs")) == 2);
}

TEST_CASE("an adopted script still has its deadline") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    const auto request = fixture.request(fixture.script("hang", "trap '' TERM; while :; do sleep 0.1; done"));
    auto running = std::async(std::launch::async, [&] { return fixture.client().run(request, soon(500ms)); });
    REQUIRE(wait_until([&] { return !fixture.processes().empty(); }));
    fixture.kill_helper();
    fixture.start_helper();
    const auto result = running.get();
    REQUIRE(result);
    CHECK(result->timed_out);
    CHECK(wait_until([&] { return fixture.processes().empty(); }));
}

TEST_CASE("a background program is answered at its start; the same request again finds it running") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    auto request = fixture.request(fixture.script("service", "exec sleep 1000"));
    request.background = true;
    request.mark = host::Mark::kActive;
    CHECK_FALSE(fixture.client().started("web", "nginx")->active);
    REQUIRE(fixture.client().run(request, soon()));
    const auto before = fixture.processes();
    CHECK(fixture.client().started("web", "nginx")->main == before.at(0));
    REQUIRE(fixture.client().run(request, soon()));
    CHECK(fixture.processes() == before);
    fixture.kill_helper();
    fixture.start_helper();
    CHECK(fixture.client().started("web", "nginx")->main_alive);
    REQUIRE(fixture.client().run(request, soon()));
    CHECK(fixture.processes() == before);
}

TEST_CASE(
    "a background program that ends before its start is noticed tells how it ended; a killed cgroup can be used "
    "again") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    auto sleeper = fixture.request(fixture.script("s", "trap '' TERM; while :; do sleep 1; done"));
    sleeper.background = true;
    for (int round = 0; round < 3; ++round) {  // a child born into a cgroup that cgroup.kill was used on must live
        const auto started = fixture.client().run(sleeper, soon());
        REQUIRE(started);
        CHECK(started->signal == 0);
        REQUIRE(fixture.client().kill_all("web", "nginx", soon(500ms)));
    }
    auto failing = fixture.request("/usr/bin/false");
    failing.background = true;
    failing.mark = host::Mark::kActive;
    const auto result = fixture.client().run(failing, soon());
    REQUIRE(result);  // 0 when it was still running at that moment, 1 when not
    CHECK(wait_until([&] { return fixture.client().list()->empty(); }));
    CHECK((result->exit_code == 1) != fixture.client().started("web", "nginx")->active);
}

TEST_CASE("a mark is set by a script that ended well only") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    auto request = fixture.request("/usr/bin/false");
    request.mark = host::Mark::kActive;
    REQUIRE(fixture.client().run(request, soon()));
    CHECK_FALSE(fixture.client().started("web", "nginx")->active);
    request.argv = {"/usr/bin/true"};
    REQUIRE(fixture.client().run(request, soon()));
    CHECK(fixture.client().started("web", "nginx")->active);
    request.mark = host::Mark::kInactive;
    REQUIRE(fixture.client().run(request, soon()));
    CHECK_FALSE(fixture.client().started("web", "nginx")->active);
}

TEST_CASE("the main process is the oldest that a start script left, and its death is told though its workers live on") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    auto request =
        fixture.request(fixture.script("start.sh", "sleep 1000 & sleep 0.05; sleep 1001 & sleep 0.05; exit 0"));
    request.mark = host::Mark::kActive;
    REQUIRE(fixture.client().run(request, soon()));
    REQUIRE(wait_until([&] { return fixture.processes().size() == 2; }));
    const auto processes = fixture.processes();
    auto started = fixture.client().started("web", "nginx");
    CHECK(started->main == processes[0]);
    CHECK(started->main_alive);
    const Instant settled = host::boot_now() + kSettling;
    REQUIRE(wait_until([&] { return host::boot_now() > settled; }));
    ::kill(processes[0], SIGKILL);
    REQUIRE(wait_until([&] { return !fixture.client().started("web", "nginx")->main_alive; }));
    CHECK(fixture.processes() == std::vector<int>{processes[1]});
    CHECK(fixture.client().started("web", "nginx")->active);
    CHECK(fixture.client().started("web", "nginx")->main == processes[0]);
}

TEST_CASE(
    "a launcher that ends right after the start is not taken for the service; a start that leaves nothing has no main "
    "process") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    auto request = fixture.request(fixture.script("start.sh", "sleep 0.2 & sleep 0.05; sleep 1001 & exit 0"));
    request.mark = host::Mark::kActive;
    REQUIRE(fixture.client().run(request, soon()));
    REQUIRE(wait_until([&] { return fixture.processes().size() == 1; }));
    const auto started = fixture.client().started("web", "nginx");
    CHECK(started->main == fixture.processes()[0]);
    CHECK(started->main_alive);
    REQUIRE(fixture.client().kill_all("web", "nginx", soon()));
    request.argv = {"/usr/bin/true"};
    REQUIRE(fixture.client().run(request, soon()));
    CHECK(fixture.client().started("web", "nginx")->active);
    CHECK(fixture.client().started("web", "nginx")->main == 0);
}

TEST_CASE("a cgroup is emptied: by SIGTERM when heeded, by SIGKILL when not, frozen or not, and at once when empty") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    CHECK(fixture.client().kill_all("web", "nginx", soon()));  // never started
    auto request = fixture.request(fixture.script("polite", "sleep 1000 & sleep 1000"));
    request.background = true;
    REQUIRE(fixture.client().run(request, soon()));
    Instant begin = host::boot_now();
    REQUIRE(fixture.client().kill_all("web", "nginx", soon()));
    CHECK(host::boot_now() - begin < 1s);
    CHECK(fixture.processes().empty());

    request =
        fixture.request(fixture.script("deaf",
                                       "trap '' TERM; (setsid bash -c \"trap '' TERM; while :; do sleep 1; done\") &\n"
                                       "while :; do sleep 1; done"));
    request.background = true;
    REQUIRE(fixture.client().run(request, soon()));
    REQUIRE(wait_until([&] { return fixture.processes().size() >= 3; }));
    begin = host::boot_now();
    REQUIRE(fixture.client().kill_all("web", "nginx", soon(1s)));
    CHECK(host::boot_now() - begin < 1s);
    CHECK(fixture.processes().empty());

    REQUIRE(fixture.client().run(request, soon()));
    const host::Cgroup cgroup(*host::cgroup_root(), "web", "nginx");
    std::ofstream(cgroup.path() + "/cgroup.freeze") << "1";
    CHECK(fixture.client().kill_all("web", "nginx", soon(1s)));
    CHECK(fixture.processes().empty());
    std::ofstream(cgroup.path() + "/cgroup.freeze") << "0";
}

TEST_CASE("a start into a frozen cgroup waits and does not stop the helper; its deadline counts") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    const host::Cgroup cgroup(*host::cgroup_root(), "web", "nginx");
    REQUIRE(cgroup.make());
    std::ofstream(cgroup.path() + "/cgroup.freeze") << "1";
    auto frozen = fixture.request("/usr/bin/true");
    auto running = std::async(std::launch::async, [&] { return fixture.client().run(frozen, soon()); });
    REQUIRE(wait_until([&] { return fixture.processes().size() == 1; }));
    CHECK(fixture.client().list()->size() == 1);
    std::ofstream(cgroup.path() + "/cgroup.freeze") << "0";
    CHECK(running.get()->exit_code == 0);
    std::ofstream(cgroup.path() + "/cgroup.freeze") << "1";
    frozen.background = true;
    const auto late = fixture.client().run(frozen, soon(100ms));
    REQUIRE(late);
    CHECK(late->timed_out);
    std::ofstream(cgroup.path() + "/cgroup.freeze") << "0";
}

TEST_CASE("processes are listed oldest first") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    auto request = fixture.request(fixture.script("s", "sleep 1000 & sleep 0.05; sleep 1000 & wait"));
    request.background = true;
    REQUIRE(fixture.client().run(request, soon()));
    REQUIRE(wait_until([&] { return fixture.processes().size() == 3; }));
    const auto list = fixture.client().list();
    CHECK(fixture.processes().front() == list->front().pid);
}

TEST_CASE("the helper refuses what somebody put in the place of its socket or directories, and a second helper") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    std::string said;
    REQUIRE(::mkdir(fixture.path("run").c_str(), 0700) == 0);
    touch(fixture.path("run/helper.sock"));
    CHECK(fixture.refused_start(&said) != 0);
    CHECK_THAT(said, Contains("helper.sock: something that is not our socket stands in its place"));
    CHECK(std::filesystem::is_regular_file(fixture.path("run/helper.sock")));
    std::filesystem::remove(fixture.path("run/helper.sock"));
    std::filesystem::create_symlink("/etc/hostname", fixture.path("run/helper.sock"));
    CHECK(fixture.refused_start(&said) != 0);
    std::filesystem::remove(fixture.path("run/helper.sock"));

    ::chmod(fixture.path("run").c_str(), 0777);
    CHECK(fixture.refused_start(&said) != 0);
    CHECK_THAT(said, Contains("chmod 700"));
    ::chmod(fixture.path("run").c_str(), 0700);
    REQUIRE(::chown(fixture.path("run").c_str(), 12345, 0) == 0);
    CHECK(fixture.refused_start(&said) != 0);
    CHECK_THAT(said, Contains("belongs to user 12345"));
    REQUIRE(::chown(fixture.path("run").c_str(), 0, 0) == 0);
    std::filesystem::remove(fixture.path("run/helper"));
    std::filesystem::create_directory_symlink("/etc", fixture.path("run/helper"));
    CHECK(fixture.refused_start(&said) != 0);
    std::filesystem::remove(fixture.path("run/helper"));
    std::filesystem::remove(fixture.path("run/helper.lock"));
    std::filesystem::create_symlink("/etc/hostname", fixture.path("run/helper.lock"));
    CHECK(fixture.refused_start(&said) != 0);
    std::filesystem::remove(fixture.path("run/helper.lock"));

    fixture.start_helper();
    CHECK(fixture.refused_start(&said) == static_cast<int>(ErrorCode::kRefused));
    CHECK_THAT(said, Contains("another script helper is running"));
    struct stat info{};
    REQUIRE(::stat(fixture.path("run/helper.sock").c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    CHECK(fixture.client().list());
}

TEST_CASE("packets that are no requests are refused and the helper goes on") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    const auto good = encode(Request{Verb::kRun, fixture.request("/usr/bin/true"), soon()});
    std::vector<Bytes> packets = {Bytes{0}, Bytes{1}, Bytes(100, 0xff), Bytes(200000, 1)};
    for (size_t length_bytes = 0; length_bytes < good->size(); length_bytes += 7) {
        packets.emplace_back(good->begin(), good->begin() + static_cast<long>(length_bytes));
    }
    for (size_t i = 0; i < good->size(); i += 3) {
        packets.push_back(*good);
        packets.back()[i] ^= 0x80;
    }
    for (const Bytes& packet : packets) {
        const UniqueFd fd = raw_connection(fixture.path("run/helper.sock"));
        if (::send(fd.get(), packet.data(), packet.size(), MSG_NOSIGNAL) < 0) continue;  // larger than a packet may be
        ::shutdown(fd.get(), SHUT_WR);
    }
    CHECK(fixture.client().list());
    const UniqueFd fd = raw_connection(fixture.path("run/helper.sock"));
    const Bytes bad(20, 0xee);
    REQUIRE(::send(fd.get(), bad.data(), bad.size(), 0) > 0);
    Bytes answer(kMaxMessageBytes);
    const ssize_t got = ::recv(fd.get(), answer.data(), answer.size(), 0);
    REQUIRE(got > 0);
    const auto reply = decode_reply({answer.data(), static_cast<size_t>(got)});
    REQUIRE(reply);
    REQUIRE(reply->error);
    CHECK_THAT(reply->error->message, Contains("does not understand"));
}

TEST_CASE("300 idle connections do not keep a request from being served once some of them go") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    std::vector<UniqueFd> idle;
    for (int i = 0; i < 300; ++i) idle.push_back(raw_connection(fixture.path("run/helper.sock")));
    auto waiting =
        std::async(std::launch::async, [&] { return fixture.client().run(fixture.request("/usr/bin/true"), soon()); });
    idle.clear();
    CHECK(waiting.get());
}

TEST_CASE("another user may not use the helper even where the directory would let him") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    for (const auto& open : {fixture.path(""), fixture.path("run"), fixture.path("run/helper.sock")})
        ::chmod(open.c_str(), 0777);
    const pid_t pid = ::fork();
    if (pid == 0) {
        if (::setgid(12345) != 0 || ::setuid(12345) != 0) ::_exit(2);
        const auto list = Client(fixture.path("run/helper.sock")).list();
        ::_exit(!list && list.error().code == ErrorCode::kRefused ? 0 : 1);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    CHECK(status == 0);
    ::chmod(fixture.path("run").c_str(), 0700);
}

TEST_CASE("without a helper a call ends at its deadline and says what to look at") {
    const auto result =
        Client("/run/kagami-test-nobody/helper.sock").kill_all("web", "nginx", host::boot_now() - 3900ms);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::kUnreachable);
    CHECK_THAT(result.error().remedy, Contains("kagami-script-helper"));
}
