#include "tests/component/alerts/receiver.h"

#include <arpa/inet.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <csignal>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/files.h"
#include "tests/support/wait_until.h"

extern char** environ;

namespace kagami::testing {
namespace {

std::vector<nlohmann::json> lines_of(const std::string& path) {
    std::vector<nlohmann::json> lines;
    std::istringstream text(read_file(path, 1U << 26U).value_or(""));
    for (std::string line; std::getline(text, line);) {
        auto json = nlohmann::json::parse(line, nullptr, false);
        if (!json.is_discarded()) lines.push_back(std::move(json));  // the last one may not be whole yet
    }
    return lines;
}

}  // namespace

Receiver::Receiver(const std::string& directory, const std::string& kind, std::vector<std::string> arguments) {
    static std::atomic<int> number = 0;
    out_ = directory + "/receiver" + std::to_string(++number) + ".out";
    std::vector<std::string> words = {"/usr/bin/python3", "-W", "ignore", KAGAMI_RECEIVERS, kind, "--out", out_};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    REQUIRE(::posix_spawn(&process_, argv[0], nullptr, nullptr, argv.data(), environ) == 0);
    REQUIRE(wait_until([&] { return !lines_of(out_).empty(); }, 30s));
    port_ = lines_of(out_).front().at("port").get<uint16_t>();
}

void Receiver::stop() {
    if (process_ == 0) return;
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = 0;
}

std::vector<nlohmann::json> Receiver::all() const {
    auto lines = lines_of(out_);
    lines.erase(lines.begin());
    return lines;
}

std::vector<nlohmann::json> Receiver::taken() const {
    std::vector<nlohmann::json> messages;
    for (const auto& line : all()) {
        if (!line.contains("refused")) messages.push_back(line);
    }
    return messages;
}

size_t Receiver::refused() const {
    return all().size() - taken().size();
}

bool Receiver::took(size_t count) const {
    return wait_until([&] { return taken().size() >= count; }, 20s);
}

uint16_t free_port() {
    const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0);
    REQUIRE(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
    return ntohs(address.sin_port);
}

}  // namespace kagami::testing
