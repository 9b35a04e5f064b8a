#include "tests/component/host/two_namespaces.h"

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <csignal>

namespace kagami::host {
namespace {

std::string run(const std::vector<std::string>& arguments) {
    std::vector<std::string> copies = arguments;
    std::vector<char*> argv;
    for (auto& argument : copies) argv.push_back(argument.data());
    argv.push_back(nullptr);
    std::array<int, 2> pipe_fds{};
    REQUIRE(::pipe2(pipe_fds.data(), O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], 1);
    pid_t pid = 0;
    REQUIRE(::posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ) == 0);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(pipe_fds[1]);
    std::string text;
    std::array<char, 4096> piece{};
    for (ssize_t got = 0; (got = ::read(pipe_fds[0], piece.data(), piece.size())) > 0;)
        text.append(piece.data(), static_cast<size_t>(got));
    ::close(pipe_fds[0]);
    int status = 0;
    ::waitpid(pid, &status, 0);
    std::string shown;
    for (const auto& argument : arguments) shown += argument + " ";
    INFO(shown);
    REQUIRE(status == 0);
    return text;
}

}  // namespace

TwoNamespaces::TwoNamespaces() : original_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
    REQUIRE(original_.valid());
    std::array<int, 2> ready{};
    REQUIRE(::pipe2(ready.data(), O_CLOEXEC) == 0);
    peer_ = ::fork();
    if (peer_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        const char good = ::unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
        [[maybe_unused]] const ssize_t written = ::write(ready[1], &good, 1);
        for (;;) ::pause();
    }
    char good = 'n';
    REQUIRE(::read(ready[0], &good, 1) == 1);
    ::close(ready[0]);
    ::close(ready[1]);
    REQUIRE(good == 'y');
    REQUIRE(::unshare(CLONE_NEWNET) == 0);
    here({"link", "set", "lo", "up"});
    here({"link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", std::to_string(peer_)});
    here({"link", "set", "v0", "up"});
    peer({"link", "set", "lo", "up"});
    peer({"link", "set", "v1", "up"});
    here({"address", "add", "10.9.0.1/24", "dev", "v0"});
    here({"address", "add", "fd09::1/64", "dev", "v0", "nodad"});
    peer({"address", "add", "10.9.0.2/24", "dev", "v1"});
    peer({"address", "add", "fd09::2/64", "dev", "v1", "nodad"});
}

TwoNamespaces::~TwoNamespaces() {
    ::setns(original_.get(), CLONE_NEWNET);
    ::kill(peer_, SIGKILL);
    ::waitpid(peer_, nullptr, 0);
}

std::string TwoNamespaces::here(const std::vector<std::string>& arguments) const {
    std::vector<std::string> all = {"/usr/sbin/ip"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return run(all);
}

std::string TwoNamespaces::peer(const std::vector<std::string>& arguments) const {
    std::vector<std::string> all = {"/usr/bin/nsenter", "--net=/proc/" + std::to_string(peer_) + "/ns/net",
                                    "/usr/sbin/ip"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return run(all);
}

std::string TwoNamespaces::mac(const std::string& link_show) const {
    const std::string key = "link/ether ";
    return link_show.substr(link_show.find(key) + key.size(), 17);
}

}  // namespace kagami::host
