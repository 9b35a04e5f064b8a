#include "tests/sim/mirror_client.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "tests/sim/mirror_pair.h"
#include "tests/sim/world.h"

namespace kagami::sim {

using mirror::Extent;
using mirror::kBlockBytes;
using mirror::Operation;

namespace {

constexpr size_t kAtOnce = 48;

std::string text_of(const ClientWork& work) {
    static constexpr const char* kWords[] = {"read", "write", "zero", "flush"};
    std::string text = kWords[static_cast<size_t>(work.request.operation)];
    if (work.number != 0) text += " " + std::to_string(work.number);
    if (work.request.extent.length == 0) return text;
    return text + " of " + std::to_string(work.request.extent.length / kBlockBytes) + " blocks at " +
           std::to_string(work.request.extent.offset / kBlockBytes);
}

}  // namespace

void MirrorClient::tell(const char* what, const ClientWork& work, int error) {
    if (!world_.options().verbose) return;
    world_.note_mirror(pair_.driver(side_).node().id(), pair_.spec().name + ": " + what + " " + text_of(work) +
                                                            (error != 0 ? ", error " + std::to_string(error) : ""));
}

void MirrorClient::open(std::function<void(bool)> mounted) {
    state_ = State::kMounting;
    ++turn_;
    waiting_.clear();
    mounted_ = std::move(mounted);
    const uint64_t turn = turn_;
    for (const uint64_t spot : pair_.spec().spots) {
        if (turn == turn_ && state_ == State::kMounting) issue(Operation::kRead, {spot * kBlockBytes, kBlockBytes});
    }
    settle();
}

void MirrorClient::close(std::function<void()> closed) {
    closed_ = std::move(closed);
    mounted_ = nullptr;
    ++turn_;
    state_ = State::kClosing;
    settle();
}

void MirrorClient::abort() {
    if (!waiting_.empty()) pair_.checker().on_abandoned();
    state_ = State::kClosed;
    ++turn_;
    waiting_.clear();
    mounted_ = nullptr;
    closed_ = nullptr;
}

void MirrorClient::fail_all() {
    const auto failed = std::exchange(waiting_, {});
    for (const auto& [id, work] : failed) pair_.checker().on_completed(side_, work, EIO, nullptr);
    fail();
}

void MirrorClient::resend() {
    const auto again = waiting_;
    for (const auto& [id, work] : again) pair_.driver(side_).submit(work.request, work.payload);
}

void MirrorClient::fail() {
    if (state_ == State::kOpen) {
        state_ = State::kFailed;
        world_.note_mirror(pair_.driver(side_).node().id(), pair_.spec().name + ": the application meets an I/O error");
        pair_.driver(side_).node().machine().service_dies(pair_.spec().group, pair_.spec().name);
    } else if (state_ == State::kMounting) {
        state_ = State::kFailed;
        if (mounted_) std::exchange(mounted_, nullptr)(false);
    }
    settle();
}

void MirrorClient::settle() {
    if (!waiting_.empty()) return;
    if (state_ == State::kMounting) {
        state_ = State::kOpen;
        next_burst(10ms);
        if (mounted_) std::exchange(mounted_, nullptr)(true);
    } else if (state_ == State::kClosing) {
        state_ = State::kClosed;
        if (closed_) std::exchange(closed_, nullptr)();
    }
}

void MirrorClient::completed(mirror::RequestId id, int error, const Payload& payload) {
    const auto at = waiting_.find(id);
    if (at == waiting_.end()) return;  // of a client that was killed
    const ClientWork work = std::move(at->second);
    waiting_.erase(at);
    tell("answered:", work, error);
    pair_.checker().on_completed(side_, work, error, payload);
    if (error != 0) return fail();
    settle();
}

void MirrorClient::issue(Operation operation, const Extent& extent) {
    ClientWork work;
    work.request.id = mirror::RequestId{++ids_};
    work.request.operation = operation;
    work.request.extent = extent;
    work.issued = world_.now();
    pair_.checker().on_issued(side_, work);
    tell("given:", work, 0);
    const mirror::ClientRequest request = work.request;
    const Payload payload = work.payload;
    waiting_.emplace(request.id, std::move(work));
    pair_.driver(side_).submit(request, payload);
}

void MirrorClient::next_burst(Duration delay) {
    world_.queue().after(delay, [this, turn = ++turn_] {
        if (turn == turn_ && state_ == State::kOpen) burst();
    });
}

void MirrorClient::burst() {
    Random& random = world_.random();
    const Node& node = pair_.driver(side_).node();
    if (!node.powered()) return;
    if (node.frozen() || node.machine().suspended(pair_.spec().group)) return next_burst(50ms);
    const uint64_t turn = turn_;
    const uint64_t count = random.chance(0.05) ? 40 : 1 + random.below(8);
    for (uint64_t i = 0; i < count && turn == turn_ && waiting_.size() < kAtOnce; ++i) one_request();
    if (turn == turn_) next_burst(random.chance(0.2) ? random.between(1ms, 20ms) : random.between(100ms, 4s));
}

void MirrorClient::one_request() {
    Random& random = world_.random();
    const uint64_t dice = random.below(20);
    if (dice < 3) return issue(Operation::kFlush, {});
    const uint64_t spot = random.pick(pair_.spec().spots);
    const uint64_t wanted = random.chance(0.05) ? 1 + random.below(64) : 1 + random.below(4);
    const uint64_t blocks = std::min(wanted, pair_.spec().blocks - spot);
    const Extent extent{spot * kBlockBytes, blocks * kBlockBytes};
    issue(dice < 6 ? Operation::kRead : dice < 8 ? Operation::kZero : Operation::kWrite, extent);
}

}  // namespace kagami::sim
