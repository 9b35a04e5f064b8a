// A front end turns a kernel (or socket) interface into requests of one mirror. It lives on the mirror's own thread and
// loop; it is made when the mirror is promoted and closed before it is demoted. Adding one = one folder here and one
// line in registry.cc.
// Making and closing a kernel device are themselves requests to it (sizes, the last dirty pages), so neither may block
// this thread: a front end that needs time is opening, or closing, while advance() and complete() go on.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "common/result.h"
#include "mirror-driver/engine/mirror.h"
#include "mirror-driver/io/buffers.h"

namespace kagami::mirror {

enum class FrontEndState : uint8_t {
    kOpening,
    kOpen,
    kClosing,  // may go back to kOpen, when somebody holds it open
    kClosed,
    kFailed,  // it could not be opened, or was taken away (aborted by the guard): close it
};

class FrontEnd {
 public:
    using Submit = std::function<void(const ClientRequest&)>;
    virtual ~FrontEnd() = default;
    virtual int descriptor() const = 0;  // readable: call advance(); -1 = none now (asked before each wait)
    // Takes what is there, as long as there are buffers and request ids; calls submit for each.
    virtual void advance() = 0;
    virtual void complete(const Completion& completion) = 0;  // with `data`: copy them before returning
    virtual std::string device() const = 0;                   // "/dev/loop3", or "unix:/…"
    // Nobody has it open any more? Says who does.
    virtual Status idle() const = 0;
    // Begins to close; an error: it stays as it was. Done when state() is kClosed. While it is opening, or has failed:
    // gives it up, whoever uses it.
    virtual Status close() = 0;
    virtual FrontEndState state() const { return FrontEndState::kOpen; }  // changes in advance() and close() only
    virtual std::string trouble() const { return {}; }  // of kFailed, and of a close() that was given up
    // A buffer or request id may be free again: what waited for one goes on.
    virtual void buffers_released() {}
};

struct FrontEndSettings {
    std::string mirror;
    uint64_t size_bytes = 0;
    std::string directory;                     // /run/kagami/mirror/NAME, 0700, exists
    int kept_descriptor = -1;                  // of a former life of the driver: go on with it
    std::function<void(int descriptor)> keep;  // hand it to the descriptor store; -1 = take it out again
    std::function<void()> wake;                // from any thread: have advance() called soon
    FrontEnd::Submit submit;                   // never completes within the call
    Buffers* buffers = nullptr;
};
struct FrontEndType {
    const char* name;    // "fuse-loop", "nbd-socket"
    Status (*usable)();  // does this kernel have it?
    Result<std::unique_ptr<FrontEnd>> (*open)(FrontEndSettings settings);
    void (*drop)(const std::string& directory);  // ends what a kept descriptor served: nobody will go on with it
};
std::span<const FrontEndType> front_ends();

}  // namespace kagami::mirror
