// What a group does with its mirror on one node: the file system that reads everything when it is mounted, then the
// application that writes, zeroes, reads and flushes in bursts, at spots of all hot extents, several requests at a time
// and overlapping ones too. Requests are kept until they are answered: a driver that restarts gets them again, in their
// order. Suspended with its group; an I/O error ends it, and its monitor tells.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "tests/sim/driver.h"

namespace kagami::sim {

struct ClientWork {  // a request as the client and the checker know it
    mirror::ClientRequest request;
    uint64_t number = 0;  // of writes
    Payload payload;
    Moment issued{};
    std::map<uint64_t, uint64_t> acknowledged;  // by block, when it was issued: of reads and flushes
};

class MirrorClient {
 public:
    MirrorClient(World& world, MirrorPair& pair, Side side) : world_(world), pair_(pair), side_(side) {}

    void open(std::function<void(bool ok)> mounted);
    void close(std::function<void()> closed);
    void abort();  // killed: forgets what is unanswered
    void power_off() { abort(); }
    void fail_all();  // the front end has gone: everything ends with an error
    void resend();
    void completed(mirror::RequestId id, int error, const Payload& payload);
    bool active() const { return state_ == State::kOpen; }
    size_t waiting() const { return waiting_.size(); }
    Moment oldest() const { return waiting_.empty() ? Moment::max() : waiting_.begin()->second.issued; }

 private:
    enum class State { kClosed, kMounting, kOpen, kClosing, kFailed };
    void issue(mirror::Operation operation, const mirror::Extent& extent);
    void next_burst(Duration delay);
    void burst();
    void one_request();
    void settle();
    void fail();
    void tell(const char* what, const ClientWork& work, int error);  // in verbose runs

    World& world_;
    MirrorPair& pair_;
    Side side_;
    State state_ = State::kClosed;
    uint64_t turn_ = 0;
    uint64_t ids_ = 0;
    std::map<mirror::RequestId, ClientWork> waiting_;
    std::function<void(bool)> mounted_;
    std::function<void()> closed_;
};

}  // namespace kagami::sim
