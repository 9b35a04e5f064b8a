// A front end turns a kernel (or socket) interface into requests of one mirror. It lives on the mirror's own thread and
// loop; it is made when the mirror is promoted and closed before it is demoted. Adding one = one folder here and one
// line in registry.cc.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "common/result.h"
#include "mirror-driver/engine/mirror.h"
#include "mirror-driver/io/buffers.h"

namespace kagami::mirror {

class FrontEnd {
 public:
    using Submit = std::function<void(const ClientRequest&)>;
    virtual ~FrontEnd() = default;
    virtual int descriptor() const = 0;  // readable: call advance(); -1 = none of its own
    // Takes what is there, as long as there are buffers and request ids; calls submit for each.
    virtual void advance() = 0;
    virtual void complete(const Completion& completion) = 0;
    virtual std::string device() const = 0;  // "/dev/loop3", or "unix:/…"
    // Nobody has it open any more? Says who does.
    virtual Status idle() const = 0;
    virtual Status close() = 0;
};

struct FrontEndSettings {
    std::string mirror;
    uint64_t size_bytes = 0;
    std::string directory;     // /run/kagami/mirror/NAME, 0700, exists
    int kept_descriptor = -1;  // of a former life of the driver: go on with it
    std::function<void(int descriptor)> keep;  // hand it to the descriptor store
    FrontEnd::Submit submit;
    Buffers* buffers = nullptr;
};
struct FrontEndType {
    const char* name;  // "fuse-loop", "nbd-socket"
    Status (*usable)();  // does this kernel have it?
    Result<std::unique_ptr<FrontEnd>> (*open)(FrontEndSettings settings);
};
std::span<const FrontEndType> front_ends();

}  // namespace kagami::mirror
