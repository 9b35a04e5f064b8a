// Decides when the mirror driver of this node counts as hung or gone, so that nobody who uses a mirror's device waits for
// ever. Pure: what was seen goes in, what is to be done comes out.
//
// Watched is each mirror whose device exists (a FUSE connection, mounted), whoever opened it. The only sign of life is an
// answer of the mirror's own thread to a question for its status: what the mirror itself waits for (a lease, a solo grant,
// a quorum, a peer) never counts against its driver. With the limit L of the mirror (`driver_timeout`):
//   silent for L / 4, and again each L / 4   the process is killed: its supervisor starts it again, it goes on with the kept
//                                            descriptor, and applications see a pause
//   away for L                               the connection is aborted, once: applications get I/O errors. Given up, until
//                                            the driver answers again or the device is another one
// A driver that dies again and again answers now and then: "away" adds up over such answers, until the driver serves the
// mirror (is primary) or has answered for L / 4 without a gap. Nothing is done in a moment in which it answers.
// Time counts only as far as we looked: after a pause of the whole machine the driver has its time anew.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/time.h"

namespace kagami::runtime {

class DriverWatch {
 public:
    static constexpr Duration kPeriod = 500ms;  // between looks
    enum class Step : uint8_t { kAsk, kKill, kAbort };
    struct Action {
        Step step = Step::kAsk;
        std::string mirror;  // kKill: the one that was silent
        Duration silent{};   // kKill, kAbort
        bool operator==(const Action&) const = default;
    };

    void set_limits(std::map<std::string, Duration> limits);  // of the mirrors of the configuration in force
    void answered(const std::string& mirror, bool serves);    // to kAsk, the good and the bad
    // Devices: the FUSE connections there are, by mirror. A kAsk is given when the last one was answered.
    std::vector<Action> look(const std::map<std::string, uint32_t>& devices, Instant now);
    bool given_up(const std::string& mirror) const;

 private:
    struct Watched {
        uint32_t connection = 0;
        bool asked = false;
        bool answer_seen = true;  // since the last look; a new device begins with a driver that has just made it
        bool serves = false;
        bool aborted = false;
        bool given_up = false;
        Duration silent{}, away{}, calm{};
    };
    void look_at(const std::string& name, Watched& mirror, Duration passed, std::vector<Action>& actions);

    std::map<std::string, Duration> limits_;
    std::map<std::string, Watched> watched_;
    std::optional<Instant> last_look_;
};

}  // namespace kagami::runtime
