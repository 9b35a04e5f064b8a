// One attached mirror on its own thread: the engine joined to disk, metadata device, peer channel, front end and lease.
// turn() is one round of the loop: hand over what is to be done, wait, handle what happened. Everything waits in one
// io_uring. Nothing is allocated on the way of data.
// Leaves to others: attaching (attach.h, mirror_runner.h), the order of promotion (promotion.h), policy (engine).
#pragma once

#include <functional>
#include <memory>

#include "mirror-driver/driver/attach.h"
#include "mirror-driver/driver/promotion.h"
#include "mirror-driver/engine/mirror.h"
#include "mirror-driver/link/messages.h"

namespace kagami::mirror {

struct LiveSettings {
    mirror_link::MirrorConfig config;
    mirror_link::Welcome welcome;
    Uuid instance{};
    std::string directory;  // /run/kagami/mirror/NAME, exists
    std::string guard_page;
    std::string front_end = "fuse-loop";
    std::vector<std::string> warnings;  // of the process
    int kept_descriptor = -1;           // go on with it, as the primary
    // ---- called on the mirror's thread ----
    std::function<void(const Report&)> report;
    std::function<void(const std::string&)> note;
    std::function<void(int descriptor)> keep;  // -1: forget
    // ---- from any thread ----
    std::function<void()> wake;  // makes `waker` readable
    int waker = -1;              // what turn() shall wake for
};

class LiveMirror {
 public:
    // An error: the kept descriptor was not touched.
    static Result<std::unique_ptr<LiveMirror>> make(Attachment attachment, LiveSettings settings);
    ~LiveMirror();

    Status turn();  // an error: this mirror cannot go on
    bool woken();   // the waker was readable since last asked
    void authority(const Authority& authority);
    void promote(Promotion::Reply reply);
    void demote(Promotion::Reply reply);
    void resync(Promotion::Reply reply);
    void detach(std::function<void()> done);  // when secondary
    bool secondary() const;
    bool failed() const;  // its disk, and there is nothing left to do for it
    const Context& context() const;
    mirror_link::MirrorStatus status() const;

 private:
    struct Impl;
    explicit LiveMirror(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace kagami::mirror
