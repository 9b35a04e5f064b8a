// diskw, psw, arpw, mtw, httpw and resw on a fake machine.
#include <sys/stat.h>

#include <fstream>

#include "common/host/check/process_pattern.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/monitors/fixture.h"

using namespace kagami;
using namespace kagami::monitors;
using Catch::Matchers::Contains;
using Catch::Matchers::Equals;
using testing::Texts;

TEST_CASE("diskw asks as it is told, with the size of its method unless another is given") {
    struct Case {
        const char* word;
        host::DiskMethod method;
        uint64_t bytes;
        const char* says;
    };
    for (const Case& one : {Case{"tur", host::DiskMethod::kTestUnitReady, 2000000, "/dev/sdb is ready"},
                            Case{"read", host::DiskMethod::kRead, 2000000, "/dev/sdb can be read"},
                            Case{"read-direct", host::DiskMethod::kReadDirect, 512, "/dev/sdb can be read"},
                            Case{"write", host::DiskMethod::kWrite, 2000000, "/dev/sdb can be written"}}) {
        Bench diskw("diskw", Texts{{"object", {"/dev/sdb"}}, {"method", {one.word}}});
        CHECK(diskw.message() == one.says);
        CHECK(diskw.fake.checks.disk_tests.at(0).method == one.method);
        CHECK(diskw.fake.checks.disk_tests.at(0).bytes == one.bytes);
    }
    Bench sized("diskw", Texts{{"object", {"/dev/sdb"}}, {"size", {"8192"}}});
    CHECK(sized.health() == Health::kNormal);
    CHECK(sized.fake.checks.disk_tests.at(0).bytes == 8192);
}

TEST_CASE("diskw tells a stall as a time-out, and judges a full disk as it is told") {
    Bench diskw("diskw", Texts{{"object", {"/dev/sdb"}}});
    diskw.fake.checks.disk = fail(ErrorCode::kTimedOut, "/dev/sdb: no answer within 60 s");
    CHECK(diskw.error().code == ErrorCode::kTimedOut);
    diskw.fake.checks.disk = fail("/dev/sdb: cannot read: Input/output error");
    CHECK_THAT(diskw.error().message, Contains("Input/output error"));
    for (const auto& [word, health] : std::map<std::string, Health>{
             {"error", Health::kError}, {"caution", Health::kCaution}, {"normal", Health::kNormal}}) {
        Bench full("diskw", Texts{{"object", {"/mnt/x"}}, {"method", {"write"}}, {"disk_full", {word}}});
        full.fake.checks.disk = false;
        CHECK(full.health() == health);
        CHECK_THAT(full.message(), Contains("/mnt/x: no room to write 2000000 bytes"));
    }
}

TEST_CASE("psw counts, and names what it missed") {
    Bench psw("psw", Texts{{"process", {"httpd"}}, {"minimum", {"3"}}});
    psw.fake.checks.counts["httpd"] = 3;
    CHECK(psw.health() == Health::kNormal);
    CHECK_THAT(psw.message(), Equals("3 processes of \"httpd\", at least 3 wanted"));
    psw.fake.checks.counts["httpd"] = 2;
    CHECK(psw.health() == Health::kError);
    CHECK_THAT(psw.message(), Contains("only 2 of 3 processes of \"httpd\""));
    psw.fake.checks.counts["httpd"] = 0;
    CHECK_THAT(psw.message(), Contains("no process of \"httpd\" is alive on this node"));
    psw.fake.checks.broken = Error{ErrorCode::kTimedOut, "the list of processes: no answer within 60 s", ""};
    CHECK(psw.error().code == ErrorCode::kTimedOut);
}

TEST_CASE("a process is meant by its short name, its program, its first argument or its command line") {
    const auto nginx = [](const char* pattern) {
        return host::matches_process(pattern, "nginx", "/usr/sbin/nginx", "/usr/sbin/nginx -g daemon off;");
    };
    for (const char* good : {"nginx", "/usr/sbin/nginx", "/usr/sbin/nginx -g daemon off;", "*daemon off*",
                             "/usr/sbin/*", "*off;", "ngi*", "*", "*n*x*;"})
        CHECK(nginx(good));
    for (const char* bad : {"ngin", "nginx ", "sbin/nginx", "/usr/*/apache*", "*off", "daemon*", ""})
        CHECK_FALSE(nginx(bad));
    CHECK(host::matches_process("kworker*", "kworker/0:1", "", ""));
    CHECK_FALSE(host::matches_process("", "kworker/0:1", "x", "x"));
    CHECK(host::matches_process("*/opt/app/run.py*", "python3", "/usr/bin/python3",
                                "/usr/bin/python3 /opt/app/run.py -v"));
}

TEST_CASE("arpw announces an address that is here, and only cautions about any other") {
    Bench arpw("arpw");
    arpw.context.target_resource = "fip1";
    arpw.context.target_values = config::Values(Texts{{"address", {"10.0.0.100/24"}}});
    CHECK(arpw.health() == Health::kCaution);
    CHECK_THAT(arpw.message(), Equals("address 10.0.0.100 of fip1 is not on this node, nothing was announced"));
    CHECK(arpw.fake.network.calls.empty());
    arpw.fake.network.known_addresses = {{"10.0.0.100", 24, "eth0"}};
    CHECK(arpw.health() == Health::kNormal);
    CHECK_THAT(arpw.message(), Equals("10.0.0.100 was announced on eth0"));
    CHECK(arpw.fake.network.calls.at(0) == "announce again 10.0.0.100/24 eth0");
    arpw.context.target_values = {};
    CHECK(arpw.error().code == ErrorCode::kUsage);
    arpw.context.target_values = config::Values(Texts{{"address", {"10.0.0.100/24"}}});
    arpw.fake.network.broken = Error{ErrorCode::kFailed, "no netlink", ""};
    CHECK(arpw.error().message == "no netlink");
}

TEST_CASE("mtw combines what the engine says of others") {
    Bench mtw("mtw", Texts{{"monitors", {"a", "b", "c"}}});
    CHECK(mtw.health() == Health::kNormal);
    CHECK_THAT(mtw.message(), Equals("0 of 3 monitors are running, none in error"));
    mtw.context.others = {
        {"a", Health::kNormal}, {"b", Health::kNormal}, {"c", Health::kNormal}, {"d", Health::kError}};
    CHECK(mtw.health() == Health::kNormal);
    mtw.context.others["b"] = Health::kCaution;
    CHECK(mtw.health() == Health::kCaution);
    CHECK_THAT(mtw.message(), Equals("0 of 3 monitors in error; in caution: b"));
    mtw.context.others["a"] = mtw.context.others["b"] = Health::kError;
    CHECK(mtw.health() == Health::kCaution);
    CHECK_THAT(mtw.message(), Equals("2 of 3 monitors in error: a, b"));
    mtw.context.others["c"] = Health::kError;
    CHECK(mtw.health() == Health::kError);
}

TEST_CASE("mtw obeys its thresholds; one above the number of members means all of them") {
    Bench mtw("mtw", Texts{{"monitors", {"a", "b", "c"}}, {"error_threshold", {"2"}}, {"caution_threshold", {"2"}}});
    mtw.context.others = {{"a", Health::kError}};
    CHECK(mtw.health() == Health::kNormal);
    mtw.context.others["b"] = Health::kCaution;
    CHECK(mtw.health() == Health::kCaution);
    mtw.context.others["c"] = Health::kError;
    CHECK(mtw.health() == Health::kError);
    Bench high("mtw", Texts{{"monitors", {"a", "b"}}, {"error_threshold", {"9"}}});
    high.context.others = {{"a", Health::kError}, {"b", Health::kError}};
    CHECK(high.health() == Health::kError);
    Bench empty("mtw", Texts{{"monitors", {}}});
    CHECK(empty.error().code == ErrorCode::kUsage);
}

TEST_CASE("httpw asks what its parameters say") {
    const auto url = [](const Texts& values) {
        Bench httpw("httpw", values);
        CHECK(httpw.health() == Health::kNormal);
        CHECK(httpw.fake.http.deadlines.at(0) == httpw.context.deadline);
        return httpw.fake.http.requests.at(0).url;
    };
    CHECK(url({}) == "http://127.0.0.1/");
    CHECK(url({{"server", {"fd00::1"}}, {"port", {"8080"}}, {"uri", {"/x?y=1"}}}) == "http://[fd00::1]:8080/x?y=1");
    CHECK(url({{"server", {"web.example.com"}}, {"https", {"true"}}}) == "https://web.example.com/");
    Bench httpw("httpw", Texts{{"method", {"GET"}}, {"verify", {"false"}}, {"ca_file", {"/etc/ca.pem"}}});
    CHECK(httpw.health() == Health::kNormal);
    const host::HttpRequest& asked = httpw.fake.http.requests.at(0);
    CHECK_FALSE(asked.head);
    CHECK_FALSE(asked.verify);
    CHECK(asked.ca_file == "/etc/ca.pem");
}

TEST_CASE("httpw judges the status, and passes on that there is none") {
    Bench httpw("httpw", Texts{{"expect", {"200", "300-302"}}});
    for (const auto& [status, health] : std::map<int, Health>{{200, Health::kNormal},
                                                              {201, Health::kError},
                                                              {300, Health::kNormal},
                                                              {302, Health::kNormal},
                                                              {303, Health::kError},
                                                              {503, Health::kError}}) {
        httpw.fake.http.answer = status;
        CHECK(httpw.health() == health);
    }
    CHECK_THAT(httpw.message(), Contains("http://127.0.0.1/ answers 503, expected is 200, 300-302"));
    httpw.fake.http.answer = fail(ErrorCode::kUnreachable, "http://127.0.0.1/: Connection refused");
    CHECK(httpw.error().code == ErrorCode::kUnreachable);
}

TEST_CASE("httpw reads the password from a file that is root's alone, and never shows it") {
    const testing::TemporaryDirectory directory;
    const std::string path = directory.path() + "/password";
    std::ofstream(path) << "top secret\nsecond line\n";
    const Texts values{{"user", {"kagami"}}, {"password_file", {path}}};
    Bench open("httpw", values);
    REQUIRE(::chmod(path.c_str(), 0644) == 0);
    CHECK_THAT(open.error().message, Contains(path));
    CHECK(open.fake.http.requests.empty());
    REQUIRE(::chmod(path.c_str(), 0600) == 0);
    Bench httpw("httpw", values);
    CHECK_THAT(httpw.message(), !Contains("secret"));
    CHECK(httpw.fake.http.requests.at(0).user == "kagami");
    CHECK(httpw.fake.http.requests.at(0).password == "top secret");
    Bench missing("httpw", Texts{{"user", {"kagami"}}, {"password_file", {path + "2"}}});
    CHECK(missing.error().code == ErrorCode::kNotFound);
}

TEST_CASE("resw compares free memory and free space with their minimum") {
    Bench memory("resw", Texts{{"minimum_memory", {"1000"}}});
    memory.fake.checks.memory = uint64_t{2000} << 20U;
    CHECK_THAT(memory.message(), Equals("2000 MiB of memory are free, the minimum is 1000 MiB"));
    CHECK(memory.health() == Health::kNormal);
    memory.fake.checks.memory = uint64_t{1249} << 20U;
    CHECK(memory.health() == Health::kCaution);
    memory.fake.checks.memory = uint64_t{1000} << 20U;
    CHECK(memory.health() == Health::kCaution);
    memory.fake.checks.memory = uint64_t{999} << 20U;
    CHECK(memory.health() == Health::kError);
    CHECK(memory.fake.checks.paths.empty());
    Bench both("resw", Texts{{"minimum_memory", {"1000"}}, {"minimum_disk", {"500"}}, {"path", {"/data"}}});
    both.fake.checks.space = uint64_t{100} << 20U;
    CHECK(both.health() == Health::kError);
    CHECK(both.fake.checks.paths.at(0) == "/data");
    CHECK_THAT(both.message(),
               Contains("of memory are free") && Contains("100 MiB are free on the file system of /data"));
    both.fake.checks.space = fail(ErrorCode::kTimedOut, "/data: no answer within 60 s");
    CHECK(both.error().code == ErrorCode::kTimedOut);
    Bench nothing("resw");
    CHECK(nothing.error().code == ErrorCode::kUsage);
}
