#include "tests/sim/disk.h"

namespace kagami::sim {
namespace {

constexpr size_t kImages = 64;

}  // namespace

Disk::Disk(Queue& queue, Random& random, OnDurable on_durable, OnConfirmed on_confirmed)
    : queue_(queue), random_(random), on_durable_(std::move(on_durable)), on_confirmed_(std::move(on_confirmed)) {}

void Disk::write(uint64_t serial, engine::DurableState state) {
    waiting_ = Write{serial, std::move(state)};
    if (lies_)
        queue_.after(1us, [this, serial, life = life_] {
            if (life == life_) on_confirmed_(serial);
        });
    if (!under_way_) begin();
}

void Disk::begin() {
    under_way_ = std::move(waiting_);
    waiting_.reset();
    const Duration slowness = lies_ ? 30 * speed_.slowest : Duration::zero();
    queue_.after(random_.between(speed_.fastest, speed_.slowest) + slowness, [this, life = life_] { finish(life); });
}

void Disk::finish(uint64_t life) {
    if (life != life_) return;
    Write done = std::move(*under_way_);
    under_way_.reset();
    settle(done.state);
    if (waiting_) begin();
    if (!lies_) on_confirmed_(done.serial);
}

void Disk::settle(const engine::DurableState& state) {
    durable_ = state;
    images_.emplace_back(queue_.now(), state);
    if (images_.size() > kImages) images_.pop_front();
    on_durable_(durable_);
}

void Disk::lose_unwritten(bool last_write_made_it) {
    ++life_;
    if (under_way_ && last_write_made_it) settle(under_way_->state);
    under_way_.reset();
    waiting_.reset();
}

std::optional<engine::DurableState> Disk::image(Moment at) const {
    std::optional<engine::DurableState> found;
    for (const auto& [taken, state] : images_) {
        if (taken <= at) found = state;
    }
    return found;
}

}  // namespace kagami::sim
