#include "common/host/event_thread.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>
#include <future>

#include "common/assert.h"

namespace kagami::host {

struct EventThread::Watch {
    UniqueFd fd;
    std::function<void(int)> callback;
};

EventThread::EventThread() : wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    KAGAMI_ASSERT(wake_.valid(), "an eventfd is always available to a process that just started");
    loop_.watch(wake_.get(), EPOLLIN, [this] { run_posted(); });
    thread_ = std::thread([this] {
        // The process's signals are for its other threads.
        sigset_t all;
        sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
        while (!stop_) loop_.run_once();
    });
}

EventThread::~EventThread() {
    post([this](EventLoop&) { stop_ = true; });
    thread_.join();
}

void EventThread::post(std::function<void(EventLoop&)> task) {
    {
        const std::scoped_lock lock(mutex_);
        posted_.push_back(std::move(task));
    }
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
}

void EventThread::run_posted() {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &count, sizeof count);
    std::vector<std::function<void(EventLoop&)>> tasks;
    {
        const std::scoped_lock lock(mutex_);
        tasks.swap(posted_);
    }
    for (const auto& task : tasks) task(loop_);
}

void EventThread::post_at(Instant when, std::function<void()> task) {
    post([when, task = std::move(task)](EventLoop& loop) { loop.at(when, task); });
}

void EventThread::post_and_wait(const std::function<void(EventLoop&)>& task) {
    if (std::this_thread::get_id() == thread_.get_id()) return task(loop_);
    std::promise<void> done;
    post([&](EventLoop& loop) {
        task(loop);
        done.set_value();
    });
    done.get_future().wait();
}

std::shared_ptr<void> EventThread::watch(UniqueFd fd, uint32_t events, std::function<void(int)> callback) {
    const auto watch = std::make_shared<Watch>(Watch{std::move(fd), std::move(callback)});
    post([watch, events](EventLoop& loop) {
        if (!watch->fd.valid()) return;
        loop.watch(watch->fd.get(), events, [watch] { watch->callback(watch->fd.get()); });
    });
    return {watch.get(), [this, watch](void*) { release(watch); }};
}

std::shared_ptr<void> EventThread::watch_once(UniqueFd fd, uint32_t events, std::function<void()> callback) {
    const auto watch =
        std::make_shared<Watch>(Watch{std::move(fd), [callback = std::move(callback)](int) { callback(); }});
    post([watch, events](EventLoop& loop) {
        if (!watch->fd.valid()) return;
        loop.watch(watch->fd.get(), events, [watch, &loop] {
            loop.forget(watch->fd.get());
            watch->callback(watch->fd.get());
        });
    });
    return {watch.get(), [this, watch](void*) { release(watch); }};
}

void EventThread::release(const std::shared_ptr<Watch>& watch) {
    post_and_wait([&](EventLoop& loop) {
        loop.forget(watch->fd.get());
        watch->fd.reset();
    });
}

}  // namespace kagami::host
