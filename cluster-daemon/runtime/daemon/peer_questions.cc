#include "cluster-daemon/runtime/daemon/peer_questions.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "common/text.h"
#include "proto/peer.pb.h"

namespace kagami::runtime {
namespace {

namespace asio = boost::asio;

Bytes bytes_of(const google::protobuf::MessageLite& message) {
    Bytes bytes(message.ByteSizeLong());
    message.SerializeToArray(bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
}

uint32_t number_of(engine::Level level) {
    return static_cast<uint32_t>(level);
}

engine::Level level_of(uint32_t number) {
    if (number == number_of(engine::Level::kInfo)) return engine::Level::kInfo;
    return number == number_of(engine::Level::kWarning) ? engine::Level::kWarning : engine::Level::kError;
}

void fill_line(const LogLine& line, peer::LogLine& out) {
    out.set_unix_ms(line.unix_ms);
    out.set_level(number_of(line.level));
    out.set_subject(valid_utf8(line.subject));
    out.set_code(valid_utf8(line.code));
    out.set_message(valid_utf8(line.message));
    out.set_epoch(line.epoch);
    for (const std::string& input : line.inputs) out.add_inputs(valid_utf8(input));
}

LogLine to_line(const peer::LogLine& in) {
    LogLine line;
    line.unix_ms = in.unix_ms();
    line.level = level_of(in.level());
    line.subject = in.subject();
    line.code = in.code();
    line.message = in.message();
    line.epoch = in.epoch();
    line.inputs = {in.inputs().begin(), in.inputs().end()};
    return line;
}

// The newest lines that fit, oldest first.
void fill_log(const std::vector<LogLine>& lines, peer::LogAnswer& out) {
    size_t bytes = 0;
    std::vector<peer::LogLine> kept;
    for (auto line = lines.rbegin(); line != lines.rend() && kept.size() < kMaxAnswerLines; ++line) {
        peer::LogLine filled;
        fill_line(*line, filled);
        bytes += filled.ByteSizeLong() + 8;
        if (bytes > kMaxAnswerBytes) break;
        kept.push_back(std::move(filled));
    }
    for (auto line = kept.rbegin(); line != kept.rend(); ++line) *out.add_lines() = std::move(*line);
}

LogQuery to_query(const peer::LogQuestion& in) {
    LogQuery query;
    query.since_unix_ms = in.since_unix_ms();
    query.limit = std::min<size_t>(in.limit(), kMaxAnswerLines);
    query.minimum = level_of(in.minimum_level());
    query.subject = in.subject();
    return query;
}

void fill_question(const LogQuery& query, peer::LogQuestion& out) {
    out.set_since_unix_ms(query.since_unix_ms);
    out.set_limit(static_cast<uint32_t>(std::min(query.limit, kMaxAnswerLines)));
    out.set_minimum_level(number_of(query.minimum));
    out.set_subject(valid_utf8(query.subject));
}

void fill_health(const PeerHealth& health, peer::Health& out) {
    out.set_unix_ms(health.unix_ms);
    out.set_binary_version(health.binary_version);
    out.set_configuration_hash(health.configuration_hash);
    out.set_guard_alive(health.guard_alive);
    out.set_guard_armed(health.guard_armed);
    out.set_watchdog(valid_utf8(health.watchdog));
    out.set_certificate_until_unix_ms(health.certificate_until_unix_ms);
}

PeerHealth to_health(const peer::Health& in) {
    PeerHealth health;
    health.unix_ms = in.unix_ms();
    health.binary_version = in.binary_version();
    health.configuration_hash = in.configuration_hash();
    health.guard_alive = in.guard_alive();
    health.guard_armed = in.guard_armed();
    health.watchdog = in.watchdog();
    health.certificate_until_unix_ms = in.certificate_until_unix_ms();
    return health;
}

struct Answered {
    peer::Answer answer;
    int64_t at_unix_ms = 0;
};

// One round of questions: the same id for all, an answer of each.
struct Round {
    std::set<NodeId> missing;
    std::map<NodeId, Answered> answers;
};

}  // namespace

struct PeerQuestions::Impl {
    explicit Impl(Hands given) : hands(std::move(given)) {}

    void answer(NodeId from, const peer::Question& question) {
        peer::Answer answer;
        answer.set_id(question.id());
        switch (question.what_case()) {
            case peer::Question::kLog: fill_log(hands.log(to_query(question.log())), *answer.mutable_log()); break;
            case peer::Question::kHealth: fill_health(hands.health(), *answer.mutable_health()); break;
            case peer::Question::kConfig: fill_problems(question.config(), *answer.mutable_config()); break;
            case peer::Question::WHAT_NOT_SET: return;  // of a newer version: the asker goes on without
        }
        hands.send(from, PeerWord::kAnswer, bytes_of(answer));
    }

    void fill_problems(const peer::ConfigQuestion& question, peer::ConfigAnswer& out) const {
        const Bytes packed(question.packed().begin(), question.packed().end());
        for (const std::string& problem : hands.check_config(packed)) {
            if (out.problems_size() < static_cast<int>(kMaxProblems)) out.add_problems(valid_utf8(problem));
        }
    }

    void on_question(NodeId from, std::span<const uint8_t> content) {
        peer::Question question;
        if (!question.ParseFromArray(content.data(), static_cast<int>(content.size()))) return;
        if (ended || waiting >= kMaxWaitingQuestions) return;
        ++waiting;
        asio::post(worker, [this, from, question = std::move(question)] {
            if (!ended) answer(from, question);
            --waiting;
        });
    }

    void on_answer(NodeId from, std::span<const uint8_t> content) {
        peer::Answer answer;
        if (!answer.ParseFromArray(content.data(), static_cast<int>(content.size()))) return;
        const std::lock_guard lock(mutex);
        const auto round = rounds.find(answer.id());
        if (round == rounds.end() || round->second.missing.erase(from) == 0) return;
        round->second.answers[from] = {std::move(answer), hands.unix_ms()};
        arrived.notify_all();
    }

    using Fill = std::function<void(NodeId, peer::Question&)>;
    std::map<NodeId, Answered> ask(const std::vector<NodeId>& nodes, const Fill& fill, Duration patience) {
        std::unique_lock lock(mutex);
        const uint64_t id = ++next_id;
        Round& round = rounds[id];
        round.missing = {nodes.begin(), nodes.end()};
        lock.unlock();
        for (const NodeId node : nodes) {
            peer::Question question;
            question.set_id(id);
            fill(node, question);
            if (hands.send(node, PeerWord::kQuestion, bytes_of(question))) continue;
            const std::lock_guard again(mutex);
            rounds[id].missing.erase(node);
        }
        lock.lock();
        arrived.wait_for(lock, patience, [&] { return ended || rounds[id].missing.empty(); });
        std::map<NodeId, Answered> answers = std::move(rounds[id].answers);
        rounds.erase(id);
        return answers;
    }

    Hands hands;
    std::mutex mutex;
    std::condition_variable arrived;
    std::map<uint64_t, Round> rounds;
    uint64_t next_id = 0;
    std::atomic<bool> ended = false;
    std::atomic<size_t> waiting = 0;
    asio::thread_pool worker{1};  // last: it uses what stands above
};

PeerQuestions::PeerQuestions(Hands hands) : impl_(std::make_unique<Impl>(std::move(hands))) {}

PeerQuestions::~PeerQuestions() {
    stop();
}

void PeerQuestions::stop() {
    {
        const std::lock_guard lock(impl_->mutex);
        impl_->ended = true;
    }
    impl_->arrived.notify_all();
    impl_->worker.join();
}

void PeerQuestions::receive(NodeId from, PeerWord word, std::span<const uint8_t> content) {
    switch (word) {
        case PeerWord::kQuestion: return impl_->on_question(from, content);
        case PeerWord::kAnswer: return impl_->on_answer(from, content);
    }
}

std::map<NodeId, std::vector<LogLine>> PeerQuestions::ask_log(const std::map<NodeId, LogQuery>& queries,
                                                              Duration patience) {
    std::vector<NodeId> nodes;
    for (const auto& [node, query] : queries) nodes.push_back(node);
    const auto fill = [&queries](NodeId node, peer::Question& question) {
        fill_question(queries.at(node), *question.mutable_log());
    };
    std::map<NodeId, std::vector<LogLine>> all;
    for (const auto& [node, answered] : impl_->ask(nodes, fill, patience)) {
        if (!answered.answer.has_log()) continue;
        auto& lines = all[node];
        for (const peer::LogLine& line : answered.answer.log().lines()) lines.push_back(to_line(line));
    }
    return all;
}

std::map<NodeId, std::vector<std::string>> PeerQuestions::ask_config(const std::vector<NodeId>& nodes,
                                                                     const Bytes& packed, Duration patience) {
    const auto fill = [&packed](NodeId, peer::Question& question) {
        question.mutable_config()->set_packed(packed.data(), packed.size());
    };
    std::map<NodeId, std::vector<std::string>> all;
    for (const auto& [node, answered] : impl_->ask(nodes, fill, patience)) {
        if (!answered.answer.has_config()) continue;
        const auto& problems = answered.answer.config().problems();
        all[node] = {problems.begin(), problems.end()};
    }
    return all;
}

std::map<NodeId, PeerHealth> PeerQuestions::ask_health(const std::vector<NodeId>& nodes, Duration patience) {
    const int64_t asked = impl_->hands.unix_ms();
    const auto fill = [](NodeId, peer::Question& question) { question.mutable_health(); };
    std::map<NodeId, PeerHealth> all;
    for (const auto& [node, answered] : impl_->ask(nodes, fill, patience)) {
        if (!answered.answer.has_health()) continue;
        PeerHealth& health = all[node] = to_health(answered.answer.health());
        health.asked_unix_ms = asked;
        health.answered_unix_ms = answered.at_unix_ms;
    }
    return all;
}

}  // namespace kagami::runtime
