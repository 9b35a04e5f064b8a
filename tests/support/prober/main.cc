// kagami-prober: the client of the demo, the benchmarks and the system tests. At a steady pace it asks each of its
// targets with a new TCP connection. Attempts are independent and overlap: one that gets no answer does not delay the
// next, so a gap of the service is measured to about one interval. What comes out: report.h; what it means: observer.h.
#include <getopt.h>
#include <netdb.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <list>
#include <memory>
#include <optional>

#include "tests/support/prober/attempt.h"
#include "tests/support/prober/observer.h"
#include "tests/support/prober/report.h"

namespace kagami::prober {
namespace {

using namespace std::chrono_literals;

constexpr const char* kHelp = R"(Usage: kagami-prober [OPTION]... NAME=ADDRESS:PORT...
Asks each target again and again, GET / on a new connection, and says who answered; JSON lines (the body of a good
answer is the server's name). Ends with a summary on SIGTERM or SIGINT, after --duration, or with its input.
  --interval MS   time between two questions to a target (default 10)
  --timeout MS    an attempt without an answer fails after so long (default 200)
  --gap MS        a longer time without a good answer is listed as a gap (default 50)
  --window MS     answers X, Y, X of two servers within this time: both sides served (default 300)
  --duration MS   end by itself
  --until-eof     end when standard input ends
  --output FILE   default: standard output
An IPv6 address is written in brackets: service=[fd77:1::64]:80
)";

struct Options {
    std::vector<Target> targets;
    Time interval = 10ms;
    Time timeout = 200ms;
    Time gap = 50ms;
    Time window = 300ms;
    std::optional<Time> duration;
    std::string output = "-";
    bool until_eof = false;
};

[[noreturn]] void refuse(const std::string& why) {
    std::fprintf(stderr, "kagami-prober: %s\nTry --help.\n", why.c_str());
    std::exit(2);
}

Time milliseconds_in(const char* option, const char* text) {
    constexpr int64_t kLongest = 86'400'000;
    int64_t value = 0;
    const char* end = text + std::strlen(text);
    const auto parsed = std::from_chars(text, end, value);
    if (parsed.ec != std::errc{} || parsed.ptr != end || value < 1 || value > kLongest) {
        refuse(std::string("--") + option + ": " + text + " is not a number of milliseconds from 1 to a day");
    }
    return std::chrono::milliseconds(value);
}

Target target_in(const std::string& text) {
    const size_t equals = text.find('=');
    const size_t colon = text.rfind(':');
    if (equals == std::string::npos || equals == 0 || colon == std::string::npos || colon < equals) {
        refuse("target " + text + ": expected NAME=ADDRESS:PORT");
    }
    std::string address = text.substr(equals + 1, colon - equals - 1);
    if (address.size() > 2 && address.front() == '[' && address.back() == ']')
        address = address.substr(1, address.size() - 2);
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int error = ::getaddrinfo(address.c_str(), text.c_str() + colon + 1, &hints, &found);
    if (error != 0) refuse("target " + text + ": " + ::gai_strerror(error));
    Target target{text.substr(0, equals), {}, found->ai_addrlen};
    std::memcpy(&target.address, found->ai_addr, found->ai_addrlen);
    ::freeaddrinfo(found);
    return target;
}

constexpr option kFlags[] = {
    {"interval", required_argument, nullptr, 'i'},
    {"timeout", required_argument, nullptr, 't'},
    {"gap", required_argument, nullptr, 'g'},
    {"window", required_argument, nullptr, 'w'},
    {"duration", required_argument, nullptr, 'd'},
    {"output", required_argument, nullptr, 'o'},
    {"until-eof", no_argument, nullptr, 'e'},
    {"help", no_argument, nullptr, 'h'},
    {nullptr, 0, nullptr, 0},
};

void apply(int flag, Options& options) {
    switch (flag) {
        case 'i': options.interval = milliseconds_in("interval", ::optarg); break;
        case 't': options.timeout = milliseconds_in("timeout", ::optarg); break;
        case 'g': options.gap = milliseconds_in("gap", ::optarg); break;
        case 'w': options.window = milliseconds_in("window", ::optarg); break;
        case 'd': options.duration = milliseconds_in("duration", ::optarg); break;
        case 'o': options.output = ::optarg; break;
        case 'e': options.until_eof = true; break;
        case 'h': std::fputs(kHelp, stdout); std::exit(0);
        default: refuse("unknown option");
    }
}

Options parse(int argc, char** argv) {
    Options options;
    int flag = 0;
    while ((flag = ::getopt_long(argc, argv, "h", kFlags, nullptr)) != -1) apply(flag, options);
    for (int i = ::optind; i < argc; ++i) options.targets.push_back(target_in(argv[i]));
    if (options.targets.empty()) refuse("no target given");
    return options;
}

int timer_every(Time interval) {
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(interval);
    const timespec period{whole.count(), (interval - whole).count()};
    const itimerspec setting{period, period};
    const int timer = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (timer >= 0) ::timerfd_settime(timer, 0, &setting, nullptr);
    return timer;
}

int open_end_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&set, number);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    return ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

class Prober {
 public:
    Prober(const Options& options, Report& report)
        : options_(options), report_(report), observer_(options.gap, options.window) {}
    bool open();
    void run();

 private:
    struct Entry {
        std::unique_ptr<Attempt> attempt;
        std::list<Entry>::iterator self;
    };

    bool watch(int descriptor, void* tag);
    void ask_all();
    void ask(const Target& target);
    void on_ready(Entry& entry);
    void finish(Entry& entry, const Outcome& outcome);
    void end_late();

    const Options& options_;
    Report& report_;
    Observer observer_;
    std::list<Entry> open_;  // by age
    int epoll_ = -1;
    int timer_ = -1;
    int signals_ = -1;
    int input_ = 0;  // only its address counts
};

bool Prober::watch(int descriptor, void* tag) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = tag;
    return descriptor >= 0 && ::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

bool Prober::open() {
    ::signal(SIGPIPE, SIG_IGN);
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    timer_ = timer_every(options_.interval);
    signals_ = open_end_signals();
    if (epoll_ < 0 || !watch(timer_, &timer_) || !watch(signals_, &signals_)) return false;
    return !options_.until_eof || watch(STDIN_FILENO, &input_);
}

void Prober::run() {
    const Time end = options_.duration ? boot_time() + *options_.duration : Time::max();
    bool wanted = true;
    while (wanted && boot_time() < end) {
        epoll_event events[256];
        const int count = ::epoll_wait(epoll_, events, 256, -1);
        bool tick = false;
        for (int i = 0; i < count; ++i) {
            void* tag = events[i].data.ptr;
            if (tag == &signals_) {
                wanted = false;
            } else if (tag == &input_) {
                char ignored[256];
                if (::read(STDIN_FILENO, ignored, sizeof(ignored)) <= 0) wanted = false;
            } else if (tag == &timer_) {
                tick = true;
            } else {
                on_ready(*static_cast<Entry*>(tag));
            }
        }
        end_late();
        if (tick) ask_all();
    }
    report_.summary(observer_);
}

// A process that was late asks once, not as often as it missed: what it could not see it does not pretend to have seen.
void Prober::ask_all() {
    uint64_t ticks = 0;
    if (::read(timer_, &ticks, sizeof(ticks)) != sizeof(ticks)) return;
    for (const Target& target : options_.targets) ask(target);
}

void Prober::ask(const Target& target) {
    Entry& entry = open_.emplace_back();
    entry.self = std::prev(open_.end());
    entry.attempt = std::make_unique<Attempt>(target, boot_time());
    if (entry.attempt->state() == Attempt::State::kDone) return finish(entry, entry.attempt->outcome());
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLET;
    event.data.ptr = &entry;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, entry.attempt->descriptor(), &event) != 0) {
        finish(entry, {"", std::strerror(errno)});
    }
}

void Prober::on_ready(Entry& entry) {
    entry.attempt->on_ready();
    if (entry.attempt->state() == Attempt::State::kDone) finish(entry, entry.attempt->outcome());
}

void Prober::finish(Entry& entry, const Outcome& outcome) {
    const Time now = boot_time();
    const Attempt& attempt = *entry.attempt;
    report_.line(attempt.target(), outcome, attempt.sent(), now);
    if (outcome.server.empty()) {
        observer_.on_failure(attempt.target().name);
    } else if (observer_.on_answer({attempt.target().name, outcome.server, attempt.sent(), now})) {
        report_.both_sides(observer_.both_sides().back());
    }
    open_.erase(entry.self);
}

void Prober::end_late() {
    const Time oldest = boot_time() - options_.timeout;
    while (!open_.empty() && open_.front().attempt->sent() <= oldest) finish(open_.front(), {"", "no answer in time"});
}

int run(const Options& options) {
    Report report;
    if (!report.open(options.output)) {
        std::fprintf(stderr, "kagami-prober: %s: %s\n", options.output.c_str(), std::strerror(errno));
        return 1;
    }
    Prober prober(options, report);
    if (!prober.open()) {
        std::perror("kagami-prober");
        return 1;
    }
    prober.run();
    return 0;
}

}  // namespace
}  // namespace kagami::prober

int main(int argc, char** argv) {
    return kagami::prober::run(kagami::prober::parse(argc, argv));
}
