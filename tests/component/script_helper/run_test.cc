// Scripts that end well, badly, late and never; and what may not run at all.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/component/script_helper/helper_fixture.h"

using namespace kagami;
using namespace kagami::script_helper;
using Catch::Matchers::Contains;

namespace {

Instant soon(Duration left = 10s) {
    return host::boot_now() + left;
}

}  // namespace

TEST_CASE("a script ends with its exit status, its last line, its environment and nothing else") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    const auto program = fixture.script("start.sh",
                                        "env; umask; pwd; ls -l /proc/self/fd | wc -l; cat /proc/self/cgroup\n"
                                        "echo; echo 'the last line'; exit 3");
    const auto result = fixture.client().run(fixture.request(program), soon());
    REQUIRE(result);
    CHECK(result->exit_code == 3);
    CHECK(result->signal == 0);
    CHECK_FALSE(result->timed_out);
    CHECK(result->last_output == "the last line");
    const std::string log = fixture.log();
    CHECK_THAT(log, Contains("CLP_EVENT=START") && Contains("0022\n/\n5\n") && Contains("/web/nginx\n"));
    CHECK_THAT(log, !Contains("KAGAMI_CGROUP_ROOT"));
    CHECK_THAT(log, Contains("ended with exit status 3"));
    struct stat info{};
    REQUIRE(::stat(fixture.path("var/log/web.nginx.log").c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE("a script that kills itself tells the signal, and escape sequences do not pass") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    const auto result =
        fixture.client().run(fixture.request(fixture.script("s", "printf 'bad \\033[31m red'; kill -9 $$")), soon());
    REQUIRE(result);
    CHECK(result->exit_code == -1);
    CHECK(result->signal == 9);
    CHECK(result->last_output == "bad ?[31m red");
}

TEST_CASE("the last line is valid UTF-8 whatever a script writes, and is cut between characters") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    const auto said = [&](const std::string& command) {
        const auto result = fixture.client().run(fixture.request(fixture.script("s", command)), soon());
        return result ? result->last_output : result.error().message;
    };
    CHECK(said("printf 'M\\374ller \\302\\23331m \\346\\235\\261'") == "M?ller ?31m 東");
    std::string long_line(299, 'x');
    CHECK(said("printf '" + long_line + "\\346\\235\\261yyy'") == long_line);
    CHECK(said("printf '" + long_line.substr(2) + "\\346\\235\\261yyy'") == long_line.substr(2) + "東");
}

TEST_CASE("a script that hangs is ended at its deadline with all that it started, an older service is spared") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    auto service = fixture.request(fixture.script("service", "exec sleep 1000"));
    service.background = true;
    REQUIRE(fixture.client().run(service, soon()));
    const auto before = fixture.processes();
    REQUIRE(before.size() == 1);
    const auto program =
        fixture.script("hang",
                       "trap '' TERM; (trap '' TERM; setsid sleep 1000) & (trap '' TERM; sleep 1000) &\n"
                       "wait; sleep 1000");
    const Instant begin = host::boot_now();
    const auto result = fixture.client().run(fixture.request(program), soon(300ms));
    REQUIRE(result);
    CHECK(result->timed_out);
    CHECK(result->signal == 9);
    CHECK(host::boot_now() - begin < 3s);
    CHECK(wait_until([&] { return fixture.processes() == before; }));
}

TEST_CASE("a script that heeds SIGTERM at its deadline ends at once, its deaf grandchild a little later") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    const auto program = fixture.script("hang", "(trap '' TERM; while :; do sleep 0.1; done) & sleep 1000");
    const auto result = fixture.client().run(fixture.request(program), soon(200ms));
    REQUIRE(result);
    CHECK(result->timed_out);
    CHECK(wait_until([&] { return fixture.processes().empty(); }));
}

TEST_CASE("what root may not run is refused with the path and the remedy") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    const auto refusal = [&](const std::string& program) {
        const auto result = fixture.client().run(fixture.request(program), soon());
        REQUIRE_FALSE(result);
        CHECK(fixture.processes().empty());
        return result.error().message + " | " + result.error().remedy;
    };
    CHECK_THAT(refusal(fixture.path("none")), Contains("/none: does not exist"));
    CHECK_THAT(refusal("start.sh"), Contains("not an absolute path"));
    CHECK_THAT(refusal(fixture.path("../x")), Contains("not a plain path"));
    CHECK_THAT(refusal(fixture.path("var")), Contains("not a regular file"));
    CHECK_THAT(refusal(fixture.script("mode", "", 0600)), Contains("not executable | chmod u+x"));
    CHECK_THAT(refusal(fixture.script("group", "", 0720)),
               Contains("others than root may write it") && Contains("chmod go-w"));
    CHECK_THAT(refusal(fixture.script("world", "", 0702)), Contains("others than root may write it"));

    const auto foreign = fixture.script("foreign", "");
    REQUIRE(::chown(foreign.c_str(), 12345, 0) == 0);
    CHECK_THAT(refusal(foreign), Contains("/foreign: belongs to user 12345, not to root | ") && Contains("chown root"));

    std::filesystem::create_symlink(fixture.script("real", ""), fixture.path("link"));
    CHECK_THAT(refusal(fixture.path("link")), Contains("/link: is a symbolic link"));

    std::filesystem::create_directory(fixture.path("open"));
    fixture.script("open/s", "");
    ::chmod(fixture.path("open").c_str(), 0777);
    CHECK_THAT(refusal(fixture.path("open/s")), Contains("/open: others than root may write it"));
    ::chmod(fixture.path("open").c_str(), 0700);
    REQUIRE(::chown(fixture.path("open").c_str(), 12345, 0) == 0);
    CHECK_THAT(refusal(fixture.path("open/s")), Contains("/open: belongs to user 12345"));
    std::filesystem::create_directory_symlink(fixture.path("var"), fixture.path("linked"));
    fixture.script("var/s", "");
    CHECK_THAT(refusal(fixture.path("linked/s")), Contains("/linked: is a symbolic link"));
}

TEST_CASE("a program that cannot be executed is an error that names it") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    const auto program = fixture.script("x", "");
    std::filesystem::resize_file(program, 0);
    FILE* file = std::fopen(program.c_str(), "w");
    std::fputs("#!/no/such/interpreter\n", file);
    std::fclose(file);
    for (const bool background : {false, true}) {
        auto request = fixture.request(program);
        request.background = background;
        const auto result = fixture.client().run(request, soon());
        REQUIRE_FALSE(result);
        CHECK_THAT(result.error().message, Contains("cannot run " + program));
    }
}

TEST_CASE("malformed requests are refused") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    const auto program = fixture.script("s", "touch " + fixture.path("ran"));
    const auto refused = [&](const std::function<void(host::ScriptRequest&)>& spoil) {
        auto request = fixture.request(program);
        spoil(request);
        const auto result = fixture.client().run(request, soon());
        return !result && result.error().code == ErrorCode::kUsage;
    };
    CHECK(refused([](auto& r) { r.group = "../web"; }));
    CHECK(refused([](auto& r) { r.resource = ""; }));
    CHECK(refused([](auto& r) { r.resource = "a/b"; }));
    CHECK(refused([](auto& r) { r.log_name = "../../etc/x"; }));
    CHECK(refused([](auto& r) { r.log_name = ".hidden"; }));
    CHECK(refused([](auto& r) { r.argv.clear(); }));
    CHECK(refused([](auto& r) { r.argv.emplace_back("a\0b", 3); }));
    CHECK(refused([](auto& r) { r.environment["A=B"] = "c"; }));
    CHECK(refused([](auto& r) { r.environment[""] = "c"; }));
    CHECK(refused([](auto& r) { r.environment["A"] = std::string(5000, 'x'); }));
    CHECK(refused([](auto& r) { r.argv.resize(65, "x"); }));
    CHECK_FALSE(std::filesystem::exists(fixture.path("ran")));
}

TEST_CASE("a log in whose place stands a link or another kind of file is refused") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    const auto log = fixture.path("var/log/web.nginx.log");
    const auto program = fixture.script("s", "echo secret");
    std::filesystem::create_symlink(fixture.path("elsewhere"), log);
    CHECK_FALSE(fixture.client().run(fixture.request(program), soon()));
    CHECK_FALSE(std::filesystem::exists(fixture.path("elsewhere")));
    std::filesystem::remove(log);
    REQUIRE(::mkfifo(log.c_str(), 0600) == 0);
    CHECK_FALSE(fixture.client().run(fixture.request(program), soon()));
    std::filesystem::remove(log);
    std::filesystem::create_hard_link(program, log);
    CHECK_FALSE(fixture.client().run(fixture.request(program), soon()));
}

TEST_CASE("a log above its limit is rotated under the service that writes it") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper({"--log-limit", "100000"});
    auto request = fixture.request(
        fixture.script("s", "while :; do n=$((n+1)); echo \"line $n of a service that talks a lot\"; done"));
    request.background = true;
    REQUIRE(fixture.client().run(request, soon()));
    CHECK(wait_until([&] { return std::filesystem::exists(fixture.path("var/log/web.nginx.log.1")); }));
    const auto written_again = [&] {
        return fixture.log().find(" of a service that talks a lot\n") != std::string::npos;
    };
    CHECK(wait_until(written_again));
    REQUIRE(fixture.client().kill_all("web", "nginx", soon()));
    CHECK(std::filesystem::file_size(fixture.path("var/log/web.nginx.log.1")) == 100000);
    CHECK_FALSE(std::filesystem::exists(fixture.path("var/log/web.nginx.log.new")));
}

TEST_CASE("1000 quick scripts") {
    if (skip_without_cgroups()) return;
    HelperFixture fixture;
    fixture.start_helper();
    const auto request = fixture.request("/usr/bin/true");
    const Instant begin = host::boot_now();
    for (int i = 0; i < 1000; ++i) {
        const auto result = fixture.client().run(request, soon());
        REQUIRE(result);
        REQUIRE(result->exit_code == 0);
    }
    WARN("1000 scripts in " << milliseconds(host::boot_now() - begin) << " ms");
    CHECK(fixture.client().list()->empty());
    CHECK(std::filesystem::is_empty(fixture.path("run/helper")));
    const auto descriptors = std::filesystem::directory_iterator("/proc/" + std::to_string(fixture.helper()) + "/fd");
    CHECK(std::distance(descriptors, std::filesystem::directory_iterator{}) < 15);
}
