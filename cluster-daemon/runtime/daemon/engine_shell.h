// The loop around the pure engine: one thread that feeds events, and carries out each output in the order that safety needs -
// what must be durable first, then the messages and commands that waited for it. The daemon and the witness use the same loop.
//
// Threads: everything runs on the thread that called run(); post() may be called from any thread. Making state durable happens on a
// thread of its own, so that a slow fsync delays only what waits for it and never a heartbeat or a renewal.
#pragma once

#include <functional>
#include <memory>

#include "cluster-daemon/engine/engine.h"
#include "common/result.h"

namespace kagami::runtime {

struct ShellActions {
    std::function<void(NodeId to, const engine::Message&)> send;
    std::function<void(const engine::Command&)> act;
    std::function<void(const engine::Decision&, const engine::Engine&)> tell;  // the engine after the step that decided
    // Writes the state; returns once it is durable. Called on the persist thread. A failure ends the process (assumption A3).
    std::function<Status(const engine::DurableState&)> make_durable;
};

class EngineShell {
 public:
    EngineShell(engine::Settings settings, ShellActions actions);
    ~EngineShell();

    void run();                          // until stop(); first steps the engine once
    void stop();                         // from any thread
    void post(engine::Event event);      // from any thread
    // Runs a function on the engine's thread, for snapshots and for descriptors that the loop polls.
    void on_loop(std::function<void(const engine::Engine&)> work);
    void watch_readable(int fd, std::function<void()> readable);  // before run(); level-triggered
    void every(Duration period, std::function<void()> tick);      // before run()

    static Instant now();                // CLOCK_BOOTTIME

 private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace kagami::runtime
