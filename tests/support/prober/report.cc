#include "tests/support/prober/report.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <set>

namespace kagami::prober {

namespace {
constexpr double kPerSecond = 1e9;
constexpr double kPerMillisecond = 1e6;

Time read_clock(clockid_t clock) {
    timespec now{};
    ::clock_gettime(clock, &now);
    return std::chrono::seconds(now.tv_sec) + Time(now.tv_nsec);
}

std::string number(double value, int digits) {
    char text[64];
    std::snprintf(text, sizeof(text), "%.*f", digits, value);
    return text;
}

std::string in_seconds(Time time) {
    return number(static_cast<double>(time.count()) / kPerSecond, 6);
}
std::string in_milliseconds(Time time) {
    return number(static_cast<double>(time.count()) / kPerMillisecond, 3);
}

// Texts are server names and error messages of ours or of the C library: nothing in them needs an escape.
std::string quoted(const std::string& text) {
    return '"' + text + '"';
}

template <typename List, typename Function>
std::string joined(const List& list, Function text) {
    std::string all;
    for (const auto& one : list) all += (all.empty() ? "" : ", ") + text(one);
    return all;
}

std::string names(const std::set<std::string>& list) {
    return "[" + joined(list, quoted) + "]";
}

}  // namespace

Time boot_time() {
    return read_clock(CLOCK_BOOTTIME);
}

bool Report::open(const std::string& path) {
    boot_to_wall_ = read_clock(CLOCK_REALTIME) - boot_time();
    file_ = path == "-" ? STDOUT_FILENO : ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return file_ >= 0;
}

std::string Report::moment(Time time) const {
    return "\"boot\": " + in_seconds(time) + ", \"wall\": " + in_seconds(time + boot_to_wall_);
}

void Report::line(const Target& target, const Outcome& outcome, Time sent, Time ended) {
    const bool good = !outcome.server.empty();
    write("{" + moment(ended) + ", \"target\": " + quoted(target.name) + ", \"ok\": " + (good ? "true" : "false") +
          (good ? ", \"server\": " + quoted(outcome.server) : ", \"error\": " + quoted(outcome.error)) +
          ", \"ms\": " + in_milliseconds(ended - sent) + "}\n");
}

void Report::both_sides(const Episode& episode) {
    write("{" + moment(episode.first) + ", \"both_sides\": " + names(episode.servers) + "}\n");
}

std::string Report::gaps(const TargetRecord& record) const {
    return joined(record.gaps, [&](const Gap& gap) {
        return "{\"from\": " + in_seconds(gap.from + boot_to_wall_) +
               ", \"to\": " + in_seconds(gap.to + boot_to_wall_) + ", \"ms\": " + in_milliseconds(gap.to - gap.from) +
               ", \"before\": " + quoted(gap.before) + ", \"after\": " + quoted(gap.after) + "}";
    });
}

std::string Report::episodes(const Observer& observer) const {
    return joined(observer.both_sides(), [&](const Episode& episode) {
        return "{\"from\": " + in_seconds(episode.first + boot_to_wall_) +
               ", \"to\": " + in_seconds(episode.last + boot_to_wall_) + ", \"servers\": " + names(episode.servers) +
               ", \"sightings\": " + std::to_string(episode.sightings) + "}";
    });
}

void Report::summary(const Observer& observer) {
    const std::string targets = joined(observer.targets(), [&](const auto& entry) {
        const TargetRecord& record = entry.second;
        return quoted(entry.first) + ": {\"attempts\": " + std::to_string(record.attempts) +
               ", \"good\": " + std::to_string(record.good) + ", \"servers\": " + names(record.servers) +
               ", \"gaps\": [" + gaps(record) + "]}";
    });
    write("{\"summary\": {\"targets\": {" + targets + "}, \"both_sides\": [" + episodes(observer) + "]}}\n");
}

// One write a line, so that lines stay whole. A reader that went away ends the prober: nobody wants its answers.
void Report::write(const std::string& text) {
    size_t done = 0;
    while (done < text.size()) {
        const ssize_t count = ::write(file_, text.data() + done, text.size() - done);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) {
            std::perror("kagami-prober: output");
            std::exit(1);
        }
        done += static_cast<size_t>(count);
    }
}

}  // namespace kagami::prober
