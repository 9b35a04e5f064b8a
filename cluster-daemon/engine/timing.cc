#include "cluster-daemon/engine/timing.h"

#include <algorithm>

#include "common/codec.h"
#include "common/hash.h"

namespace kagami::engine {
namespace {

Duration scaled(Duration d, double factor) {
    return Duration(static_cast<Duration::rep>(static_cast<double>(d.count()) * factor));
}

Hash digest_of(const config::TimingInputs& inputs) {
    ByteWriter w;
    for (const Duration d : {inputs.hold, inputs.watchdog, inputs.reset, inputs.io}) w.i64(d.count());
    return sha256(w.view());
}

}  // namespace

Timing Timing::derive(const config::TimingInputs& inputs) {
    Timing t{};
    t.inputs = inputs;
    t.hold = inputs.hold;
    t.renew = t.hold / 6;
    t.detect = 3 * t.renew;
    t.prefer = 2 * t.renew;
    t.guard = std::clamp<Duration>(t.hold / 10, 50ms, 1s);
    t.kill = std::clamp<Duration>(t.hold / 4, 200ms, 5s);
    t.grant = scaled(t.hold + t.guard, (1 + kClockDrift) / (1 - kClockDrift));
    t.strict =
        scaled(scaled(t.kill + inputs.watchdog, 1 + kClockDrift) + inputs.reset + inputs.io, 1 / (1 - kClockDrift));
    t.digest = digest_of(inputs);
    return t;
}

}  // namespace kagami::engine
