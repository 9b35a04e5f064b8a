// httpw against a real web server on loopback, in the clear and over TLS.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>

#include "common/files.h"
#include "tests/component/monitors/watched.h"
#include "tests/support/temporary_directory.h"

using namespace kagami;
using namespace kagami::monitors;
using Catch::Matchers::Contains;
using testing::Texts;

namespace {

pid_t spawn(std::vector<std::string> words, int input, int output) {
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, input, 0);
    ::posix_spawn_file_actions_adddup2(&actions, output, 1);
    ::posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    pid_t pid = 0;
    REQUIRE(::posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ) == 0);
    ::posix_spawn_file_actions_destroy(&actions);
    return pid;
}

class WebServer {
 public:
    explicit WebServer(const std::vector<std::string>& tls = {}) {
        std::array<int, 2> input{};
        std::array<int, 2> output{};
        REQUIRE(::pipe2(input.data(), O_CLOEXEC) == 0);
        REQUIRE(::pipe2(output.data(), O_CLOEXEC) == 0);
        std::vector<std::string> words = {"/usr/bin/python3", KAGAMI_WEB_SERVER};
        words.insert(words.end(), tls.begin(), tls.end());
        pid_ = spawn(words, input[0], output[1]);
        ::close(input[0]);
        ::close(output[1]);
        input_ = UniqueFd(input[1]);
        const UniqueFd reading(output[0]);
        char c = 0;
        while (::read(reading.get(), &c, 1) == 1 && c != '\n') port_ += c;
        REQUIRE(c == '\n');
    }
    ~WebServer() {
        input_.reset();
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    WebServer(const WebServer&) = delete;
    const std::string& port() const { return port_; }

 private:
    pid_t pid_ = 0;
    UniqueFd input_;
    std::string port_;
};

struct Client {
    std::unique_ptr<host::LinuxHost> host = host::make_linux_host(nullptr);
    std::string port;
    Result<Finding> ask(Texts values, Duration timeout = 10s) const {
        values.insert({"port", {port}});
        return check(host->host(), "httpw", values, timeout);
    }
};

}  // namespace

TEST_CASE("httpw takes the status of a real server, of HEAD and of GET") {
    const WebServer server;
    const Client client{.port = server.port()};
    CHECK(client.ask({})->message == "http://127.0.0.1:" + server.port() + "/ answers 200");
    CHECK(client.ask({{"method", {"GET"}}})->health == Health::kNormal);
    CHECK(client.ask({{"uri", {"/moved"}}})->message.find("answers 302") != std::string::npos);
    CHECK(client.ask({{"uri", {"/missing"}}})->health == Health::kError);
    CHECK(client.ask({{"uri", {"/missing"}}, {"expect", {"404"}}})->health == Health::kNormal);
    CHECK_THAT(client.ask({{"uri", {"/broken"}}})->message, Contains("answers 500, expected is 200-399"));
    CHECK(client.ask({{"uri", {"/get-only"}}})->health == Health::kError);
    CHECK(client.ask({{"uri", {"/get-only"}}, {"method", {"GET"}}})->health == Health::kNormal);
    CHECK(client.ask({{"uri", {"/endless"}}, {"method", {"GET"}}})->health == Health::kNormal);
}

TEST_CASE("httpw goes to the server itself, whatever proxy the environment names") {
    const WebServer server;
    const Client client{.port = server.port()};
    ::setenv("http_proxy", "http://127.0.0.1:1", 1);
    const auto found = client.ask({{"uri", {"/direct"}}});
    ::unsetenv("http_proxy");
    REQUIRE(found);
    CHECK(found->health == Health::kNormal);
}

TEST_CASE("httpw is bounded: a server that is silent, one that is not there, a name that nobody knows") {
    const WebServer server;
    const Client client{.port = server.port()};
    const Instant begun = host::boot_now();
    const auto silent = client.ask({{"uri", {"/silent"}}}, 300ms);
    CHECK(silent.error().code == ErrorCode::kTimedOut);
    CHECK(host::boot_now() - begun < 1500ms);
    const Client wrong{.port = "1"};
    CHECK(wrong.ask({}).error().code == ErrorCode::kUnreachable);
    CHECK_THAT(wrong.ask({}).error().message, Contains("http://127.0.0.1:1/"));
    const Instant asked = host::boot_now();
    const auto unknown = client.ask({{"server", {"no-such-host.invalid"}}}, 500ms);
    CHECK_FALSE(unknown);
    CHECK(host::boot_now() - asked < 2s);
    CHECK(client.ask({}, -1s).error().code == ErrorCode::kTimedOut);
}

TEST_CASE("httpw logs in with a password that stands in no message") {
    const WebServer server;
    const Client client{.port = server.port()};
    const testing::TemporaryDirectory directory;
    REQUIRE(write_file_atomically(directory / "password", "top secret\n"));
    CHECK_THAT(client.ask({{"uri", {"/secret"}}})->message, Contains("answers 401"));
    const auto found =
        client.ask({{"uri", {"/secret"}}, {"user", {"kagami"}}, {"password_file", {directory / "password"}}});
    CHECK(found->health == Health::kNormal);
    CHECK_THAT(found->message, !Contains("secret@") && !Contains("top"));
}

TEST_CASE("httpw over TLS trusts the named authority, the name included, unless told otherwise") {
    const testing::TemporaryDirectory directory;
    const std::string certificate = directory / "cert.pem";
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    const pid_t made =
        spawn({"/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
               "-keyout", directory / "key.pem", "-out", certificate, "-days", "2", "-subj", "/CN=localhost", "-addext",
               "subjectAltName=DNS:localhost"},
              null.get(), null.get());
    int status = 0;
    ::waitpid(made, &status, 0);
    REQUIRE(status == 0);
    const WebServer server({certificate, directory / "key.pem"});
    const Client client{.port = server.port()};
    const Texts secure{{"https", {"true"}}, {"server", {"localhost"}}};
    const auto with = [&](Texts more) {
        more.insert(secure.begin(), secure.end());
        return client.ask(more);
    };
    CHECK(with({{"ca_file", {certificate}}})->health == Health::kNormal);
    CHECK(with({}).error().code == ErrorCode::kRefused);
    CHECK_THAT(with({}).error().remedy, Contains("ca_file"));
    CHECK(with({{"verify", {"false"}}})->health == Health::kNormal);
    CHECK(with({{"ca_file", {certificate}}, {"server", {"127.0.0.1"}}}).error().code == ErrorCode::kRefused);
    CHECK(with({{"ca_file", {directory / "none.pem"}}}).error().code == ErrorCode::kUsage);
    CHECK_FALSE(client.ask({{"server", {"localhost"}}}));  // in the clear to a TLS port
}
