// Local sockets of our own processes: SOCK_SEQPACKET below a trusted directory, root's alone (socket 0600, peers' credentials
// checked), one message a packet. Descriptors are non-blocking and close on exec.
#pragma once

#include <string>

#include "common/files.h"
#include "common/result.h"

namespace kagami::host {

// The directory, made if it is missing (0700); it and all above it must be root's alone.
Status make_trusted_directory(const std::string& path);
std::string parent_directory(const std::string& path);

// Replaces a socket that a killed process left; refuses (kRefused) whatever else stands in its place. The caller holds a
// lock, so that it does not take the socket of a living one.
Result<UniqueFd> listen_packets(const std::string& path);
// Record lock of `path`: one process of a kind. kRefused when another has it. Ends with the process, whatever its children do.
Result<UniqueFd> lock_for_process(const std::string& path, const std::string& who);
// Invalid when nobody listens, or the listener's queue is full.
UniqueFd connect_packets(const std::string& path);
bool peer_is_root(int fd);

}  // namespace kagami::host
