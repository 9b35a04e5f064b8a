// The thread of one mirror: attaches it as soon as its devices can be used (and tries again while they cannot), runs
// it, answers questions about it, and detaches it when it is told to stop and is not promoted.
//
// A descriptor that an earlier driver left is gone on with only if this driver may still serve it: the register, as new
// as a lease says, gives this node the group under the very token that the metadata were promoted with, in this boot.
// Until that is known nothing is attached and the applications wait; if it is not so, or the devices cannot be attached
// for kKeptLimit though it is, or the runner is told to stop, the descriptor is given up: I/O errors, no endless wait.
// Everything but start and destruction may be called from the main thread at any time; callbacks come on the mirror's.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "common/files.h"
#include "mirror-driver/driver/live_mirror.h"
#include "mirror-driver/driver/mailbox.h"

namespace kagami::mirror {

struct RunnerSettings {
    LiveSettings live;  // without kept_descriptor, report, wake, waker
    UniqueFd kept;
    std::function<void(const Report&)> report;
    std::function<void()> ended;
};

class MirrorRunner {
 public:
    static constexpr Duration kRetry = 3s;
    // While applications wait: what a killed driver held is released only when its last request has ended.
    static constexpr Duration kRetryKept = 50ms;
    static constexpr Duration kKeptLimit = 10s;  // of attaching while applications wait
    using Answerer = std::function<void(mirror_link::Answer)>;

    explicit MirrorRunner(RunnerSettings settings);
    ~MirrorRunner();  // after `ended` was called

    void authority(const Authority& authority);
    void ask(const mirror_link::Ask& ask, Answerer answer);
    void stop();  // as soon as it is not promoted

 private:
    void run();
    void turn();
    void try_attach();
    bool may_attach();
    Duration retry() const { return settings_.kept.valid() ? kRetryKept : kRetry; }
    Status judge_kept(const Context& context);
    void give_up_kept(const std::string& why);
    void become(Attachment attachment);
    void take_authority(const Authority& authority);
    void handle(const mirror_link::Ask& ask, const Answerer& answer);
    void say(const std::string& message);
    void look_for_end();
    void look_for_failure();
    void drop();
    mirror_link::MirrorStatus status() const;

    RunnerSettings settings_;
    Mailbox box_;
    std::unique_ptr<LiveMirror> live_;
    std::optional<Authority> authority_;
    Instant next_try_;
    std::optional<Instant> kept_until_;  // since it may be gone on with
    Instant quiet_until_;                // refusals that a killed driver's last requests explain are not worth a line
    Report detached_;                    // what is reported while nothing is attached
    bool stopping_ = false;
    bool detaching_ = false;
    bool failed_ = false;  // detached, because its disk failed
    bool ended_ = false;
    std::thread thread_;
};

}  // namespace kagami::mirror
