// A real service from end to end: exec and pidw over LinuxHost, the script helper and cgroups.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <future>
#include <set>

#include "cluster-daemon/script-helper/run_table.h"
#include "common/host/linux_host.h"
#include "monitors/monitor.h"
#include "resources/resource.h"
#include "tests/component/script_helper/helper_fixture.h"
#include "tests/support/type_values.h"

using namespace kagami;
using namespace kagami::script_helper;
using Catch::Matchers::Contains;

namespace {

struct ServiceFixture {
    HelperFixture helper;
    std::unique_ptr<host::LinuxHost> machine;
    resources::Context context;
    std::unique_ptr<resources::Resource> exec;
    monitors::Context watch;
    std::unique_ptr<monitors::Monitor> pidw;

    ServiceFixture() {
        helper.start_helper();
        machine = host::make_linux_host(std::make_unique<Client>(helper.path("run/helper.sock")));
        exec = resources::find("exec")->make(machine->host());
        pidw = monitors::find("pidw")->make(machine->host());
        context.group = watch.target_group = "web";
        context.resource = watch.target_resource = "nginx";
        context.environment = {{"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"}};
    }
    void activates() {
        const Status status = activate();
        INFO((status ? "" : status.error().message));
        REQUIRE(status);
    }
    // Scripts as they would lie in the configuration.
    void configure(const std::string& start, const std::string& stop, const testing::Texts& more = {}) {
        testing::Texts texts = {{"start", {helper.script("start.sh", start)}},
                                {"stop", {helper.script("stop.sh", stop)}}};
        texts.insert(more.begin(), more.end());
        context.values = testing::type_values(resources::find("exec")->description, texts);
    }
    Status activate() {
        context.deadline = host::boot_now() + 20s;
        return exec->activate(context);
    }
    Status deactivate(Duration left = 20s) {
        context.deadline = host::boot_now() + left;
        return exec->deactivate(context);
    }
    monitors::Finding finding() { return pidw->check(watch).value(); }
    resources::Probe probe() { return exec->probe(context).value(); }
};

bool skip_without_nginx() {
    if (::access("/usr/sbin/nginx", X_OK) == 0) return false;
    WARN("SKIPPED: nginx is not installed");
    return true;
}

std::string nginx_configuration(const HelperFixture& helper) {
    const std::string file = helper.path("nginx.conf");
    std::ofstream(file) << "pid " << helper.path("nginx.pid") << "; error_log " << helper.path("nginx.log")
                        << "; worker_processes 2; user root; events {} http { access_log off; server { listen unix:"
                        << helper.path("nginx.sock") << "; return 200 ok; } }\n";
    return "/usr/sbin/nginx -c " + file;
}

}  // namespace

TEST_CASE("the death of nginx's master is noticed at once, its workers are cleared away, and it starts again") {
    if (skip_without_cgroups() || skip_without_nginx()) return;
    ServiceFixture service;
    const std::string nginx = nginx_configuration(service.helper);
    service.configure("rm -f " + service.helper.path("nginx.sock") + "; " + nginx, nginx + " -s quit");
    std::vector<Duration> noticed;
    for (int round = 0; round < 5; ++round) {
        service.activates();
        CHECK(service.probe() == resources::Probe::kActive);
        REQUIRE(service.finding().health == monitors::Health::kNormal);
        const int master = service.machine->host().scripts->started("web", "nginx")->main;
        CHECK(host::process_name(master) == "nginx");
        std::promise<void> stirred;
        std::atomic<int> calls = 0;  // the first comes with the subscription
        auto subscription = service.pidw->subscribe(service.watch, [&] {
            if (++calls == 2) stirred.set_value();
        });
        // Right after the start the oldest process could still be a launcher.
        const Instant settled = host::boot_now() + kSettling;
        REQUIRE(wait_until([&] { return host::boot_now() > settled; }));
        const Instant killed = host::boot_now();
        ::kill(master, SIGKILL);
        REQUIRE(stirred.get_future().wait_for(5s) == std::future_status::ready);
        const auto finding = service.finding();
        noticed.push_back(host::boot_now() - killed);
        CHECK(finding.health == monitors::Health::kError);
        CHECK_THAT(finding.message, Contains(std::to_string(master) + " of web.nginx has ended"));
        subscription.reset();
        (void)service.deactivate();  // its stop script finds no nginx; a probe tells that all of it is gone
        CHECK(service.probe() == resources::Probe::kInactive);
        CHECK(service.helper.processes().empty());
    }
    std::sort(noticed.begin(), noticed.end());
    WARN("death of the master to the finished check: median " << noticed[2].count() / 1000 << " us, maximum "
                                                              << noticed.back().count() / 1000 << " us");
    CHECK(noticed[2] < 20ms);
    service.activates();
    CHECK(service.deactivate());
    CHECK(service.probe() == resources::Probe::kInactive);
}

TEST_CASE("an asynchronous program is its own service") {
    if (skip_without_cgroups()) return;
    ServiceFixture service;
    service.configure("exec sleep 1000", "exit 0", testing::Texts{{"start_mode", {"async"}}});
    service.activates();
    CHECK(service.finding().health == monitors::Health::kNormal);
    std::atomic<int> stirred = 0;
    const auto subscription = service.pidw->subscribe(service.watch, [&] { ++stirred; });
    ::kill(service.helper.processes().at(0), SIGTERM);
    CHECK(wait_until([&] { return stirred == 2; }));
    CHECK(service.finding().health == monitors::Health::kError);
    CHECK(service.deactivate());
}

TEST_CASE("what a stop script leaves is killed; a stop script that hangs or fails is a failure that says so") {
    if (skip_without_cgroups()) return;
    ServiceFixture service;
    const std::string deaf = "(trap '' TERM; while :; do sleep 1; done) &";
    service.configure(deaf, "exit 0");
    service.activates();
    REQUIRE(service.deactivate(2s));
    CHECK(service.helper.processes().empty());

    service.configure(deaf, "echo cannot reach the service; exit 4");
    service.activates();
    const Status failed = service.deactivate(2s);
    REQUIRE_FALSE(failed);
    CHECK_THAT(failed.error().message, Contains("stop.sh failed with exit status 4: \"cannot reach the service\"") &&
                                           Contains("have been killed"));
    CHECK(service.helper.processes().empty());

    service.configure(deaf, "sleep 1000", testing::Texts{{"stop_timeout", {"1s"}}});
    service.activates();
    const Instant begin = host::boot_now();
    const Status hung = service.deactivate(8s);
    REQUIRE_FALSE(hung);
    CHECK(hung.error().code == ErrorCode::kTimedOut);
    CHECK_THAT(hung.error().message, Contains("stop.sh did not end within 1 s"));
    CHECK(host::boot_now() - begin < 10s);
    CHECK(service.helper.processes().empty());
    CHECK(service.probe() == resources::Probe::kInactive);
}

TEST_CASE("a start script that hangs is ended with all that it started") {
    if (skip_without_cgroups()) return;
    ServiceFixture service;
    service.configure("(trap '' TERM; sleep 1000) & echo waiting for the moon; sleep 1000", "exit 0",
                      testing::Texts{{"start_timeout", {"1s"}}});
    const Status hung = service.activate();
    REQUIRE_FALSE(hung);
    CHECK_THAT(hung.error().message, Contains("start.sh did not end within 1 s: \"waiting for the moon\""));
    CHECK(wait_until([&] { return service.helper.processes().empty(); }));
    CHECK(service.probe() == resources::Probe::kInactive);
}

TEST_CASE("a missing script is an error that names the path") {
    if (skip_without_cgroups()) return;
    ServiceFixture service;
    service.configure("", "");
    ::unlink(service.helper.path("start.sh").c_str());
    const Status missing = service.activate();
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == ErrorCode::kNotFound);
    CHECK_THAT(missing.error().message, Contains("/start.sh: does not exist"));
}
