// What a client's answers say about the service: who answered, where the service was away, and whether two sides served
// at once. Pure: times come with the answers.
//
// A gap of a target is the time between two successive good answers when it exceeds the threshold. Two sides served at
// once when the good answers of two servers interleave: one of X, then one of Y, then one of X again, each asked after
// the one before had come, all within the window; whatever targets they came through. A service that really moved away
// and back within it would be taken for two sides: nobody may move it twice so soon. Sightings closer together than the
// window are one episode.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace kagami::prober {

using Time = std::chrono::nanoseconds;  // CLOCK_BOOTTIME

struct Answer {
    std::string target;
    std::string server;
    Time sent{};
    Time received{};
};

struct Gap {
    Time from{};
    Time to{};
    std::string before;  // servers
    std::string after;
};

struct Episode {
    Time first{};
    Time last{};
    std::set<std::string> servers;
    uint64_t sightings = 0;
};

struct TargetRecord {
    uint64_t attempts = 0;
    uint64_t good = 0;
    std::set<std::string> servers;
    std::vector<Gap> gaps;
    std::optional<Answer> last_good;
};

class Observer {
 public:
    Observer(Time gap_threshold, Time window) : threshold_(gap_threshold), window_(window) {}

    void on_failure(const std::string& target);
    // In the order in which they are received. True: a new episode of two sides serving began.
    bool on_answer(const Answer& answer);

    const std::map<std::string, TargetRecord>& targets() const { return targets_; }
    const std::vector<Episode>& both_sides() const { return episodes_; }

 private:
    void record(const Answer& answer);
    std::optional<std::string> other_side(const Answer& answer) const;
    bool extend_episodes(const Answer& answer, const std::string& other);

    Time threshold_;
    Time window_;
    std::map<std::string, TargetRecord> targets_;
    std::deque<Answer> recent_;  // received within the window
    std::vector<Episode> episodes_;
};

}  // namespace kagami::prober
