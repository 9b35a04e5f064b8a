#include "cluster-daemon/runtime/alerts/alert_queue.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "cluster-daemon/runtime/alerts/texts.h"
#include "common/files.h"
#include "common/host/boot_clock.h"

namespace kagami::runtime::alerts {
namespace {

constexpr Duration kTidyPeriod = 60s;
constexpr size_t kSecretLimitBytes = 4096;

int64_t unix_ms() {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

// The one line of a file that only root can read.
Result<std::string> read_secret(const std::string& path) {
    auto secret = read_file(path, kSecretLimitBytes, FileAccess::kOwnerOnly);
    if (!secret) return secret;
    if (secret->ends_with('\n')) secret->pop_back();
    if (secret->empty() || secret->find_first_of(std::string("\n\r\0", 3)) != std::string::npos)
        return fail(path + " does not hold one line", "write the secret into it, and nothing else");
    return secret;
}

// A receiver that hangs up is an error of that write, not a signal; also in the threads that libcurl makes from here.
void block_broken_pipes() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

// What is known of one receiver while the daemon lives.
struct Receiver {
    int64_t row = 0;   // under way
    int failures = 0;  // in a row
    Instant next_try{};
    bool told = false;       // that it takes nothing
    bool told_full = false;  // that older ones give way
};

}  // namespace

class AlertQueue::Impl {
 public:
    Impl(AlertOptions options, const std::string& cluster, config::Alerts config, OnProblem on_problem)
        : options_(std::move(options)),
          on_problem_(std::move(on_problem)),
          transfers_(options_.transfer),
          system_log_(options_.system_log),
          new_config_({cluster, std::move(config)}) {
        worker_ = std::thread([this] { run(); });
    }
    ~Impl() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        transfers_.wake();
        worker_.join();
    }

    void post(Alert alert);
    void set_config(const std::string& cluster, config::Alerts config);
    bool flush(Duration at_most);
    AlertStatus status() const {
        const std::lock_guard lock(mutex_);
        return status_;
    }

 private:
    struct Work {
        std::deque<Alert> alerts;
        std::optional<std::pair<std::string, config::Alerts>> config;
        uint64_t dropped = 0;
        bool stopping = false;
    };
    void run();
    Work take();
    void carry_out(Work work);
    void take_config(const std::string& cluster, config::Alerts config);
    void check_files();
    void distribute(const Alert& alert);
    void start_due(const std::string& destination, Receiver& receiver);
    Status start(const std::string& destination, const Waiting& waiting);
    void finish(const Finished& finished);
    void back_off(const std::string& destination, Receiver& receiver, const std::string& why);
    Duration until_next() const;
    void tidy();
    void give_up(int64_t count);
    std::string described(const std::string& destination) const;

    const AlertOptions options_;
    const OnProblem on_problem_;
    Transfers transfers_;

    // of the worker
    SystemLog system_log_;
    std::optional<RetryStore> store_;
    Origin origin_;
    config::Alerts config_;
    std::map<std::string, Receiver> receivers_;
    Instant next_tidy_{};

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Alert> queue_;
    std::optional<std::pair<std::string, config::Alerts>> new_config_;
    uint64_t dropped_ = 0;  // since it was last told
    bool busy_ = true;      // until alerts.db was opened once
    bool stopping_ = false;
    AlertStatus status_;
    std::thread worker_;
};

// ---- from any thread ----

void AlertQueue::Impl::post(Alert alert) {
    {
        const std::lock_guard lock(mutex_);
        if (queue_.size() >= options_.queue_limit) {
            ++status_.dropped;
            ++dropped_;
            return;
        }
        ++status_.taken;
        queue_.push_back(std::move(alert));
        if (queue_.size() > 1) return;  // it was woken for the first one
    }
    transfers_.wake();
}

void AlertQueue::Impl::set_config(const std::string& cluster, config::Alerts config) {
    {
        const std::lock_guard lock(mutex_);
        new_config_ = {cluster, std::move(config)};
    }
    transfers_.wake();
}

bool AlertQueue::Impl::flush(Duration at_most) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, at_most, [&] { return queue_.empty() && !new_config_ && !busy_; });
}

// ---- the worker ----

void AlertQueue::Impl::run() {
    block_broken_pipes();
    store_.emplace(options_.path, options_.retry, on_problem_);
    origin_.node = options_.node;
    for (;;) {
        Work work = take();
        const bool last = work.stopping;
        carry_out(std::move(work));
        {
            const std::lock_guard lock(mutex_);
            busy_ = false;
        }
        changed_.notify_all();
        if (last) return;
        for (auto& [destination, receiver] : receivers_) start_due(destination, receiver);
        for (const Finished& finished : transfers_.wait(until_next())) finish(finished);
    }
}

AlertQueue::Impl::Work AlertQueue::Impl::take() {
    const std::lock_guard lock(mutex_);
    busy_ = true;
    return {std::exchange(queue_, {}), std::exchange(new_config_, std::nullopt), std::exchange(dropped_, 0), stopping_};
}

void AlertQueue::Impl::carry_out(Work work) {
    if (work.config) take_config(work.config->first, std::move(work.config->second));
    if (work.dropped != 0)
        on_problem_(
            fmt::format("{} messages were not sent as alerts: they came faster than they could be stored; "
                        "`kagami log` has them",
                        work.dropped));
    for (Alert& alert : work.alerts) distribute(cleaned(std::move(alert)));
    if (host::boot_now() >= next_tidy_) tidy();
}

void AlertQueue::Impl::take_config(const std::string& cluster, config::Alerts config) {
    origin_.cluster = cluster;
    config_ = std::move(config);
    std::map<std::string, Receiver> kept;
    for (const std::string& destination : destinations(config_)) kept[destination];
    for (const auto& [destination, receiver] : receivers_) {
        transfers_.cancel(destination);  // it may have another password or server now
        if (kept.contains(destination)) kept[destination].told_full = receiver.told_full;
    }
    receivers_ = std::move(kept);
    tidy();
    check_files();
}

// A file that is missing on one node would else be noticed when that node has something to say.
void AlertQueue::Impl::check_files() {
    const auto check = [&](const std::string& destination, const std::string& secret, const std::string& authority) {
        Status readable;
        if (!secret.empty()) {
            if (const auto read = read_secret(secret); !read) readable = tl::unexpected<Error>(read.error());
        }
        if (readable && !authority.empty() && ::access(authority.c_str(), R_OK) != 0)
            readable =
                fail(fmt::format("{} cannot be read: {}", authority, errno_text(errno)), "put the certificate there");
        if (!readable)
            on_problem_(fmt::format("alerts {} cannot be delivered from this node: {}: {}", described(destination),
                                    readable.error().message, readable.error().remedy));
    };
    if (config_.mail) check(kMail, config_.mail->password_file, config_.mail->ca_file);
    for (const auto& webhook : config_.webhooks) check(webhook.url, webhook.secret_file, webhook.ca_file);
}

void AlertQueue::Impl::distribute(const Alert& alert) {
    const Destinations to = route(config_, alert);
    if (to.syslog) system_log_.write(alert, origin_);
    for (const std::string& destination : to.names) {
        const int64_t lost = store_->add(destination, alert);
        if (lost == 0) continue;
        give_up(lost);
        Receiver& receiver = receivers_[destination];
        if (!std::exchange(receiver.told_full, true))
            on_problem_(fmt::format("alerts {}: {} wait, which is the limit: the oldest give way",
                                    described(destination), options_.retry.keep));
    }
}

void AlertQueue::Impl::start_due(const std::string& destination, Receiver& receiver) {
    if (transfers_.busy(destination) || host::boot_now() < receiver.next_try) return;
    const auto waiting = store_->next(destination);
    if (!waiting) return;
    receiver.row = waiting->row;
    if (const Status started = start(destination, *waiting); !started)
        back_off(destination, receiver, started.error().message + ": " + started.error().remedy);
}

Status AlertQueue::Impl::start(const std::string& destination, const Waiting& waiting) {
    if (destination == kMail) {
        MailRequest request{*config_.mail, {}, mail_of(waiting.alert, origin_, *config_.mail, waiting.id)};
        if (!request.to.password_file.empty()) {
            auto password = read_secret(request.to.password_file);
            if (!password) return tl::unexpected<Error>(password.error());
            request.password = std::move(*password);
        }
        transfers_.start(destination, request);
        return {};
    }
    const auto at = std::find_if(config_.webhooks.begin(), config_.webhooks.end(),
                                 [&](const config::WebhookAlerts& webhook) { return webhook.url == destination; });
    WebhookRequest request{*at, waiting.id, json_of(waiting.alert, origin_, waiting.id), {}};
    if (!at->secret_file.empty()) {
        const auto secret = read_secret(at->secret_file);
        if (!secret) return tl::unexpected<Error>(secret.error());
        request.signature = signature_of(request.body, *secret);
    }
    transfers_.start(destination, request);
    return {};
}

void AlertQueue::Impl::finish(const Finished& finished) {
    Receiver& receiver = receivers_[finished.destination];
    switch (finished.delivery) {
        case Delivery::kDone:
            store_->delivered(receiver.row);
            {
                const std::lock_guard lock(mutex_);
                ++status_.delivered;
            }
            if (receiver.told) on_problem_("alerts " + described(finished.destination) + " are delivered again");
            receiver = {};
            return;
        case Delivery::kRefused:
            if (store_->refused(receiver.row)) {
                give_up(1);
                on_problem_(fmt::format("an alert {} was refused {} times and is given up: {}",
                                        described(finished.destination), options_.retry.refusals, finished.words));
            }
            break;
        case Delivery::kFailed: break;
    }
    back_off(finished.destination, receiver, finished.words);
}

void AlertQueue::Impl::back_off(const std::string& destination, Receiver& receiver, const std::string& why) {
    Duration pause = options_.first_retry;
    for (int i = 0; i < receiver.failures && pause < options_.last_retry; ++i) pause *= 2;
    ++receiver.failures;
    receiver.next_try = host::boot_now() + std::min(pause, options_.last_retry);
    if (!std::exchange(receiver.told, true))
        on_problem_(fmt::format("alerts {} are not delivered: {}; {} wait and are tried again", described(destination),
                                why, store_->waiting(destination)));
}

Duration AlertQueue::Impl::until_next() const {
    const Instant now = host::boot_now();
    Instant next = next_tidy_;
    for (const auto& [destination, receiver] : receivers_) {
        if (receiver.next_try > now) next = std::min(next, receiver.next_try);
    }
    return std::max(next - now, Duration(1ms));
}

void AlertQueue::Impl::tidy() {
    next_tidy_ = host::boot_now() + kTidyPeriod;
    const int64_t old = store_->tidy(destinations(config_), unix_ms());
    if (old == 0) return;
    give_up(old);
    on_problem_(
        fmt::format("{} alerts are given up: their receiver was removed, or did not take them within a day", old));
}

void AlertQueue::Impl::give_up(int64_t count) {
    const std::lock_guard lock(mutex_);
    status_.given_up += static_cast<uint64_t>(count);
}

std::string AlertQueue::Impl::described(const std::string& destination) const {
    if (destination == kMail) return config_.mail ? "by mail through " + shown(*config_.mail) : "by mail";
    return "to " + shown(config::WebhookAlerts{destination, {}, {}, {}});
}

// ---- AlertQueue ----

AlertQueue::AlertQueue(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AlertQueue::~AlertQueue() = default;

std::unique_ptr<AlertQueue> AlertQueue::start(AlertOptions options, const std::string& cluster, config::Alerts config,
                                              OnProblem on_problem) {
    return std::unique_ptr<AlertQueue>(
        new AlertQueue(std::make_unique<Impl>(std::move(options), cluster, std::move(config), std::move(on_problem))));
}

void AlertQueue::post(Alert alert) {
    impl_->post(std::move(alert));
}
void AlertQueue::set_config(const std::string& cluster, config::Alerts config) {
    impl_->set_config(cluster, std::move(config));
}
bool AlertQueue::flush(Duration at_most) {
    return impl_->flush(at_most);
}
AlertStatus AlertQueue::status() const {
    return impl_->status();
}

}  // namespace kagami::runtime::alerts
