// What the daemon and the script helper say to each other: one request and one reply a connection (SOCK_SEQPACKET, one
// message a packet), in the bytes of common/codec.h. Every field is bounded before it is allocated; a message that does
// not fit is refused. A connection that breaks says nothing about the script: it goes on, and the same request asks for
// its result again.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/codec.h"
#include "common/host/host.h"
#include "common/result.h"

namespace kagami::script_helper {

constexpr uint8_t kProtocolVersion = 1;
constexpr size_t kMaxMessageBytes = 60000;
constexpr size_t kMaxTextBytes = 4096;
constexpr uint32_t kMaxArguments = 64;
constexpr uint32_t kMaxEnvironment = 256;
constexpr uint32_t kMaxProcesses = 4096;
constexpr uint32_t kMaxListed = 128;
constexpr size_t kMaxListedProgramBytes = 256;
constexpr Duration kTermGrace = 1s;  // between SIGTERM and SIGKILL at a script's deadline
constexpr const char* kDefaultSocket = "/run/kagami/helper.sock";

enum class Verb : uint8_t {
    kRun = 1,        // script, deadline; waits for its end (background: for its start)
    kFetch = 2,      // as kRun, but starts nothing: only attaches to what an earlier kRun started
    kProcesses = 3,  // group, resource
    kKillAll = 4,    // group, resource, deadline
    kStarted = 5,    // group, resource
    kList = 6,
};

struct Request {
    Verb verb = Verb::kList;
    host::ScriptRequest script;  // verbs that need only group and resource leave the rest empty
    Instant deadline;            // the same machine's BOOTTIME
};

// A script that the helper knows of: running, or ended and not fetched.
struct Listed {
    uint64_t id = 0;
    std::string group;
    std::string resource;
    std::string program;
    int pid = 0;
    bool running = false;
    bool background = false;
};

struct Reply {
    std::optional<Error> error;
    host::ScriptResult result;   // kRun, kFetch
    std::vector<int> processes;  // kProcesses, oldest first; kMaxProcesses at most
    host::Started started;       // kStarted
    std::vector<Listed> list;    // kList
};

Reply error_reply(Error error);
Result<Bytes> encode(const Request& request);  // kUsage when it is too large
Bytes encode(const Reply& reply);
Result<Request> decode_request(std::span<const uint8_t> packet);
Result<Reply> decode_reply(std::span<const uint8_t> packet);

}  // namespace kagami::script_helper
