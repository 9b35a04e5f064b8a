#include "cluster-daemon/runtime/daemon/daemon.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <future>
#include <mutex>
#include <random>
#include <set>

#include "cluster-daemon/engine/engine.h"
#include "cluster-daemon/runtime/daemon/active_config.h"
#include "cluster-daemon/runtime/daemon/control_server.h"
#include "cluster-daemon/runtime/daemon/device_signature.h"
#include "cluster-daemon/runtime/daemon/doctor.h"
#include "cluster-daemon/runtime/daemon/drivers.h"
#include "cluster-daemon/runtime/daemon/engine_shell.h"
#include "cluster-daemon/runtime/daemon/enrolment.h"
#include "cluster-daemon/runtime/daemon/guard_link.h"
#include "cluster-daemon/runtime/daemon/journal.h"
#include "cluster-daemon/runtime/daemon/log_gather.h"
#include "cluster-daemon/runtime/daemon/machine_measures.h"
#include "cluster-daemon/runtime/daemon/mirror_link.h"
#include "cluster-daemon/runtime/daemon/os_shutdown.h"
#include "cluster-daemon/runtime/daemon/peer_link.h"
#include "cluster-daemon/runtime/daemon/peer_questions.h"
#include "cluster-daemon/runtime/daemon/statistics.h"
#include "cluster-daemon/runtime/daemon/system_executor.h"
#include "cluster-daemon/runtime/pki.h"
#include "cluster-daemon/runtime/register_store.h"
#include "common/files.h"
#include "cluster-daemon/script-helper/client.h"
#include "common/host/linux_host.h"
#include "common/host/linux_mounts.h"

namespace kagami::runtime {
namespace {

namespace asio = boost::asio;

constexpr const char* kBootIdPath = "/proc/sys/kernel/random/boot_id";
constexpr Duration kWatchPeriod = 1s;
constexpr Duration kMeasurePeriod = 10s;
constexpr Duration kLoopAnswer = 5s;
constexpr Duration kPeerPatience = 1s;  // for what only other nodes know
constexpr Duration kConfirmPatience = 5s;  // for their word on a configuration
constexpr Duration kMirrorPatience = 200ms;  // a status does not wait longer for what only the mirror driver knows
constexpr int kSystemActionFailed = 1;  // still here after a halt or reboot: the supervisor starts the daemon again

Result<BootId> read_boot_id() {
    const auto text = read_file(kBootIdPath, 64);
    if (!text) return tl::unexpected<Error>(text.error());
    const auto boot = parse_uuid(std::string_view(*text).substr(0, 36));
    if (!boot) return fail(fmt::format("{}: not a boot id: {}", kBootIdPath, *text));
    return *boot;
}

uint64_t fresh_seed() {
    std::random_device device;
    return static_cast<uint64_t>(device()) << 32U | device();
}

int64_t unix_ms_of(std::chrono::system_clock::time_point time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

int64_t unix_ms() { return unix_ms_of(std::chrono::system_clock::now()); }

// Of a loop that may just be ending: then an empty value, and the caller's connection ends with the daemon.
template <typename T>
T wait_for(std::future<T>& future) {
    return future.wait_for(kLoopAnswer) == std::future_status::ready ? future.get() : T{};
}

// Heartbeat paths to other nodes on which nothing arrives now, and nodes that are heard but not connected.
std::vector<engine::PathReport> bad_paths_of(const std::vector<PathView>& paths) {
    std::vector<engine::PathReport> bad;
    std::map<NodeId, const PathView*> unconnected;  // heard; the first path of it
    std::set<NodeId> connected;
    for (const PathView& path : paths) {
        if (path.peer == kWitnessId) continue;
        if (!path.alive) bad.push_back({path.peer, path.network, false});
        if (path.alive) unconnected.try_emplace(path.peer, &path);
        if (path.control) connected.insert(path.peer);
    }
    for (const auto& [peer, path] : unconnected) {
        if (!connected.contains(peer)) bad.push_back({peer, path->network, true});
    }
    return bad;
}

Error no_configuration() {
    return {ErrorCode::kFailed, "the configuration in the register cannot be read by this version of kagamid",
            "run the same version on all nodes"};
}

}  // namespace

struct Daemon::Impl {
    Impl(DaemonPaths given, bool as_witness) : paths(std::move(given)), witness(as_witness) {}

    Status open();
    Status open_store(engine::Settings& settings);
    Status open_machine(const Incarnation& self);
    Status open_network();
    Status open_control();
    ShellActions actions();
    void act(const engine::Command& command);
    void store_config(const engine::StoreConfig& command);
    void take_config(const engine::StoreConfig& command, const std::shared_ptr<const config::Config>& parsed);
    void follow_config(const engine::Engine& engine);
    void act_on_system(const engine::ActOnSystem& command);
    void observe(engine::GuardObserved observed);
    void answer(const engine::OperatorReply& reply);
    void map_os_shutdown(engine::OperatorRequest& request) const;
    uint64_t ask(engine::OperatorRequest request, ControlBackend::ReplyHandler reply);
    void watch_paths();
    void measure();
    PeerHealth health();   // not on the loop, like the next six
    DoctorFacts doctor();
    std::vector<ConfigVerdict> confirm_config(const Bytes& packed);
    GatheredLog log(const LogQuery& query, const std::map<std::string, int64_t>& since);
    StatusInput status();
    StatusInput look_now();
    StatusInput look(const engine::Engine& engine);  // on the loop
    engine::Snapshot snapshot();
    std::unique_ptr<PeerQuestions> open_questions();
    ControlBackend backend();

    DaemonPaths paths;
    bool witness;
    KeyMaterial keys;
    engine::Timing timing{};
    std::shared_ptr<const config::Config> config;
    std::optional<RegisterStore> store;
    std::unique_ptr<Journal> journal;
    Statistics statistics;
    std::unique_ptr<Drivers> drivers;
    std::unique_ptr<GuardLink> guard;
    std::unique_ptr<EngineShell> shell;
    std::unique_ptr<PeerQuestions> questions;
    std::unique_ptr<PeerLink> peers;
    std::unique_ptr<Enrolment> enrolment;
    std::unique_ptr<ControlServer> control;
    std::unique_ptr<host::LinuxHost> machine;
    host::LinuxMounts mounts{device_signature};
    std::unique_ptr<MirrorLink> mirrors;
    asio::thread_pool disk_worker{1};

    std::mutex mutex;  // of the replies
    std::map<uint64_t, ControlBackend::ReplyHandler> waiting;
    uint64_t next_request = fresh_seed() >> 16U;
    std::atomic<uint64_t> sequence = 0;
    std::map<std::string, std::pair<std::string, Instant>> situations;  // of groups, and since when; on the loop
    Hash witnessed{};  // the configuration that a witness follows; on the loop
    std::vector<engine::PathReport> bad_paths;                         // last told to the engine; on the loop
    std::atomic<bool> measuring = false;
    std::optional<engine::StoreConfig> unstored;  // could not be written; on the loop
    std::set<std::string> resumed;  // groups that the guard let go on and that have announced themselves since
    std::optional<engine::ActOnSystem> system_action;  // done once the loop has ended: it may block
};

// ---- opening ----

Status Daemon::Impl::open_store(engine::Settings& settings) {
    auto opened = RegisterStore::open(paths.state + "/voter.store", StoreKind::kVoter, keys.info.identity.cluster);
    if (!opened) return tl::unexpected<Error>(opened.error().error);
    store.emplace(std::move(*opened));
    const StoreLoaded& loaded = store->loaded();
    if (!loaded.warning.empty()) spdlog::warn("{}", loaded.warning);
    auto durable = engine::decode_durable_state(loaded.payload);
    if (!durable) return tl::unexpected<Error>(durable.error());
    // I13: with a nonce that nobody knows the leader finds the store lost and admits this voter under a new id.
    if (loaded.may_be_rolled_back) durable->nonce = Nonce{settings.seed | 1U};
    const auto document = engine::decode_document(durable->document);
    if (!document) return tl::unexpected<Error>(document.error());
    if (document->cluster != keys.info.identity.cluster) {
        return fail(fmt::format("{}/voter.store belongs to another cluster than {}/pki/node.crt", paths.state, paths.configuration),
                    "restore the files of one cluster, or join anew with `kagami join`");
    }
    config = parse_packed(document->config.packed);
    if (!config) return tl::unexpected<Error>(no_configuration());
    timing = engine::Timing::derive(document->timing);
    settings.durable = std::move(*durable);
    return {};
}

Status Daemon::Impl::open_machine(const Incarnation& self) {
    if (witness) return {};
    machine = host::make_linux_host(std::make_unique<script_helper::Client>(paths.runtime + "/helper.sock"));
    machine->host().guard_lateness = [this] { return guard ? std::optional(guard->take_lateness()) : std::nullopt; };
    machine->host().note = [](const std::string& line) { spdlog::warn("{}", line); };
    mirrors = std::make_unique<MirrorLink>(paths.runtime + "/mirror.sock",
                                           mirror_link::Welcome{keys.info.identity.cluster, self.node, self.boot, paths.configuration + "/pki"},
                                           [this](engine::Event event) { shell->post(std::move(event)); },
                                           [this](const engine::Decision& decision) {
                                               shell->on_loop([this, decision](const engine::Engine&) { journal->record(decision); });
                                           });
    mirrors->set_config(*config);
    machine->host().mirrors = mirrors.get();
    machine->host().mounts = &mounts;
    drivers = std::make_unique<Drivers>(machine->host(), self.node, active_script_directory(paths.state),
                                        [this](engine::Event event) { shell->post(std::move(event)); });
    drivers->set_config(config);
    statistics.set_config(*config);
    drivers->set_check_listener([this](const std::string& monitor, Duration took, bool timed_out) { statistics.checked(monitor, took, timed_out); });
    auto link = GuardLink::open(paths.runtime + "/guard.page", self.boot, [this](const std::string& group) { return drivers->footprint(group); });
    if (!link) return tl::unexpected<Error>(link.error());
    guard = std::move(*link);
    drivers->set_guard_check([this](const std::string& group) { return guard->uncovered(group); });
    guard->set_timing(timing);
    return {};
}

Status Daemon::Impl::open_network() {
    PeerLinkCallbacks callbacks;
    callbacks.run_on_loop = [this](std::function<void()> work) { shell->on_loop([work = std::move(work)](const engine::Engine&) { work(); }); };
    callbacks.on_message = [this](NodeId from, engine::Message message) { shell->post(engine::Received{from, std::move(message)}); };
    callbacks.on_connection = [this](NodeId peer, bool connected) { shell->post(engine::PeerConnected{peer, connected}); };
    if (!witness) {
        questions = open_questions();
        callbacks.on_word = [this](NodeId from, PeerWord word, std::span<const uint8_t> content) { questions->receive(from, word, content); };
    }
    if (enrolment && enrolment->holds_ca_key()) {
        callbacks.on_join = [this](const JoinAttempt& attempt, const JoinReplier& reply) { reply(enrolment->admit(attempt)); };
    }
    auto started = PeerLink::start(keys, *config, timing, std::move(callbacks));
    if (!started) return tl::unexpected<Error>(started.error());
    peers = std::move(*started);
    for (const int fd : peers->descriptors()) shell->watch_readable(fd, [this] { peers->receive(EngineShell::now()); });
    shell->every(kWatchPeriod, [this] {
        watch_paths();
        if (const auto again = std::exchange(unstored, std::nullopt)) store_config(*again);
        shell->on_loop([this](const engine::Engine& engine) {
            if (witness) return follow_config(engine);
            look(engine);  // notices since when groups are as they are
        });
    });
    if (!witness) shell->every(kMeasurePeriod, [this] { measure(); });
    return {};
}

std::unique_ptr<PeerQuestions> Daemon::Impl::open_questions() {
    PeerQuestions::Hands hands;
    hands.send = [this](NodeId to, PeerWord word, const Bytes& content) { return peers->tell(to, word, content); };
    hands.log = [this](const LogQuery& query) { return journal->lines(query); };
    hands.health = [this] { return health(); };
    hands.check_config = problems_of;
    hands.unix_ms = unix_ms;
    return std::make_unique<PeerQuestions>(std::move(hands));
}

Status Daemon::Impl::open_control() {
    if (witness) return {};
    auto started = ControlServer::start(paths.runtime + "/control.sock", backend());
    if (!started) return tl::unexpected<Error>(started.error());
    control = std::move(*started);
    return {};
}

Status Daemon::Impl::open() {
    auto loaded = load_key_material(paths.configuration + "/pki");
    if (!loaded) return tl::unexpected<Error>(loaded.error());
    keys = std::move(*loaded);
    if ((keys.info.identity.role == Role::kWitness) != witness) {
        return fail(fmt::format("{}/pki/node.crt is the certificate of a {}", paths.configuration, role_name(keys.info.identity.role)),
                    witness ? "run kagamid here instead of kagami-witness" : "run kagami-witness here instead of kagamid");
    }
    const auto boot = read_boot_id();
    if (!boot) return tl::unexpected<Error>(boot.error());
    engine::Settings settings;
    settings.self = {keys.info.identity.node, *boot};
    settings.witness = witness;
    settings.seed = fresh_seed();
    settings.booted = EngineShell::now();
    settings.parse_config = parse_packed;
    if (Status done = open_store(settings); !done) return done;
    journal = Journal::open(paths.state + "/history.db");
    if (!witness) journal->start_alerts(paths.state + "/alerts.db", config->node_name(keys.info.identity.node), *config);
    shell = std::make_unique<EngineShell>(std::move(settings), actions());
    if (Status done = open_machine(Incarnation{keys.info.identity.node, *boot}); !done) return done;
    if (!witness) {
        enrolment = std::make_unique<Enrolment>(paths.configuration + "/pki", paths.state, [this] {
            const engine::Snapshot now = snapshot();
            return std::pair(now.document, now.config);
        });
    }
    if (Status done = open_network(); !done) return done;
    return open_control();
}

// ---- carrying out ----

ShellActions Daemon::Impl::actions() {
    ShellActions all;
    all.send = [this](NodeId to, const engine::Message& message) { peers->send(to, message, EngineShell::now()); };
    all.act = [this](const engine::Command& command) { act(command); };
    all.tell = [this](const engine::Decision& decision, const engine::Engine& engine) {
        journal->record(decision, engine.epoch(), engine.chosen().version);
        statistics.decided(decision, EngineShell::now());
    };
    all.make_durable = [this](const engine::DurableState& state) -> Status {
        const auto written = store->write(engine::encode(state));
        if (!written) return tl::unexpected<Error>(written.error().error);
        return {};
    };
    return all;
}

void Daemon::Impl::act(const engine::Command& command) {
    struct Visitor {
        Impl& daemon;
        void operator()(const engine::RunResource& c) const { daemon.drivers->run(c); }
        void operator()(const engine::CheckMonitor& c) const { daemon.drivers->check(c); }
        void operator()(const engine::WatchMonitor& c) const { daemon.drivers->watch(c); }
        void operator()(const engine::RunRecoveryScript& c) const { daemon.drivers->run_script(c); }
        void operator()(const engine::RunResourceScript& c) const { daemon.drivers->run_script(c); }
        void operator()(const engine::SetGuard& c) const { daemon.guard->publish(c); }
        void operator()(const engine::ActOnSystem& c) const { daemon.act_on_system(c); }
        void operator()(const engine::Answer& c) const { daemon.answer(c.reply); }
        void operator()(const engine::SetMirror& c) const { daemon.mirrors->tell(c.authority); }
        void operator()(const engine::StoreConfig& c) const { daemon.store_config(c); }
    };
    if (witness) return;  // a voter without groups
    std::visit(Visitor{*this}, command);
}

// Not on the engine's thread: a slow disk must not delay a renewal. A node whose disk refuses the configuration starts nothing (the engine
// waits for ConfigStored) and says so.
void Daemon::Impl::store_config(const engine::StoreConfig& command) {
    asio::post(disk_worker, [this, command] {
        const auto parsed = parse_packed(command.packed);
        const Status stored = parsed ? store_active_config(paths.state, command.packed) : Status(tl::unexpected<Error>(no_configuration()));
        if (!stored) {
            spdlog::error("the configuration in force could not be stored, so no group starts here: {} {}", stored.error().message,
                          stored.error().remedy);
        }
        shell->on_loop([this, command, parsed, ok = stored.has_value()](const engine::Engine&) {
            if (ok) return take_config(command, parsed);
            unstored = command;  // tried again by the watch
        });
    });
}

void Daemon::Impl::take_config(const engine::StoreConfig& command, const std::shared_ptr<const config::Config>& parsed) {
    config = parsed;
    timing = engine::Timing::derive(parsed->timing);
    drivers->set_config(parsed);
    statistics.set_config(*parsed);
    mirrors->set_config(*parsed);
    peers->set_config(*parsed);
    guard->forget_footprints();
    guard->set_timing(timing);
    journal->set_config(*parsed);
    journal->record_config(command);
    shell->post(engine::ConfigStored{command.hash});
}

// A witness stores no configuration; it only has to know who the nodes are.
void Daemon::Impl::follow_config(const engine::Engine& engine) {
    const engine::ConfigEntry& chosen = engine.chosen().config;
    if (chosen.hash == witnessed) return;
    witnessed = chosen.hash;
    const auto parsed = parse_packed(chosen.packed);
    if (!parsed) return spdlog::error("{}; {}", no_configuration().message, no_configuration().remedy);
    config = parsed;
    peers->set_config(*parsed);
}

void Daemon::Impl::act_on_system(const engine::ActOnSystem& command) {
    spdlog::warn("{}", command.why);
    system_action = command;
    shell->stop();
}

void Daemon::Impl::observe(engine::GuardObserved observed) {
    std::set<std::string> back;
    for (const auto& [group, token, state] : observed.groups) {
        if (state == engine::GuardGroupState::kResumed) back.insert(group);
    }
    for (const std::string& group : back) {
        if (!resumed.contains(group)) drivers->announce(group);
    }
    resumed = std::move(back);
    shell->post(std::move(observed));
}

// ---- watching ----

void Daemon::Impl::watch_paths() {
    const Instant now = EngineShell::now();
    peers->watch_paths(now);
    if (witness) return;
    std::vector<engine::PathReport> bad = bad_paths_of(peers->paths(now));
    if (bad == bad_paths) return;
    bad_paths = bad;
    shell->post(engine::PathsSeen{std::move(bad)});
}

// Not on the engine's thread: a stalled disk blocks the question for its space. While one waits, none is asked anew.
void Daemon::Impl::measure() {
    if (measuring.exchange(true)) return;
    asio::post(disk_worker, [this] {
        shell->post(measure_machine(paths.state));
        measuring = false;
    });
}

// ---- people ----

void Daemon::Impl::answer(const engine::OperatorReply& reply) {
    ControlBackend::ReplyHandler handler;
    {
        const std::lock_guard lock(mutex);
        const auto at = waiting.find(reply.id);
        if (at == waiting.end()) return;
        handler = at->second;
    }
    handler(reply);
}

// `kagami-stop.service` only says that this node leaves: how the operating system ends is systemd's to tell.
void Daemon::Impl::map_os_shutdown(engine::OperatorRequest& request) const {
    const bool bare = request.verb == engine::OperatorVerb::kNodeShutdown && !request.halt && !request.reboot;
    if (!bare || request.dry_run || request.subject != keys.info.identity.name) return;
    const OsEnd end = os_end_under_way();
    request.halt = end == OsEnd::kHalt;
    request.reboot = end == OsEnd::kReboot;
}

uint64_t Daemon::Impl::ask(engine::OperatorRequest request, ControlBackend::ReplyHandler reply) {
    map_os_shutdown(request);
    {
        const std::lock_guard lock(mutex);
        request.id = ++next_request;
        waiting[request.id] = std::move(reply);
    }
    const uint64_t id = request.id;
    shell->post(engine::Asked{std::move(request)});
    return id;
}

engine::Snapshot Daemon::Impl::snapshot() {
    auto promise = std::make_shared<std::promise<engine::Snapshot>>();
    auto future = promise->get_future();
    shell->on_loop([promise](const engine::Engine& engine) { promise->set_value(engine.snapshot(EngineShell::now())); });
    return wait_for(future);
}

StatusInput Daemon::Impl::look_now() {
    auto promise = std::make_shared<std::promise<StatusInput>>();
    auto future = promise->get_future();
    shell->on_loop([this, promise](const engine::Engine& engine) { promise->set_value(look(engine)); });
    return wait_for(future);
}

StatusInput Daemon::Impl::status() {
    StatusInput input = look_now();
    if (witness || !input.snapshot.config) return input;
    for (const auto& mirror : mirror_configuration(*input.snapshot.config, input.snapshot.self.node).mirrors) {
        if (auto known = mirrors->status(mirror.name, kMirrorPatience)) input.mirrors[mirror.name] = std::move(*known);
    }
    return input;
}

StatusInput Daemon::Impl::look(const engine::Engine& engine) {
    StatusInput input;
    input.now = EngineShell::now();
    input.snapshot = engine.snapshot(input.now);
    input.timing = timing;
    input.guard = guard->summary();
    input.paths = peers->paths(input.now);
    input.unix_ms = unix_ms();
    input.sequence = ++sequence;
    for (const auto& [group, situation] : group_situations(input)) {
        auto& [known, since] = situations[group];
        if (known == situation) continue;
        known = situation;
        since = input.now;
    }
    for (const auto& [group, known] : situations) input.group_since[group] = known.second;
    return input;
}

PeerHealth Daemon::Impl::health() {
    const StatusInput now = look_now();
    PeerHealth health;
    health.binary_version = KAGAMI_VERSION;
    health.configuration_hash = to_hex(now.snapshot.document.config.hash.data(), now.snapshot.document.config.hash.size());
    health.guard_alive = now.guard.alive;
    health.guard_armed = now.guard.armed;
    health.watchdog = now.guard.watchdog;
    health.certificate_until_unix_ms = unix_ms_of(keys.info.validity.until);
    health.unix_ms = unix_ms();
    return health;
}

GatheredLog Daemon::Impl::log(const LogQuery& query, const std::map<std::string, int64_t>& since) {
    const LogSources sources{keys.info.identity.name, [this](const LogQuery& own) { return journal->lines(own); }, journal_keepers(snapshot())};
    return gather_logs(*questions, sources, query, since, kPeerPatience);
}

DoctorFacts Daemon::Impl::doctor() {
    DoctorFacts facts;
    facts.status = status();
    facts.machine = look_at_machine({paths.configuration, paths.state, paths.runtime});
    facts.certificate_until_unix_ms = unix_ms_of(keys.info.validity.until);
    const auto keepers = journal_keepers(facts.status.snapshot);
    std::vector<NodeId> nodes;
    for (const auto& [node, name] : keepers) nodes.push_back(node);
    facts.others = questions->ask_health(nodes, kPeerPatience);
    for (const auto& [node, name] : keepers) {
        if (!facts.others.contains(node)) facts.silent.push_back(name);
    }
    return facts;
}

std::vector<ConfigVerdict> Daemon::Impl::confirm_config(const Bytes& packed) {
    const engine::Snapshot now = snapshot();
    std::vector<NodeId> members;
    for (const auto& [node, name] : journal_keepers(now)) {
        if (now.document.node(node).state == engine::NodeState::kMember) members.push_back(node);
    }
    const auto answers = questions->ask_config(members, packed, kConfirmPatience);
    std::vector<ConfigVerdict> verdicts;
    for (const NodeId node : members) {
        const auto answer = answers.find(node);
        const bool answered = answer != answers.end();
        verdicts.push_back({now.config->node_name(node), answered, answered ? answer->second : std::vector<std::string>{}});
    }
    return verdicts;
}

ControlBackend Daemon::Impl::backend() {
    ControlBackend all;
    all.own_name = keys.info.identity.name;
    all.status = [this] { return status(); };
    all.snapshot = [this] { return snapshot(); };
    all.ask = [this](engine::OperatorRequest request, ControlBackend::ReplyHandler reply) { return ask(std::move(request), std::move(reply)); };
    all.forget = [this](uint64_t id) {
        const std::lock_guard lock(mutex);
        waiting.erase(id);
    };
    all.log = [this](const LogQuery& query, const std::map<std::string, int64_t>& since) { return log(query, since); };
    all.doctor = [this] { return doctor(); };
    all.statistics = [this](control::v1::Statistics& out) { statistics.fill(out); };
    all.confirm_config = [this](const Bytes& packed) { return confirm_config(packed); };
    all.notify = [this](const UserMessage& message) { return journal->note(message); };
    all.config_history = [this](size_t limit) { return journal->configurations(limit); };
    all.config_version = [this](uint64_t version) { return journal->configuration(version); };
    all.create_token = [this](const std::string& node, Duration valid) { return enrolment->create_token(node, valid); };
    return all;
}

// ---- running ----

Daemon::Daemon(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Daemon::~Daemon() {
    // Channels first: their threads post to the shell.
    impl_->control.reset();
    if (impl_->questions) impl_->questions->stop();
    impl_->peers.reset();
    impl_->disk_worker.join();
    impl_->drivers.reset();
    impl_->mirrors.reset();
}

Result<std::unique_ptr<Daemon>> Daemon::open(const DaemonPaths& paths, bool witness) {
    auto impl = std::make_unique<Impl>(paths, witness);
    if (const Status opened = impl->open(); !opened) return tl::unexpected<Error>(opened.error());
    return std::unique_ptr<Daemon>(new Daemon(std::move(impl)));
}

int Daemon::run() {
    if (impl_->guard) {
        impl_->shell->every(impl_->timing.guard / 2, [this] {
            if (auto observed = impl_->guard->poll(EngineShell::now())) impl_->observe(std::move(*observed));
        });
    }
    impl_->shell->run();
    impl_->journal->flush();
    const auto& action = impl_->system_action;
    if (!action || action->action == engine::SystemAction::kStopDaemon) return 0;
    const Status done = make_system_executor()->carry_out(action->action, action->why);
    if (done) return 0;
    spdlog::critical("{} ({})", done.error().message, done.error().remedy);
    return kSystemActionFailed;
}

void Daemon::stop() { impl_->shell->stop(); }

}  // namespace kagami::runtime
