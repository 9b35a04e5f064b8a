#include "mirror-driver/driver/mirror_runner.h"

#include <poll.h>

#include <utility>

#include "common/host/boot_clock.h"
#include "mirror-driver/driver/hardening.h"

namespace kagami::mirror {
namespace {

using mirror_link::Answer;
using mirror_link::Ask;
using mirror_link::Verb;

constexpr size_t kHeapReserve = size_t{8} << 20U;  // of a running mirror: state changes, TLS, answers

std::string sentence(const Error& error) {
    return error.remedy.empty() ? error.message : error.message + ": " + error.remedy;
}

}  // namespace

MirrorRunner::MirrorRunner(RunnerSettings settings) : settings_(std::move(settings)) {
    settings_.live.wake = [this] { box_.ring(); };
    settings_.live.waker = box_.descriptor();
    settings_.live.report = settings_.report;
    detached_.mirror = settings_.live.config.name;
    quiet_until_ = host::boot_now() + kRetry;
    thread_ = std::thread([this] { run(); });
}

MirrorRunner::~MirrorRunner() {
    thread_.join();
}

void MirrorRunner::authority(const Authority& authority) {
    box_.post([this, authority] { take_authority(authority); });
}

void MirrorRunner::ask(const Ask& ask, Answerer answer) {
    box_.post([this, ask, answer = std::move(answer)] { handle(ask, answer); });
}

void MirrorRunner::stop() {
    box_.post([this] { stopping_ = true; });
}

void MirrorRunner::run() {
    while (!ended_) {
        if (live_) {
            turn();
        } else {
            if (host::boot_now() >= next_try_) try_attach();
            pollfd box{box_.descriptor(), POLLIN, 0};
            if (!live_) ::poll(&box, 1, static_cast<int>(milliseconds(retry())));
            box_.work();
        }
        look_for_failure();
        look_for_end();
    }
    live_.reset();
    settings_.ended();
}

void MirrorRunner::turn() {
    const auto turned = live_->turn();
    if (live_->woken()) box_.work();
    if (turned || !live_) return;
    const bool served = !live_->secondary();
    settings_.live.note(sentence(turned.error()));
    drop();
    if (served) give_up_kept("the driver cannot serve it any more");
    say(turned.error().message);
}

void MirrorRunner::drop() {
    live_.reset();
    detaching_ = failed_ = false;
}

// A disk that failed is let go, so that a person can repair it and make its metadata anew.
void MirrorRunner::look_for_failure() {
    if (std::exchange(failed_, false)) {
        const std::string message = live_->status().report.message;
        drop();
        next_try_ = host::boot_now() + kRetry;
        detached_.disk = DiskState::kFailed;
        return say(message);
    }
    if (detaching_ || !live_ || !live_->failed()) return;
    detaching_ = true;
    live_->detach([this] { failed_ = true; });
}

void MirrorRunner::look_for_end() {
    if (!stopping_ || detaching_ || (live_ && !live_->secondary())) return;
    if (!live_) {
        if (settings_.kept.valid()) give_up_kept("the mirror is stopped");
        ended_ = true;
        return;
    }
    detaching_ = true;
    live_->detach([this] { ended_ = true; });
}

void MirrorRunner::say(const std::string& message) {
    if (detached_.message == message) return;
    detached_.message = message;
    if (!message.empty()) settings_.live.note(message);
    settings_.report(detached_);
}

// ---- attaching ----

// With a kept descriptor: only once the register's word is the newest there is.
bool MirrorRunner::may_attach() {
    if (stopping_) return false;
    if (!settings_.kept.valid() || (authority_ && authority_->member && authority_->fresh)) return true;
    say("waits for the cluster's word whether its applications may go on");
    return false;
}

void MirrorRunner::try_attach() {
    next_try_ = host::boot_now() + retry();
    if (!may_attach()) return;
    if (settings_.kept.valid() && !kept_until_) kept_until_ = host::boot_now() + kKeptLimit;
    std::optional<Uuid> mirror;
    if (authority_ && authority_->record.uuid != Uuid{}) mirror = authority_->record.uuid;
    const auto& live = settings_.live;
    auto attached = attach(live.config, live.welcome.cluster, live.welcome.self, mirror);
    if (attached) {
        become(std::move(*attached));
    } else if (!settings_.kept.valid() || host::boot_now() >= quiet_until_) {
        say(sentence(attached.error()));
    }
    if (!live_ && settings_.kept.valid() && host::boot_now() >= *kept_until_)
        give_up_kept("it could not be attached for " + std::to_string(kKeptLimit / 1s) + " s");
}

// May the descriptor be served by this driver?
Status MirrorRunner::judge_kept(const Context& context) {
    if (context.attached_in != settings_.live.welcome.boot) return fail("it is of an earlier boot");
    if (!context.flags.primary_indicated) return fail("the mirror was demoted");
    if (authority_->token == Token{}) return fail("the cluster does not run the group here any more");
    if (authority_->token != context.highest_token) return fail("the group has been started anew");
    return {};
}

void MirrorRunner::give_up_kept(const std::string& why) {
    settings_.live.note("the kept device is given up: " + why);
    for (const auto& type : front_ends()) {
        if (settings_.live.front_end == type.name) type.drop(settings_.live.directory);
    }
    settings_.kept.reset();
    settings_.live.keep(-1);
}

void MirrorRunner::become(Attachment attachment) {
    for (const auto& finding : attachment.loaded.findings) settings_.live.note(finding);
    if (attachment.created) settings_.live.note("new metadata were written to " + settings_.live.config.metadata);
    if (settings_.kept.valid()) {
        if (auto judged = judge_kept(attachment.loaded.context); !judged) give_up_kept(judged.error().message);
    }
    LiveSettings live = settings_.live;
    const int kept = live.kept_descriptor = settings_.kept.release();
    auto made = LiveMirror::make(std::move(attachment), std::move(live));
    if (!made) {
        settings_.kept = UniqueFd(kept);  // not used yet
        return say(sentence(made.error()));
    }
    live_ = std::move(*made);
    detached_.message.clear();
    detached_.disk = DiskState::kNone;
    reserve_heap(kHeapReserve);
    settings_.live.note(kept >= 0 ? "attached; goes on as primary" : "attached");
    if (authority_) live_->authority(*authority_);
}

void MirrorRunner::take_authority(const Authority& authority) {
    const bool first = !authority_;
    authority_ = authority;
    if (!live_) {
        if (first || settings_.kept.valid()) next_try_ = {};
        return;
    }
    const bool other = authority.record.uuid != Uuid{} && authority.record.uuid != live_->context().mirror;
    if (!other || !live_->secondary()) return live_->authority(authority);
    drop();  // attaching says what is wrong with the metadata
    next_try_ = {};
}

// ---- questions ----

mirror_link::MirrorStatus MirrorRunner::status() const {
    if (live_) return live_->status();
    mirror_link::MirrorStatus status;
    status.report = detached_;
    status.data = settings_.live.config.data;
    status.metadata = settings_.live.config.metadata;
    status.front_end = settings_.live.front_end;
    status.warnings = settings_.live.warnings;
    status.remaining = Duration{-1};
    return status;
}

void MirrorRunner::handle(const Ask& ask, const Answerer& answer) {
    const auto reply = [this, id = ask.id, verb = ask.verb, answer](const Status& outcome, bool not_yet) {
        Answer a;
        a.id = id;
        a.ok = outcome.has_value();
        a.not_yet = !a.ok && not_yet;
        if (!a.ok) {
            a.message = outcome.error().message;
            a.remedy = outcome.error().remedy;
        }
        if (verb == Verb::kStatus || (verb == Verb::kPromote && a.ok)) a.status = status();
        answer(std::move(a));
    };
    if (ask.verb == Verb::kStatus) return reply({}, false);
    if (!live_) {
        if (ask.verb == Verb::kDemote) {
            if (settings_.kept.valid()) give_up_kept("it is demoted");
            return reply({}, false);
        }
        const std::string why = detached_.message.empty() ? "is not attached yet" : detached_.message;
        return reply(
            fail(ErrorCode::kRefused, "mirror " + detached_.mirror + ": " + why, "look at `kagami mirror status`"),
            true);
    }
    if (ask.verb == Verb::kDemote) return live_->demote(reply);
    if (ask.verb == Verb::kResync) return live_->resync(reply);
    const bool may_come = !authority_ || !authority_->member || !authority_->fresh || authority_->token == Token{};
    live_->promote([reply, may_come](const Status& outcome, bool not_yet) { reply(outcome, not_yet || may_come); });
}

}  // namespace kagami::mirror
