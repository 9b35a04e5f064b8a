// The daemon's side of the script helper: host::Scripts over its socket. Thread-safe; every call has a connection of
// its own, so a restarted helper is simply connected again, and a call that was under way asks the new helper for what
// became of its script. Errors: kUnreachable when the helper cannot be reached until the deadline; everything the
// helper itself refuses.
#pragma once

#include <string>
#include <vector>

#include "cluster-daemon/script-helper/messages.h"
#include "common/host/host.h"

namespace kagami::script_helper {

class Client : public host::Scripts {
 public:
    explicit Client(std::string socket = kDefaultSocket) : socket_(std::move(socket)) {}
    Result<host::ScriptResult> run(const host::ScriptRequest& request, Instant deadline) override;
    Result<std::vector<int>> processes(const std::string& group, const std::string& resource) override;
    Status kill_all(const std::string& group, const std::string& resource, Instant deadline) override;
    Result<host::Started> started(const std::string& group, const std::string& resource) override;
    // What the helper still runs, or has not been asked the result of.
    Result<std::vector<Listed>> list();

 private:
    Result<Reply> call(Request request, Instant give_up) const;
    std::string socket_;
};

}  // namespace kagami::script_helper
