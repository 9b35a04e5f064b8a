#include "tests/component/script_helper/helper_fixture.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace kagami::script_helper {
namespace {

std::string read_all(const std::string& path) {
    std::ifstream in(path);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

pid_t spawn(const std::vector<std::string>& arguments, const std::string& said_path) {
    std::vector<char*> argv;
    std::vector<std::string> copies = arguments;
    for (auto& argument : copies) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int said = ::open(said_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(said, 2);
    ::execv(argv[0], argv.data());
    ::_exit(127);
}

}  // namespace

bool skip_without_cgroups() {
    const auto root = host::cgroup_root();
    if (!root) {
        WARN("SKIPPED: " << root.error().message);
        return true;
    }
    const host::Cgroup probe(*root + "-probe", "probe", "probe");
    const bool usable = probe.make().has_value() && ::access((probe.path() + "/cgroup.kill").c_str(), W_OK) == 0;
    ::rmdir(probe.path().c_str());
    ::rmdir((*root + "-probe/probe").c_str());
    ::rmdir((*root + "-probe").c_str());
    if (!usable) WARN("SKIPPED: this kernel has no writable cgroup2 with cgroup.kill (Linux 5.14)");
    return !usable;
}

// Below /run and not /tmp: every directory above a script must be writable by root only.
HelperFixture::HelperFixture()
    : top_("/run/kagami-test-" + std::to_string(::getpid())), client_(top_ + "/run/helper.sock") {
    cgroup_root_ = *host::cgroup_root() + "-test-" + std::to_string(::getpid());
    ::setenv("KAGAMI_CGROUP_ROOT", cgroup_root_.c_str(), 1);
    REQUIRE(::mkdir(top_.c_str(), 0700) == 0);
    REQUIRE(::mkdir(path("var").c_str(), 0700) == 0);
}

HelperFixture::~HelperFixture() {
    if (helper_ > 0) kill_helper();
    const host::Cgroup cgroup(cgroup_root_, "web", "nginx");
    if (::access(cgroup.path().c_str(), F_OK) == 0) {
        cgroup.kill();
        wait_until([&] { return cgroup.processes().empty(); });
    }
    ::rmdir(cgroup.path().c_str());
    ::rmdir((cgroup_root_ + "/web").c_str());
    ::rmdir(cgroup_root_.c_str());
    ::unsetenv("KAGAMI_CGROUP_ROOT");
    std::filesystem::remove_all(top_);
}

std::vector<std::string> HelperFixture::arguments(const std::vector<std::string>& more) const {
    std::vector<std::string> all = {KAGAMI_SCRIPT_HELPER, "--socket", top_ + "/run/helper.sock", "--log-directory",
                                    top_ + "/var/log"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

void HelperFixture::start_helper(const std::vector<std::string>& more) {
    helper_ = spawn(arguments(more), path("said"));
    REQUIRE(helper_ > 0);
    REQUIRE(wait_until([&] { return client_.list().has_value(); }));
}

void HelperFixture::kill_helper() {
    ::kill(helper_, SIGKILL);
    ::waitpid(helper_, nullptr, 0);
    helper_ = 0;
}

int HelperFixture::refused_start(std::string* said) {
    const pid_t pid = spawn(arguments({}), path("said"));
    int status = 0;
    ::waitpid(pid, &status, 0);
    *said = read_all(path("said"));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string HelperFixture::script(const std::string& name, const std::string& body, mode_t mode) const {
    std::ofstream(path(name)) << "#!/bin/bash\n" << body << "\n";
    ::chmod(path(name).c_str(), mode);
    return path(name);
}

host::ScriptRequest HelperFixture::request(const std::string& program) const {
    host::ScriptRequest request;
    request.group = "web";
    request.resource = "nginx";
    request.argv = {program};
    request.environment = {{"PATH", "/usr/bin:/bin"}, {"CLP_EVENT", "START"}};
    request.log_name = "web.nginx";
    return request;
}

std::string HelperFixture::log() const {
    return read_all(path("var/log/web.nginx.log"));
}

std::vector<int> HelperFixture::processes() {
    return client_.processes("web", "nginx").value_or(std::vector<int>{});
}

}  // namespace kagami::script_helper
