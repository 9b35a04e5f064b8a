// Two mirror engines with everything around them as fakes that keep each promise that the engine may rely on, and not
// one more: disks whose unflushed writes a crash may take back, metadata batches that a crash may cut anywhere, a link
// that may be cut between any two frames, a register that grants wishes by the rules of the cluster's policy (and may
// read an old report), daemons that promote and demote, clients. It also knows what must hold (I4 to I8) and checks it.
// Nothing happens by itself: tests say what is delivered, or let settle() or random_step() choose.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "mirror-driver/engine/mirror.h"

namespace kagami::mirror::test {

constexpr size_t kExtents = 8;
constexpr uint64_t kDiskBytes = kExtents * kHotExtentBytes;
constexpr uint64_t kBlocks = kDiskBytes / kBlockBytes;
constexpr Duration kDetect = 500ms;

using VersionNumber = uint64_t;  // of a block's content: grows with every write that is issued

struct FakeDisk {
    std::vector<VersionNumber> now = std::vector<VersionNumber>(kBlocks);     // as reads see it
    std::vector<VersionNumber> stable = std::vector<VersionNumber>(kBlocks);  // what a crash leaves at least
    std::set<uint64_t> unflushed;
    std::set<uint64_t> bad;  // blocks that cannot be read
    bool writable = true;
    bool flushable = true;  // a flush that fails leaves what was written in doubt: a crash may take it back
    void write(uint64_t block, VersionNumber version);
    void flush();
};

struct FakeMetadata {  // what is durable
    Context context;
    std::vector<uint32_t> slots;
    Bitmap bitmap{0};
    bool writable = true;
    struct Batch {
        MetadataBatch batch;
        Context context;
        Bitmap bitmap{0};
    };
    std::optional<Batch> under_way;
    void apply(const Batch& batch, bool head, const std::vector<uint32_t>& pages);
};

struct ClientWork {
    Operation operation = Operation::kRead;
    Extent extent;
    VersionNumber version = 0;
    BufferId buffer;
    std::map<uint64_t, VersionNumber> acked_before;  // flush, read: what was acknowledged when it was issued
};

struct Node {
    size_t index = 0;
    NodeId id;
    BootId boot{};
    bool up = true;
    bool rebooted = false;  // since the other side last had a connection: may lack what nobody has flushed
    std::unique_ptr<Mirror> engine;
    FakeDisk disk;
    FakeMetadata metadata;
    Output out;
    std::deque<DataIo> io;
    std::map<uint32_t, std::vector<VersionNumber>> buffers;
    uint32_t next_buffer = 1;
    std::optional<Instant> wake_at;
    std::vector<std::string> notes;
    // ---- the daemon ----
    enum class Agent { kIdle, kPromoting, kActive, kDraining, kFailing, kDemoting };
    Agent agent = Agent::kIdle;
    bool serves = true;  // promotes by itself when the group is its own
    bool stop_asked = false;
    Token session;
    uint64_t order = 0;
    Authority known;
    size_t documents_seen = 0;
    std::deque<Report> reports;  // on their way to the leader
    Report seen;                 // by the leader
    std::vector<OrderDone> order_results;
    // ---- the client ----
    std::map<uint64_t, ClientWork> work;
    std::map<uint64_t, int> results;
    bool lease = true;
};

struct Wire {  // one connection
    ConnectionId id;
    bool up[2] = {false, false};        // LinkUp delivered
    bool closing[2] = {false, false};   // LinkDown follows what is still in the queues
    std::deque<SendFrame> queue[2][2];  // [from][channel]
    bool wanted = false;                // exists
};

struct Register {
    Record record;
    Version version{Epoch::make(1, NodeId{1}), 1};
    std::optional<size_t> owner;
    Token token;
    bool stopped = true;  // the owner has said so (P1)
    bool lost = false;    // the owner has rebooted (P2)
    struct Document {
        Record record;
        Version version;
        std::optional<size_t> owner;
        Token token;
    };
    std::vector<Document> documents;
};

class World {
 public:
    struct Setup {
        uint64_t seed = 1;
        uint32_t slots = 4;
        bool constructed = true;
        bool automatic_resync = true;
    };
    World() : World(Setup{}) {}
    explicit World(Setup given);

    // ---- single deliveries; false = there was nothing ----
    bool finish_io(size_t node, size_t which = 0);
    bool finish_metadata(size_t node, bool ok = true);
    bool deliver(size_t from, Channel channel);
    bool read_report(size_t node);  // the leader reads the next one
    bool grant(size_t node);        // ... and answers the wish of the last one read
    bool publish(size_t node, bool fresh = true);
    bool wake(size_t node);
    void inject(size_t node, Frame frame, ConnectionId connection = {});  // a frame that the peer did not send
    bool connect();
    bool deliver_link(size_t node);  // pending LinkUp or LinkDown
    void act(size_t node);           // what its daemon does next

    // ---- time and quiet ----
    void settle(bool with_register = true);  // everything deliverable until nothing is left, without time passing
    void advance(Duration by);               // settles, then wakes whoever is due, in steps
    bool reach(const std::function<bool()>& condition, Duration limit = 60s);

    // ---- faults ----
    void cut();
    void crash_driver(size_t node, bool keep_front_end);
    void crash_node(size_t node);
    void start(size_t node, bool resume = false);
    void set_lease(size_t node, bool on);

    // ---- register ----
    void choose(const std::function<void(Record&)>& change);
    bool give_group(size_t node);  // fails unless current; stale-makes the other unless stopped
    void ask_stop() { nodes[*reg.owner].stop_asked = true; }

    // ---- client ----
    uint64_t write(size_t node, uint64_t block, uint64_t blocks = 1);
    uint64_t zero(size_t node, uint64_t block, uint64_t blocks);
    uint64_t read(size_t node, uint64_t block, uint64_t blocks = 1);
    uint64_t flush(size_t node);
    bool done(size_t node, uint64_t id) const { return nodes[node].results.contains(id); }
    int result(size_t node, uint64_t id) const { return nodes[node].results.at(id); }
    Order order(size_t node, OrderKind kind);

    // ---- looking ----
    Report report(size_t node) const { return nodes[node].engine->report(); }
    Mode mode(size_t node) const { return report(node).mode; }
    bool equal() const;
    bool healthy() const;  // connected, both current, no bits
    void check();          // what must hold at every moment; throws std::logic_error
    void say_faults_end() { say("the faults end"); }
    [[noreturn]] void give_up(const std::string& what) { broken(what); }

    // ---- random ----
    void random_step(bool faults);
    size_t steps_per_fault = 250;
    size_t pick(size_t below) { return std::uniform_int_distribution<size_t>(0, below - 1)(random); }
    bool chance(size_t percent) { return pick(100) < percent; }

    Instant now{1h};
    Node nodes[2];
    Wire wire;
    Register reg;
    std::mt19937_64 random;
    Setup setup;
    bool trace = false;
    Instant connect_after{};         // back-off
    bool keeps_queues = false;       // what was sent before a disconnect arrives
    bool links = true;               // connect() may be called by settle()
    std::vector<uint64_t> universe;  // blocks that clients write

 private:
    void step(size_t node, const Event& event);
    void take(size_t node);
    void carry_out_completions(Node& node);
    void completed_write(Node& node, const ClientWork& work);
    void completed_flush(const ClientWork& work);
    void completed_read(Node& node, const ClientWork& work, BufferId answered);
    void order_done(Node& node, const OrderDone& done);
    void promoted(Node& node);
    VersionNumber version_of_zero(const Node& node, uint64_t block) const;
    void apply_io(Node& node, const DataIo& io);
    void down(Node& node);
    void lose_wire();
    void act_as_idle(Node& node);
    uint64_t submit(size_t node, ClientWork work);
    void publish_document();
    bool grant_attach(Node& node, const Report& said);
    bool grant_by_token(Node& node, const Report& said);
    bool covered_durably(uint64_t block) const;
    void check_covered();
    bool quiet_step(bool with_register);
    bool deliver_something();
    void fault();
    bool zeroing(size_t node, uint64_t block, uint64_t blocks) const;
    void client_step(size_t node);
    std::map<uint64_t, VersionNumber> acked_now() const;
    void say(const std::string& text);
    [[noreturn]] void broken(const std::string& what);

    // What each block may hold on a promoted replica, in the order of issue, and the newest acknowledged version.
    struct Truth {
        std::vector<VersionNumber> candidates{0};
        VersionNumber acked = 0;
    };
    std::map<uint64_t, Truth> truth_;
    Token truth_token_;
    std::map<Generation, Token> generation_token_;  // I7
    VersionNumber last_version_ = 0;
    uint64_t last_request_ = 0;
    uint64_t last_order_ = 0;
    uint64_t last_connection_ = 0;
    std::vector<std::string> log_;
};

}  // namespace kagami::mirror::test
