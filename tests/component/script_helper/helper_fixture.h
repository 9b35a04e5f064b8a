// A real kagami-script-helper with directories and a cgroup root of its own, gone when the fixture goes.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "cluster-daemon/script-helper/client.h"
#include "common/host/boot_clock.h"
#include "common/host/cgroup.h"
#include "tests/support/wait_until.h"

namespace kagami::script_helper {

using kagami::testing::wait_until;

class HelperFixture {
 public:
    HelperFixture();
    ~HelperFixture();
    HelperFixture(const HelperFixture&) = delete;
    void start_helper(const std::vector<std::string>& more = {});
    void kill_helper();
    // Runs it to its end (it is expected to refuse) and returns its exit status and what it said.
    int refused_start(std::string* said);
    // Writes an executable script of root's and returns its path.
    std::string script(const std::string& name, const std::string& body, mode_t mode = 0700) const;
    host::ScriptRequest request(const std::string& program) const;
    std::string log() const;  // of web.nginx
    std::string path(const std::string& name) const { return top_ + "/" + name; }
    std::vector<int> processes();
    Client& client() { return client_; }
    pid_t helper() const { return helper_; }

 private:
    std::vector<std::string> arguments(const std::vector<std::string>& more) const;
    std::string top_;
    std::string cgroup_root_;
    pid_t helper_ = 0;
    Client client_;
};

// Says aloud that the test is skipped, and why.
bool skip_without_cgroups();

}  // namespace kagami::script_helper
