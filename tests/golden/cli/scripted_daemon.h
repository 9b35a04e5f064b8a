// A control service that answers every call of proto/control.proto from a script, whatever the call is, and writes down
// what it was asked, as text.
#pragma once

#include <google/protobuf/message.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace kagami::cli {

using Answer = std::unique_ptr<google::protobuf::Message>;

// The message that a method answers with, in protobuf's text form; throws what is wrong with it as a std::string.
Answer parse_answer(const std::string& method, const std::string& text);

class ScriptedDaemon {
 public:
    explicit ScriptedDaemon(const std::string& socket_path);
    ~ScriptedDaemon();
    ScriptedDaemon(const ScriptedDaemon&) = delete;
    ScriptedDaemon& operator=(const ScriptedDaemon&) = delete;

    // Of the method, or of its dry run; several are streamed in order. Before the first call only.
    void answer(const std::string& method, bool dry_run, Answer answer);
    void not_found(const std::string& method, const std::string& message);
    std::string asked() const;  // "METHOD\n  field: value\n" for each call; the person is left out

 private:
    struct Server;
    std::unique_ptr<Server> server_;
};

}  // namespace kagami::cli
