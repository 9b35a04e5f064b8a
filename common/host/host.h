// THE seam to the machine. Resources and monitors reach the operating system only through it, so that the same driver
// runs on real nodes (LinuxHost) and in unit tests (FakeHost). Calls block their worker until done or until the
// deadline.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/mirror.h"
#include "common/result.h"
#include "common/time.h"

namespace kagami::host {

// What the good end of a program says about its resource (of a background program: its start). Kept until the node's
// next boot.
enum class Mark : uint8_t { kKeep, kActive, kInactive };

// A program of a resource. It runs in the resource's own cgroup, started by the script helper, and outlives a daemon
// restart: the same request (group, resource, argv) sent again while it runs, or before anybody has fetched its result,
// gets that one's result.
struct ScriptRequest {
    std::string group;
    std::string resource;
    std::vector<std::string> argv;  // argv[0] absolute; root-owned, not writable by others, every parent checked
    std::map<std::string, std::string> environment;  // the whole environment
    std::string log_name;     // "web.nginx": stdout and stderr are appended to the service log of that name
    bool background = false;  // "async": return once started; Processes::on_exit tells when it ends
    Mark mark = Mark::kKeep;
};
struct ScriptResult {
    int exit_code = 0;  // -1 when killed by a signal
    int signal = 0;
    bool timed_out = false;
    std::string last_output;  // the last line or so, for a person's message
};

// What is known of the last start of a resource since this node booted.
struct Started {
    bool active = false;  // the last program with a mark set kActive
    int main = 0;  // the process that is the service: the background program itself, else the oldest one that the
                   // program left behind; 0 when it left none (the service, if any, lives elsewhere)
    bool main_alive = false;
};

class Scripts {
 public:
    virtual ~Scripts() = default;
    // TERM, then KILL, of what the request itself started when the deadline passes. A background program left running
    // returns exit_code 0.
    virtual Result<ScriptResult> run(const ScriptRequest& request, Instant deadline) = 0;
    // Processes that live in the resource's cgroup now, the oldest first.
    virtual Result<std::vector<int>> processes(const std::string& group, const std::string& resource) = 0;
    // SIGTERM to all of them, then cgroup.kill when the deadline nears; returns when the cgroup is empty.
    virtual Status kill_all(const std::string& group, const std::string& resource, Instant deadline) = 0;
    virtual Result<Started> started(const std::string& /*group*/, const std::string& /*resource*/) { return Started{}; }
};

struct Link {
    std::string name;
    int index = 0;
    bool up = false;
    bool carrier = false;
};
struct Address {
    std::string text;  // "10.77.1.100" or "fd00::1"
    int prefix_bits = 0;
    std::string interface;
    bool operator==(const Address&) const = default;
};

class Network {
 public:
    virtual ~Network() = default;
    virtual Result<std::vector<Link>> links() = 0;
    virtual Result<std::vector<Address>> addresses() = 0;
    // The interface on whose subnet the address lies.
    virtual Result<std::string> interface_for(const Address& address) = 0;
    virtual Status add_address(const Address& address) = 0;     // no DAD; success when already there
    virtual Status remove_address(const Address& address) = 0;  // success when already gone
    // Does another host answer for the address (ARP probe RFC 5227, or IPv6 neighbour solicitation)? The MAC that
    // answered, or nothing.
    virtual Result<std::optional<std::string>> probe_duplicate(const Address& address, Duration wait) = 0;
    // Gratuitous ARP / unsolicited neighbour advertisement.
    virtual Status announce(const Address& address) = 0;
    // One volley of it, and only if the address is on its interface at that moment; false = it is not.
    virtual Result<bool> announce_again(const Address& address) = 0;
    // Whether the interface has a link as its driver tells it (ethtool); nothing = the driver does not tell.
    virtual Result<std::optional<bool>> ethtool_link(const std::string& interface) = 0;
    virtual Result<bool> ping(const std::string& address, Duration wait) = 0;
    // Calls back (on a thread of the host) at every change of links or addresses until the handle is destroyed.
    virtual std::shared_ptr<void> on_change(std::function<void()> callback) = 0;
};

class Processes {
 public:
    virtual ~Processes() = default;
    // Calls back once, at once when the process has gone already (pidfd, no polling).
    virtual std::shared_ptr<void> on_exit(int pid, std::function<void()> callback) = 0;
};

// A mirror disk as this node's mirror driver exports it. Promotion and demotion follow the register's word
// (protocol.md 9); a refusal says why and what to do.
struct MirrorDevice {
    std::string path;  // "/dev/loop3": what a file system is made on; empty = promoted, but its device is lost or not
                       // open yet
    std::string front_end;  // "fuse-loop"
    mirror::Generation generation{};  // of the data; none = not told
};
class Mirrors {
 public:
    virtual ~Mirrors() = default;
    virtual Result<MirrorDevice> promote(const std::string& mirror, Instant deadline) = 0;
    virtual Status demote(const std::string& mirror, Instant deadline) = 0;  // success when secondary already
    virtual Result<mirror::Report> report(const std::string& mirror) = 0;
    virtual Result<std::optional<MirrorDevice>> device(const std::string& mirror) = 0;  // nothing: not promoted
    // Calls back at every change of a report until the handle is destroyed.
    virtual std::shared_ptr<void> on_change(const std::string& mirror, std::function<void()> callback) = 0;
};

struct Mount {
    std::string source;
    std::string target;
    std::string type;
    std::string device{};  // "7:3": major and minor number, the same wherever the file system is mounted
    std::string id{};      // of this mount, in all namespaces
};
struct Holder {  // a process that keeps a mount busy
    int pid = 0;
    std::string command;
};
// File systems of this node's mount namespace. None of the calls touches a file on the mounted file system itself.
class Mounts {
 public:
    virtual ~Mounts() = default;
    virtual Result<std::vector<Mount>> mounts() = 0;  // in the order of mounting
    // What keeps a file system from being unmounted, mounts below it included (pid 0).
    virtual Result<std::vector<Holder>> holders(const std::string& target) = 0;
    // Sends the signal to each holder but process 1 and ourselves; whom it was sent to.
    virtual Result<std::vector<Holder>> signal_holders(const std::string& target, int signal) = 0;
    // "an ext4 file system", "a GPT partition table", "data of an unknown kind ..."; empty = blank: its beginning and its
    // end are zero.
    virtual Result<std::string> signature(const std::string& device) = 0;
};

enum class DiskMethod : uint8_t { kTestUnitReady, kRead, kReadDirect, kWrite };
struct DiskTest {
    DiskMethod method = DiskMethod::kRead;
    std::string object;  // a device or file; of kWrite a file that is made, written, synced and removed
    uint64_t bytes = 0;
};
// Work that a user space which runs must get done.
struct Load {
    std::string directory;  // where a file without a name is opened and closed; empty = no file
    uint64_t write_bytes = 0;  // written to it and synced
    bool thread = false;       // one is made and ended
};
// Questions that may wait in the kernel for ever: for a disk that does not answer, a file system on a stalled mirror,
// a process whose memory is locked. A process of its own (kagami-check) puts each of them, and the call returns at the
// deadline (kTimedOut) whatever becomes of that process. As long as it waits, the same question is kTimedOut at once.
class Checks {
 public:
    virtual ~Checks() = default;
    virtual Result<bool> test_disk(const DiskTest& test, Instant deadline) = 0;  // false: there was no room to write
    virtual Result<uint64_t> free_bytes(const std::string& path, Instant deadline) = 0;  // of its file system, for all
    // Living processes; the pattern as process_pattern.h describes it.
    virtual Result<int> count_processes(const std::string& pattern, Instant deadline) = 0;
    virtual Status carry(const Load& load, Instant deadline) = 0;
    virtual Result<uint64_t> available_memory() = 0;  // bytes that programs can get without swapping
};

struct HttpRequest {
    std::string url;  // http:// or https://
    bool head = true;  // else GET
    bool verify = true;  // of https: certificate and name
    std::string ca_file{};  // instead of the system's authorities
    std::string user{};
    std::string password{};
};
class Http {
 public:
    virtual ~Http() = default;
    // The status of the answer; redirections are not followed, proxies not used, a body is read and dropped.
    virtual Result<int> ask(const HttpRequest& request, Instant deadline) = 0;
};

struct Host {
    std::function<Instant()> now;
    // Sleeps, and tells how much later than asked it ran again: what the scheduler of this machine adds at the moment.
    std::function<Duration(Duration)> oversleep;
    // The largest lateness of the guard's own loop since the last call; unset or nothing when the guard does not tell.
    std::function<std::optional<Duration>()> guard_lateness;
    // A line for the daemon's log, of what an operation meets on its way; what it ends with is its result.
    std::function<void(const std::string& line)> note = [](const std::string&) {};
    Scripts* scripts = nullptr;
    Network* network = nullptr;
    Processes* processes = nullptr;
    Mirrors* mirrors = nullptr;
    Mounts* mounts = nullptr;
    Checks* checks = nullptr;
    Http* http = nullptr;
};

}  // namespace kagami::host
