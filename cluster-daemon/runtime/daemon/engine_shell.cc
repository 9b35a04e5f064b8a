#include "cluster-daemon/runtime/daemon/engine_shell.h"

#include <spdlog/spdlog.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <mutex>
#include <thread>

namespace kagami::runtime {
namespace {

namespace asio = boost::asio;

// Makes states durable one after another. Only the newest waiting one is written: it contains the older ones.
class PersistThread {
 public:
    using Write = std::function<Status(const engine::DurableState&)>;
    PersistThread(Write write, std::function<void(uint64_t serial)> done)
        : write_(std::move(write)), done_(std::move(done)), thread_([this] { run(); }) {}
    ~PersistThread() {
        {
            const std::lock_guard lock(mutex_);
            ending_ = true;
        }
        changed_.notify_one();
        thread_.join();
    }
    void submit(engine::Persist persist) {
        {
            const std::lock_guard lock(mutex_);
            waiting_ = std::move(persist);
        }
        changed_.notify_one();
    }

 private:
    void run() {
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, [this] { return ending_ || waiting_; });
            if (!waiting_) return;
            const engine::Persist persist = std::move(*waiting_);
            waiting_.reset();
            lock.unlock();
            write(persist);
            lock.lock();
        }
    }
    void write(const engine::Persist& persist) {
        const Status written = write_(persist.state);
        if (!written) {
            // A3: after a failed write nobody knows what the disk holds. The process ends; the guard suspends at the deadline.
            spdlog::critical("{} {}", written.error().message, written.error().remedy);
            std::abort();
        }
        done_(persist.serial);
    }

    Write write_;
    std::function<void(uint64_t)> done_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<engine::Persist> waiting_;
    bool ending_ = false;
    std::thread thread_;
};

struct Watched {
    asio::posix::stream_descriptor descriptor;
    std::function<void()> readable;
};

struct Ticker {
    asio::steady_timer timer;
    Duration period;
    std::function<void()> tick;
};

}  // namespace

struct EngineShell::Impl {
    Impl(engine::Settings settings, ShellActions given)
        : engine(std::move(settings)),
          actions(std::move(given)),
          wake_timer(context),
          persist_thread(actions.make_durable, [this](uint64_t serial) {
              asio::post(context, [this, serial] { durable(serial); });
          }) {}

    ~Impl() {
        for (auto& watched : watches) watched->descriptor.release();
    }

    void step(const engine::Event& event) {
        engine.step(event, EngineShell::now());
        carry_out(engine.take_output());
    }

    void carry_out(engine::Output output) {
        for (const auto& decision : output.decisions) actions.tell(decision, engine);
        if (output.persist) persist_thread.submit(std::move(*output.persist));
        for (auto& envelope : output.messages) {
            if (envelope.after_persist <= durable_serial) {
                actions.send(envelope.to, envelope.message);
            } else {
                held_messages.push_back(std::move(envelope));
            }
        }
        for (auto& held : output.commands) {
            if (held.after_persist <= durable_serial) {
                actions.act(held.command);
            } else {
                held_commands.push_back(std::move(held));
            }
        }
        if (output.wake_at) arm(*output.wake_at);
    }

    void durable(uint64_t serial) {
        durable_serial = std::max(durable_serial, serial);
        while (!held_messages.empty() && held_messages.front().after_persist <= durable_serial) {
            actions.send(held_messages.front().to, held_messages.front().message);
            held_messages.pop_front();
        }
        while (!held_commands.empty() && held_commands.front().after_persist <= durable_serial) {
            actions.act(held_commands.front().command);
            held_commands.pop_front();
        }
        step(engine::Persisted{serial});
    }

    void arm(Instant wake_at) {
        wake_timer.expires_after(std::max(Duration::zero(), wake_at - EngineShell::now()));
        wake_timer.async_wait([this](const boost::system::error_code& error) {
            if (!error) step(engine::Woken{});
        });
    }

    void poll(Watched& watched) {
        watched.descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                      [this, &watched](const boost::system::error_code& error) {
                                          if (error) return;
                                          watched.readable();
                                          poll(watched);
                                      });
    }

    void repeat(Ticker& ticker) {
        ticker.timer.expires_after(ticker.period);
        ticker.timer.async_wait([this, &ticker](const boost::system::error_code& error) {
            if (error) return;
            ticker.tick();
            repeat(ticker);
        });
    }

    asio::io_context context{1};
    engine::Engine engine;
    ShellActions actions;
    asio::steady_timer wake_timer;
    std::deque<engine::Envelope> held_messages;   // in order of after_persist, which never falls
    std::deque<engine::HeldCommand> held_commands;
    uint64_t durable_serial = 0;
    std::vector<std::unique_ptr<Watched>> watches;
    std::vector<std::unique_ptr<Ticker>> tickers;
    PersistThread persist_thread;
};

EngineShell::EngineShell(engine::Settings settings, ShellActions actions)
    : impl_(std::make_unique<Impl>(std::move(settings), std::move(actions))) {}

EngineShell::~EngineShell() = default;

Instant EngineShell::now() {
    timespec ts{};
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return Instant(std::chrono::seconds(ts.tv_sec) + std::chrono::nanoseconds(ts.tv_nsec));
}

void EngineShell::run() {
    const auto guard = asio::make_work_guard(impl_->context);
    asio::post(impl_->context, [this] { impl_->step(engine::Woken{}); });
    impl_->context.run();
}

void EngineShell::stop() { impl_->context.stop(); }

void EngineShell::post(engine::Event event) {
    asio::post(impl_->context, [this, event = std::move(event)] { impl_->step(event); });
}

void EngineShell::on_loop(std::function<void(const engine::Engine&)> work) {
    asio::post(impl_->context, [this, work = std::move(work)] { work(impl_->engine); });
}

void EngineShell::watch_readable(int fd, std::function<void()> readable) {
    impl_->watches.push_back(std::make_unique<Watched>(
        Watched{asio::posix::stream_descriptor(impl_->context, fd), std::move(readable)}));
    impl_->poll(*impl_->watches.back());
}

void EngineShell::every(Duration period, std::function<void()> tick) {
    impl_->tickers.push_back(std::make_unique<Ticker>(
        Ticker{asio::steady_timer(impl_->context), period, std::move(tick)}));
    impl_->repeat(*impl_->tickers.back());
}

}  // namespace kagami::runtime
