#include "cluster-daemon/engine/register.h"

#include <algorithm>

#include "common/assert.h"

namespace kagami::engine {
namespace {

constexpr uint64_t kMaxEpochLead = 1ULL << 40U;  // far above any number of elections and forced starts

}  // namespace

Register::Register(const RegisterSettings& settings, Ledger& ledger, Outbox& out)
    : settings_(settings),
      out_(out),
      random_(settings.seed),
      restarted_(ledger.state().boot == settings.self.boot),
      acceptor_(ledger, settings.self, settings.booted, random_.next()),
      run_lease_(acceptor_, settings.self, out),
      leader_heard_at_(settings.booted) {
    if (!restarted_) return;
    // What this incarnation granted before the restart is forgotten: nobody has stopped for certain before T_grant.
    grants_.everybody_until(settings.booted + acceptor_.timing().grant);
    const Document& mine = acceptor_.document();
    if (mine.leader == settings.self && mine.version.epoch == acceptor_.promised() &&
        mine.version.epoch.node() == settings.self.node) {
        Leadership& again =
            role_.emplace<Leadership>(acceptor_, settings.self, out, mine.version.epoch, settings.booted);
        again.resume(settings.booted);
    }
}

// ---- messages ----

void Register::on_message(NodeId from, const Message& message, Instant now) {
    if (from == settings_.self.node || !may_send(from, message)) return;
    std::visit([&](const auto& m) { on(from, m, now); }, message);
}

void Register::on(NodeId from, const Heartbeat& m, Instant now) {
    if (m.incarnation.node != from) return;
    const bool newer = m.version > document().version && m.version.epoch >= acceptor_.promised();
    Peers::Peer& peer = peers_.on_heartbeat(from, m, now);
    // The leader's Accept is normally on its way; only a peer that stays ahead is asked.
    if (newer && peer.ahead) out_.send(from, FetchDocument{document().version});
    peer.ahead = newer && !peer.ahead;
    // The witness names no epoch that a node did not; and no damaged machine uses the counter up.
    const uint64_t known = std::max(max_seen_, acceptor_.promised()).counter();
    if (from != kWitnessId && m.epoch.counter() <= known + kMaxEpochLead) max_seen_ = std::max(max_seen_, m.epoch);
}

void Register::on(NodeId from, const PreVote& m, Instant now) {
    out_.send(from, acceptor_.on_pre_vote(from, m, now));
}

void Register::on(NodeId from, const PreVoteReply& m, Instant now) {
    if (auto* election = std::get_if<Election>(&role_)) election->on_pre_vote_reply(from, m, now);
}

void Register::on(NodeId from, const Prepare& m, Instant now) {
    const auto answer = acceptor_.on_prepare(from, m, now);
    out_.send(from, answer.reply, answer.after_persist);
}

void Register::on(NodeId from, const PrepareReply& m, Instant now) {
    if (auto* election = std::get_if<Election>(&role_)) election->on_prepare_reply(from, m, now);
}

void Register::on(NodeId from, const Accept& m, Instant now) {
    const auto answer = acceptor_.on_accept(from, m, now);
    out_.send(from, answer.reply, answer.after_persist);
    if (answer.reply.accepted) return heard_leader(from, m.version.epoch, now);
    if (m.version == document().version && m.document != encode(document()) && other_document_.insert(from).second)
        out_.say(Reason::kStoreMismatch, out_.name(from),
                 out_.name(from) + " proposes another document under the version " + to_string(m.version) +
                     " that is accepted here: it is refused.");
}

void Register::on(NodeId from, const AcceptReply& m, Instant now) {
    if (auto* leadership = std::get_if<Leadership>(&role_)) leadership->on_accept_reply(from, m, now);
}

void Register::on(NodeId from, const Renew& m, Instant now) {
    const auto answer = acceptor_.on_renew(from, m, now);
    out_.send(from, answer.reply, answer.after_persist);
    if (answer.reply.acknowledged) heard_leader(from, m.epoch, now);
}

void Register::on(NodeId from, const RenewAck& m, Instant now) {
    if (auto* leadership = std::get_if<Leadership>(&role_)) leadership->on_renew_ack(from, m, now);
}

void Register::on(NodeId from, const LeaseRequest& m, Instant now) {
    const auto* leadership = std::get_if<Leadership>(&role_);
    if (leadership == nullptr || now >= leadership->lease_until() || m.incarnation.node != from) return;
    if (m.timing_digest != timing().digest) {
        if (timing_differs_.insert(from).second)
            out_.say(Reason::kTimingMismatch, out_.name(from),
                     out_.name(from) + " has another timing and gets no lease until it has the document.");
        return;
    }
    timing_differs_.erase(from);
    const bool member = chosen().names(m.incarnation) && document().names(m.incarnation);
    if (!member || peers_.ambiguous(from, timing().detect, now)) return;
    const Duration length = std::min(timing().hold, leadership->lease_until() - now);
    grants_.given(m.incarnation, now + timing().grant);
    out_.send(from, LeaseGrant{m.stamp, leadership->epoch(), length, document().version});
}

void Register::on(NodeId from, const LeaseGrant& m, Instant now) {
    run_lease_.on_grant(from, m, now);
}

void Register::on(NodeId from, const HandOver& m, Instant now) {
    const bool present = m.epoch.node() == from && m.epoch == acceptor_.promised();
    if (!present || m.to != settings_.self.node || !std::holds_alternative<Follower>(role_) || !startup_.complete)
        return;
    acceptor_.on_release(from, {m.epoch, m.to});
    handed_over_ = m.epoch;
    hand_over_until_ = now + timing().detect;
    start_election({true, {}, {}}, now);
}

void Register::on(NodeId from, const Release& m, Instant /*now*/) {
    acceptor_.on_release(from, m);
}

void Register::on(NodeId from, const FetchDocument& m, Instant /*now*/) {
    if (document().version > m.have) out_.send(from, DocumentIs{encode(document())}, acceptor_.accept_serial());
}

void Register::on(NodeId /*from*/, const DocumentIs& m, Instant now) {
    acceptor_.on_document(m, now);
}

// ---- roles ----

void Register::heard_leader(NodeId leader, Epoch epoch, Instant now) {
    max_seen_ = std::max(max_seen_, epoch);
    if (std::holds_alternative<Leadership>(role_))
        step_down(now, out_.name(leader) + " leads under epoch " + to_string(epoch) + ".");
    leader_ = leader;
    leader_heard_at_ = now;
    take_back_at_ = kNever;
    const auto* election = std::get_if<Election>(&role_);
    // Renewals that the former leader sent before it handed over do not end the hand-over.
    if (election != nullptr && !(election->terms().hand_over && epoch <= handed_over_)) role_.emplace<Follower>();
}

void Register::step_down(Instant now, const std::string& why) {
    role_.emplace<Follower>();
    leader_ = kNobody;
    leader_heard_at_ = now;
    out_.say(Reason::kSteppedDown, out_.name(settings_.self.node),
             out_.name(settings_.self.node) + " leads no longer: " + why);
}

void Register::start_election(ElectionTerms terms, Instant now) {
    leader_ = kNobody;
    terms.patience = terms.hand_over ? Duration{} : patience(now);
    Election& election = role_.emplace<Election>(acceptor_, settings_.self, out_, random_, max_seen_, std::move(terms));
    election.advance(now);
}

// Candidates that are preferred ask first: owners of groups, then lower numbers. Among two nodes the survivor waits for
// nobody.
Duration Register::patience(Instant now) const {
    const auto owns = [&](NodeId node) {
        return std::any_of(document().groups.begin(), document().groups.end(), [&](const auto& g) {
            return g.second.goal == Goal::kStarted && g.second.owner && g.second.owner->node == node;
        });
    };
    int before = 0;
    for (const NodeId node : peers_.heard(timing().detect, now)) {
        if (node == kWitnessId || document().node(node).state != NodeState::kMember) continue;
        const NodeId self = settings_.self.node;
        if (std::pair(!owns(node), node) < std::pair(!owns(self), self)) ++before;
    }
    return before * timing().renew / 8;
}

bool Register::owns_started_group() const {
    return std::any_of(document().groups.begin(), document().groups.end(), [&](const auto& g) {
        return g.second.goal == Goal::kStarted && g.second.owner == settings_.self;
    });
}

// A hand-over whose message got lost must cost nobody its lease, so the former leader does not wait for T_detect.
Instant Register::contend_at() const {
    if (take_back_at_ != kNever) return take_back_at_;
    return leader_heard_at_ + timing().detect + (owns_started_group() ? Duration{} : timing().prefer);
}

void Register::advance(Instant now) {
    if (leader_ != kNobody && leader_ != settings_.self.node && now - leader_heard_at_ > timing().detect)
        leader_ = kNobody;
    judge(now);
    advance_role(now);
    grants_.forget_expired(now - timing().strict);  // strict groups ask how long ago a grant has run out
    if (!settings_.witness && leader_ != kNobody && leader_ != settings_.self.node) run_lease_.ask(leader_, now);
    tell_lease_changes(now);
}

void Register::advance_role(Instant now) {
    if (std::holds_alternative<Follower>(role_)) advance_follower(now);
    if (std::holds_alternative<Election>(role_)) advance_election(now);
    if (std::holds_alternative<Leadership>(role_)) advance_leadership(now);
}

void Register::advance_follower(Instant now) {
    if (settings_.witness || !startup_.may_contend || now < contend_at()) return;
    out_.say(Reason::kContending, out_.name(settings_.self.node),
             out_.name(settings_.self.node) + " contends: no leader is heard.");
    start_election({}, now);
}

void Register::advance_election(Instant now) {
    auto& election = std::get<Election>(role_);
    const ElectionTerms& terms = election.terms();
    if ((terms.hand_over && now >= hand_over_until_) || (terms.down.empty() && !startup_.may_contend)) {
        role_.emplace<Follower>();
        return;
    }
    if (!election.won()) election.advance(now);
    if (election.won()) lead(now);
}

void Register::lead(Instant now) {
    const auto& election = std::get<Election>(role_);
    const Document adopted = election.adopted();
    const Epoch epoch = election.epoch();
    // Not proven by waiting: the former leader's grants after a hand-over, those of voters that a person has overruled.
    // An election waits until all promises have run out, just now; a hand-over and a forced start do not wait.
    const bool waited = !election.terms().hand_over && election.terms().down.empty();
    grants_.everybody_until(waited ? now : now + timing().grant);
    max_seen_ = std::max(max_seen_, epoch);
    take_back_at_ = kNever;
    Leadership& leadership = role_.emplace<Leadership>(acceptor_, settings_.self, out_, epoch, now);
    if (!leadership.open(adopted, now)) return step_down(now, "its own vote went to another candidate.");
    advance_leadership(now);
}

void Register::advance_leadership(Instant now) {
    auto& leadership = std::get<Leadership>(role_);
    const bool opened_before = leading_since_ >= leadership.since() && leading_since_ != Instant{};
    if (acceptor_.promised() != leadership.epoch()) return step_down(now, "a higher epoch was promised.");
    leadership.advance(now);
    if (leadership.lease_until() > run_lease_.run_until())
        run_lease_.on_leader_lease(leadership.lease_sent_at(), leadership.lease_until());
    leader_ = now < leadership.lease_until() ? settings_.self.node : kNobody;
    if (leader_ != kNobody) leader_heard_at_ = now;
    if (!opened_before && leading(now)) {
        leading_since_ = now;
        out_.say(Reason::kElected, out_.name(settings_.self.node),
                 out_.name(settings_.self.node) + " leads the cluster, epoch " + to_string(leadership.epoch()) + ".");
    }
    // A voter promised more than this epoch and can acknowledge nothing of it: win it back under a higher one. The
    // lease stays; the voters that hold this incarnation's promise grant at once.
    if (leadership.refused_for() > leadership.epoch()) {
        max_seen_ = std::max(max_seen_, leadership.refused_for());
        start_election({}, now);
    }
}

void Register::judge(Instant now) {
    was_member_ = was_member_ || document().names(settings_.self);
    StartupFacts facts;
    facts.document = &document();
    facts.self = settings_.self;
    facts.heard = peers_.heard(timing().detect, now);
    facts.leader = leader_;
    for (const NodeId node : facts.heard)
        if (const NodeId followed = peers_.all().at(node).heartbeat.leader;
            followed != kNobody && followed != settings_.self.node)
            facts.leader = followed;
    facts.left_in_this_run = was_member_ && document().node(settings_.self.node).state == NodeState::kLeft;
    const Instant wait_until = settings_.booted + startup_wait_;
    facts.wait_over = wait_cancelled_ || now >= wait_until;
    facts.wait_left = std::max(Duration{}, wait_until - now);
    const bool before = startup_.complete;
    startup_ = judge_startup(facts, out_);
    if (std::holds_alternative<Leadership>(role_)) startup_ = {true, startup_.complete, {}};
    if (startup_.complete && !before && !settings_.witness)
        out_.say(Reason::kStartupComplete, out_.name(settings_.self.node),
                 out_.name(settings_.self.node) + " is a member of the cluster.");
}

void Register::tell_lease_changes(Instant now) {
    if (settings_.witness) return;
    const bool has = now < run_lease_.run_until();
    if (has == had_lease_) return;
    had_lease_ = has;
    const std::string who = out_.name(settings_.self.node);
    if (has) return out_.say(Reason::kLeaseGained, who, who + " may run groups.");
    const bool leads = std::holds_alternative<Leadership>(role_);
    out_.say(leads ? Reason::kQuorumLost : Reason::kLeaseLost, who,
             leads ? "No majority answers " + who + ": it may run nothing until one does."
                   : who + " gets no lease: it may run nothing.");
}

// ---- what the engine asks for ----

Status Register::propose(Document next, Instant now) {
    KAGAMI_ASSERT(leading(now) && !busy(), "only a leader with a valid lease and nothing in flight proposes");
    const Status done = std::get<Leadership>(role_).propose(std::move(next), now);
    if (done) advance_leadership(now);
    return done;
}

void Register::hand_over(NodeId to, Instant now) {
    KAGAMI_ASSERT(leading(now) && !busy(), "only a leader with nothing in flight hands over");
    const Epoch epoch = std::get<Leadership>(role_).epoch();
    for (const NodeId node : voting_nodes(document()))
        if (node != settings_.self.node) out_.send(node, Release{epoch, to});
    acceptor_.on_release(settings_.self.node, {epoch, to});
    out_.send(to, HandOver{epoch, to});
    out_.say(Reason::kHandedOver, out_.name(to), "The leadership goes to " + out_.name(to) + ".");
    role_.emplace<Follower>();
    leader_ = kNobody;
    leader_heard_at_ = now;
    take_back_at_ = now + 2 * timing().renew;
}

Status Register::force_start(const std::set<NodeId>& down, Instant now) {
    if (leader_ != kNobody)
        return fail(ErrorCode::kRefused, "The cluster runs under " + out_.name(leader_) + ".",
                    "nothing has to be forced");
    std::set<NodeId> excluded = down;
    for (const NodeId node : voting_nodes(document())) {
        if (node == settings_.self.node) continue;
        const bool heard = peers_.hears(node, timing().detect, now);
        if (heard && down.contains(node))
            return fail(ErrorCode::kRefused, out_.name(node) + " is heard: it is not down.",
                        "shut it down or start the cluster without force");
        if (node == kWitnessId) {
            if (!heard) excluded.insert(node);
        } else if (!heard && !down.contains(node)) {
            return fail(ErrorCode::kRefused,
                        out_.name(node) + " is not heard, and nobody has confirmed that it is down.",
                        "make sure that it has no power and confirm it: --confirm-down " + out_.name(node));
        }
    }
    if (excluded.empty()) {
        cancel_startup_wait();
        return {};
    }
    out_.say(Reason::kConfirmedDown, "cluster",
             "A person starts the cluster here without the nodes that were confirmed down.");
    start_election({false, {}, std::move(excluded)}, now);
    return {};
}

void Register::on_pause(Instant now) {
    const bool already_void = run_lease_.run_until() == Instant{};
    run_lease_.on_pause(now);
    if (auto* leadership = std::get_if<Leadership>(&role_)) leadership->forget_rounds();
    if (already_void) return;  // the guard reports the same gap until there is a new lease
    out_.say(Reason::kPauseSuspected, out_.name(settings_.self.node),
             "The clock of " + out_.name(settings_.self.node) +
                 " may have stopped: its lease counts again once a renewal sent from now on is acknowledged.");
}

bool Register::leading(Instant now) const {
    const auto* leadership = std::get_if<Leadership>(&role_);
    return leadership != nullptr && leadership->opened() && now < leadership->lease_until();
}

bool Register::busy() const {
    const auto* leadership = std::get_if<Leadership>(&role_);
    return leadership == nullptr || leadership->busy();
}

bool Register::has_quorum(Instant now) const {
    const auto* leadership = std::get_if<Leadership>(&role_);
    return leadership != nullptr ? now < leadership->lease_until() : leader_ != kNobody;
}

bool Register::votes_now(NodeId node, Instant now) const {
    const auto* leadership = std::get_if<Leadership>(&role_);
    return leadership != nullptr && leadership->votes_now(node, now);
}

Instant Register::wake_at() const {
    Instant at = kNever;
    if (const auto* election = std::get_if<Election>(&role_)) at = election->wake_at();
    if (const auto* leadership = std::get_if<Leadership>(&role_)) at = leadership->wake_at();
    if (!settings_.witness && std::holds_alternative<Follower>(role_) && startup_.may_contend) at = contend_at();
    if (leader_ != kNobody && leader_ != settings_.self.node) {
        at = std::min(at, leader_heard_at_ + timing().detect + Duration(1));
        if (!settings_.witness) at = std::min(at, run_lease_.ask_at());
    }
    if (had_lease_) at = std::min(at, run_lease_.run_until());
    return at;
}

}  // namespace kagami::engine
