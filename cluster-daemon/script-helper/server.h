// The helper's socket: one request and one reply a connection, root only (the directory is root's and 0700, the socket
// 0600, and the peer's credentials are checked). After a reply to kRun or kFetch the client sends one packet to say
// that it has it; a connection that breaks before that leaves the result for the next asker.
#pragma once

#include <map>
#include <string>

#include "cluster-daemon/script-helper/kill_jobs.h"
#include "cluster-daemon/script-helper/run_table.h"

namespace kagami::script_helper {

constexpr size_t kMaxConnections = 256;

struct Options {
    std::string socket = kDefaultSocket;
    std::string log_directory = "/var/lib/kagami/log";
    std::string cgroup_root;
    off_t log_limit_bytes = kMaxLogBytes;
};

class Server {
 public:
    explicit Server(Options options);
    // Makes directories and socket, refuses what somebody else has put in their place, and adopts what an earlier
    // helper left.
    Status prepare();
    [[noreturn]] void serve();

 private:
    struct Connection {
        UniqueFd fd;
        bool asked = false;
        bool answered = false;
    };
    Status take_lock(const std::string& directory);
    Status listen();
    void watch_listener();
    void on_connect();
    void on_packet(Asker id);
    void dispatch(const Request& request, Asker asker);
    void respond(Asker asker, const Reply& reply);
    void drop(Asker id);
    void rotate_logs();

    Options options_;
    host::EventLoop loop_;
    UniqueFd lock_;
    UniqueFd listener_;
    std::map<Asker, Connection> connections_;
    Asker last_asker_ = 0;
    RunTable runs_;
    KillJobs kills_;
};

}  // namespace kagami::script_helper
