// genw through the real script helper: cgroups, time-outs, scripts that stay.
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/component/monitors/watched.h"
#include "tests/component/script_helper/helper_fixture.h"

using namespace kagami;
using namespace kagami::monitors;
using Catch::Matchers::Contains;
using kagami::testing::wait_until;
using testing::Texts;

namespace {

class Scripts {
 public:
    Scripts() { helper.start_helper(); }
    ~Scripts() {
        const host::Cgroup cgroup(*host::cgroup_root(), "checks", "watch");
        (void)cgroup.kill();
        wait_until([&] { return cgroup.processes().empty(); });
        ::rmdir(cgroup.path().c_str());
        ::rmdir((*host::cgroup_root() + "/checks").c_str());
    }
    Result<Finding> look(const std::string& body, Texts values = {}, Duration timeout = 20s) {
        std::filesystem::create_directories(helper.path("scripts/monitors/watch"));
        helper.script("scripts/monitors/watch/check.sh", body);
        values.insert({"script", {"check.sh"}});
        context = context_of("genw", values, timeout);
        context.script_directory = helper.path("scripts");
        return look_again(timeout);
    }
    Result<Finding> look_again(Duration timeout = 20s) {
        context.deadline = host::boot_now() + timeout;
        return find("genw")->make(machine->host())->check(context);
    }
    std::vector<int> living() { return helper.client().processes("checks", "watch").value(); }

    script_helper::HelperFixture helper;
    std::unique_ptr<host::LinuxHost> machine =
        host::make_linux_host(std::make_unique<script_helper::Client>(helper.path("run/helper.sock")));
    Context context;
};

}  // namespace

TEST_CASE("genw judges real scripts by exit status and last line, in a cgroup and a log of their own") {
    if (script_helper::skip_without_cgroups()) return;
    Scripts scripts;
    CHECK(scripts.look("echo begin; echo all is well")->message == "all is well");
    CHECK(scripts.look("exit 3")->health == Health::kError);
    CHECK(scripts.look("exit 3", {{"normal", {"0", "3"}}})->health == Health::kNormal);
    CHECK(scripts.look("echo slow; exit 7", {{"caution", {"7"}}})->message ==
          "slow (check.sh ended with exit status 7)");
    CHECK(scripts.look("kill -9 $$")->message == "check.sh was ended by signal 9");
    CHECK_THAT(scripts.look("grep -c checks/watch /proc/self/cgroup")->message, Contains("1"));
    CHECK(scripts.look("echo $CLP_MONITORNAME")->message == "watch");
    CHECK(std::filesystem::exists(scripts.helper.path("var/log/monitors.watch.log")));
}

TEST_CASE("genw ends a script that hangs, ignores SIGTERM or leaves processes, and never overstays") {
    if (script_helper::skip_without_cgroups()) return;
    Scripts scripts;
    const Instant begun = host::boot_now();
    const auto hung = scripts.look("trap '' TERM; echo waiting; while :; do sleep 100; done", {}, 4s);
    CHECK(hung.error().code == ErrorCode::kTimedOut);
    CHECK_THAT(hung.error().message, Contains("waiting (check.sh did not end within 3 s"));
    CHECK(host::boot_now() - begun < 6s);
    CHECK(scripts.living().empty());
    CHECK(scripts.look("setsid sleep 1000 & echo good")->message == "good");
    CHECK(scripts.living().empty());
}

TEST_CASE("genw refuses a script that others may write, and one that is not there") {
    if (script_helper::skip_without_cgroups()) return;
    Scripts scripts;
    REQUIRE(scripts.look("exit 0"));
    const std::string path = scripts.helper.path("scripts/monitors/watch/check.sh");
    ::chmod(path.c_str(), 0777);
    CHECK(scripts.look_again().error().code == ErrorCode::kRefused);
    ::unlink(path.c_str());
    CHECK(scripts.look_again().error().code == ErrorCode::kNotFound);
}

TEST_CASE("genw async keeps its script, tells its end, starts it again and ends it with the monitor") {
    if (script_helper::skip_without_cgroups()) return;
    Scripts scripts;
    const Texts async{{"mode", {"async"}}, {"stop_timeout", {"1s"}}};
    CHECK(scripts.look("exec sleep 1000", async)->message == "check.sh was started");
    const int first = scripts.living().at(0);
    CHECK(scripts.look_again()->message == "process " + std::to_string(first) + " of check.sh is alive");
    ::kill(first, SIGKILL);
    REQUIRE(wait_until([&] { return scripts.living().empty(); }));
    const auto ended = scripts.look_again();
    CHECK(ended->health == Health::kError);
    CHECK_THAT(ended->message, Contains("process " + std::to_string(first) + " of check.sh has ended"));
    CHECK(scripts.look_again()->health == Health::kNormal);
    CHECK(scripts.living().size() == 1);
    REQUIRE(find("genw")->make(scripts.machine->host())->stop(scripts.context));
    CHECK(scripts.living().empty());
    CHECK(scripts.look_again()->message == "check.sh was started");
    CHECK(find("genw")->make(scripts.machine->host())->stop(scripts.context));
}
