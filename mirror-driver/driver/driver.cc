#include "mirror-driver/driver/driver.h"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <tuple>
#include <utility>

#include "mirror-driver/driver/hardening.h"

namespace kagami::mirror {
namespace {

using mirror_link::Answer;
using mirror_link::Ask;
using mirror_link::MirrorConfig;

constexpr int kHeapWatchMilliseconds = 10'000;

std::string directory_of(const DriverSettings& settings, const std::string& mirror) {
    return settings.run_directory + "/mirror/" + mirror;
}

}  // namespace

Driver::Driver(DriverSettings settings, DescriptorStore& store) : settings_(std::move(settings)), store_(store) {
    std::ignore = getrandom(instance_.data(), instance_.size(), 0);
    kept_ = store_.take_kept();
    if (!store_.available()) {
        settings_.warnings.push_back(
            "no descriptor store ($NOTIFY_SOCKET is not set): if this driver crashes, applications see I/O errors");
    }
    for (const auto& warning : settings_.warnings) spdlog::warn("{}", warning);
}

Driver::~Driver() = default;

Status Driver::open() {
    for (const auto& directory : {settings_.run_directory, settings_.run_directory + "/mirror"}) {
        if (auto made = make_private_directory(directory); !made) return made;
    }
    mirror_link::Server::Handlers handlers;
    handlers.welcome = [this](const mirror_link::Welcome& welcome) {
        if (welcome_ && welcome_ != welcome) {  // another cluster: nothing of the old one goes on
            for (auto& [name, running] : running_) stop(running);
        }
        welcome_ = welcome;
    };
    handlers.configure = [this](const mirror_link::Configure& configure) {
        wanted_.clear();
        for (const auto& mirror : configure.mirrors) wanted_[mirror.name] = mirror;
        configured_ = true;
        std::erase_if(authorities_, [this](const auto& known) { return wanted_.count(known.first) == 0; });
        reconcile();
    };
    handlers.authority = [this](const Authority& authority) {
        authorities_[authority.mirror] = authority;
        if (const auto found = running_.find(authority.mirror); found != running_.end())
            found->second.runner->authority(authority);
    };
    handlers.ask = [this](const Ask& question, std::function<void(Answer)> answer) {
        ask(question, std::move(answer));
    };
    handlers.daemon_gone = [this] {
        spdlog::info("the daemon has gone; mirrors go on under their leases");
        for (auto& [name, authority] : authorities_) {
            authority.fresh = false;  // what it said last may be old by now
            if (const auto found = running_.find(name); found != running_.end()) found->second.runner->authority(authority);
        }
    };
    auto server = mirror_link::Server::listen(settings_.socket, std::move(handlers));
    if (!server) return tl::unexpected(server.error());
    server_ = std::move(*server);
    return store_.ready();
}

Status Driver::run(int stop_descriptor) {
    while (!stopping_ || !running_.empty()) {
        pollfd waits[] = {
            {server_->descriptor(), POLLIN, 0}, {box_.descriptor(), POLLIN, 0}, {stop_descriptor, POLLIN, 0}};
        if (::poll(waits, std::size(waits), kHeapWatchMilliseconds) == 0) watch_heap();
        if (waits[2].revents != 0) {
            signalfd_siginfo signal{};
            if (::read(stop_descriptor, &signal, sizeof signal) == ssize_t{sizeof signal}) stop_all();
        }
        if (waits[0].revents != 0) server_->advance();
        box_.work();
    }
    return {};
}

void Driver::stop_all() {
    if (!stopping_) spdlog::info("stops: {} mirrors, each as soon as it is secondary", running_.size());
    stopping_ = true;
    for (auto& [name, running] : running_) stop(running);
}

void Driver::stop(Running& running) {
    if (std::exchange(running.stopping, true)) return;
    running.runner->stop();
}

void Driver::reconcile() {
    if (!welcome_ || !configured_ || stopping_) return;
    for (auto& [name, running] : running_) {
        const auto found = wanted_.find(name);
        if (found == wanted_.end() || found->second != running.config) stop(running);
    }
    for (const auto& [name, config] : wanted_) {
        if (running_.count(name) == 0) start(config);
    }
    drop_unclaimed();
}

void Driver::start(const MirrorConfig& config) {
    const std::string name = config.name;
    RunnerSettings settings;
    settings.live.config = config;
    settings.live.welcome = *welcome_;
    settings.live.instance = instance_;
    settings.live.directory = directory_of(settings_, name);
    settings.live.guard_page = settings_.guard_page;
    settings.live.front_end = settings_.front_end;
    settings.live.warnings = settings_.warnings;
    if (auto made = make_private_directory(settings.live.directory); !made) spdlog::error("{}", made.error().message);
    settings.live.note = [this, name](const std::string& note) {
        box_.post([name, note] { spdlog::info("mirror {}: {}", name, note); });
    };
    settings.live.keep = [this, name](int descriptor) {
        const auto done = descriptor >= 0 ? store_.keep(name, descriptor) : store_.forget(name);
        if (!done && store_.available())
            box_.post([name, why = done.error().message] { spdlog::warn("mirror {}: {}", name, why); });
    };
    settings.report = [this](const Report& report) { box_.post([this, report] { server_->send(report); }); };
    settings.ended = [this, name] { box_.post([this, name] { ended(name); }); };
    if (const auto kept = kept_.find(name); kept != kept_.end()) {
        settings.kept = std::move(kept->second);
        kept_.erase(kept);
    }
    Running& running = running_[name];
    running.config = config;
    running.runner = std::make_unique<MirrorRunner>(std::move(settings));
    if (const auto known = authorities_.find(name); known != authorities_.end())
        running.runner->authority(known->second);
    heap_bytes_ = 0;
}

void Driver::ended(const std::string& name) {
    running_.erase(name);
    spdlog::info("mirror {}: detached", name);
    reconcile();
}

// Descriptors of mirrors that are not configured any more.
void Driver::drop_unclaimed() {
    for (auto& [name, fd] : kept_) {
        spdlog::warn("mirror {}: not configured any more; the device that an earlier driver left is given up", name);
        for (const auto& type : front_ends()) {
            if (settings_.front_end == type.name) type.drop(directory_of(settings_, name));
        }
        std::ignore = store_.forget(name);
    }
    kept_.clear();
}

void Driver::ask(const Ask& question, std::function<void(Answer)> answer) {
    const auto found = running_.find(question.mirror);
    if (found == running_.end()) {
        Answer none;
        none.id = question.id;
        none.not_yet = !configured_;
        none.message = "kagami-mirrord has no mirror " + question.mirror;
        none.remedy = "look whether it is in the configuration in force (kagami config show)";
        return answer(std::move(none));
    }
    found->second.runner->ask(question, [this, answer = std::move(answer)](Answer a) {
        box_.post([answer, a = std::move(a)] { answer(a); });
    });
}

// Everything that a mirror needs is allocated when it is attached; more is a hint that something is not.
void Driver::watch_heap() {
    const size_t now = heap_bytes();
    if (heap_bytes_ != 0 && now > heap_bytes_)
        spdlog::warn("the heap has grown from {} to {} MiB", heap_bytes_ >> 20U, now >> 20U);
    heap_bytes_ = now;
}

}  // namespace kagami::mirror
