#include "tests/component/mirror_nbd/memory_disk.h"

#include <poll.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "mirror-driver/frontends/nbd_socket/nbd_socket.h"

namespace kagami::testing {

using namespace mirror;

MemoryDisk::MemoryDisk(uint64_t size_bytes, uint32_t small_buffers, uint32_t large_buffers)
    : disk_(size_bytes), buffers_(std::move(Buffers::make(small_buffers, large_buffers).value())) {
    FrontEndSettings settings;
    settings.mirror = "md1";
    settings.size_bytes = size_bytes;
    settings.directory = directory_.path();
    settings.buffers = &buffers_;
    settings.submit = [this](const ClientRequest& request) { waiting_.push_back(request); };
    auto opened = open_nbd_socket(std::move(settings));
    if (!opened) FAIL(opened.error().message);
    front_ = std::move(*opened);
    thread_ = std::thread([this] { serve(); });
}

MemoryDisk::~MemoryDisk() {
    stop_ = true;
    thread_.join();
}

void MemoryDisk::serve() {
    while (!stop_) {
        pollfd wait{front_->descriptor(), POLLIN, 0};
        ::poll(&wait, 1, 5);
        const std::lock_guard lock(mutex_);
        front_->advance();
        while (!held_ && !waiting_.empty()) answer_all();
        under_way_ = waiting_.size();
    }
}

void MemoryDisk::answer_all() {
    std::vector<ClientRequest> now;
    now.swap(waiting_);
    std::reverse(now.begin(), now.end());
    for (const ClientRequest& request : now) front_->complete(carry_out(request));
}

Completion MemoryDisk::carry_out(const ClientRequest& request) {
    if (error_ != 0) return {request.id, error_, kNoBuffer};
    const auto place = std::span(disk_).subspan(request.extent.offset, request.extent.length);
    switch (request.operation) {
        case Operation::kRead: std::ranges::copy(place, buffers_.bytes(request.buffer).begin()); break;
        case Operation::kWrite:
            std::ranges::copy(buffers_.bytes(request.buffer).first(place.size()), place.begin());
            break;
        case Operation::kZero:
            std::ranges::fill(place, uint8_t{0});
            zeroed_bytes_ += place.size();
            break;
        case Operation::kFlush: ++flushes_; break;
    }
    return {request.id, 0, kNoBuffer};
}

Status MemoryDisk::idle() {
    const std::lock_guard lock(mutex_);
    return front_->idle();
}

Status MemoryDisk::close() {
    const std::lock_guard lock(mutex_);
    return front_->close();
}

FrontEndState MemoryDisk::state() {
    const std::lock_guard lock(mutex_);
    return front_->state();
}

bool MemoryDisk::buffers_free() {
    const std::lock_guard lock(mutex_);
    return buffers_.available(kMaxRequestBytes, Use::kClient);
}

}  // namespace kagami::testing
