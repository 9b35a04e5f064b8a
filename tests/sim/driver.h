// The mirror driver of one node for one mirror: the real mirror::Mirror and the simulated half of kagami-mirrord around
// it. It keeps mirror.h's contract: events one at a time, the output carried out in its order, one metadata batch at a
// time through mirror::Metadata into a metadata disk.
// Fates: kill and restart of the process (the front end's descriptor is kept: unanswered requests come again when it
// goes on as primary, else they fail), power loss, standing still with its machine, end and restart of the daemon
// (reports stop; the lease of the guard's page goes on), errors of both disks, disks put back or swapped while it is
// down. Modelled: data I/O takes its time and ends in any order; what was under way when the process dies may or may
// not land; a failed write may have landed. Not modelled: the pool's limits (a buffer is always there), ids of devices.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mirror-driver/engine/mirror.h"
#include "tests/sim/block_disk.h"
#include "tests/sim/mirror_wire.h"

namespace kagami::sim {

class Node;
class World;
class MirrorPair;

class Driver {
 public:
    using Answer = std::function<void(bool ok, const std::string& message)>;
    Driver(World& world, MirrorPair& pair, Node& node, Side side);

    Side side() const { return side_; }
    Node& node() { return node_; }
    const Node& node() const { return node_; }
    bool running() const { return process_; }
    bool attached() const { return engine_ != nullptr; }
    bool broken() const { return broken_; }  // its metadata cannot be read
    const mirror::Mirror& engine() const { return *engine_; }
    bool open() const { return front_open_; }
    DataDisk& data() { return data_; }
    const DataDisk& data() const { return data_; }
    MetadataDisk& metadata() { return metadata_; }
    size_t buffers() const { return buffers_.size(); }
    Moment lost_power_at() const { return lost_at_; }  // or its disk was exchanged
    const mirror::Authority& authority() const { return authority_; }
    // What its bits, its log or a flag cover: of the engine, or of what its metadata say while it is down.
    bool covered(const mirror::Extent& extent) const;
    std::string state() const;  // for the story

    // ---- the machine's and the daemon's fate, told by Node ----
    void power_on();
    void power_off();
    void thaw();
    void daemon_started();
    void authority_is(const mirror::Authority& authority);
    void page_changed();
    // ---- faults ----
    void kill(Duration away);
    void restart();  // a person: whatever is wrong with the process
    void data_fails(mirror::Operation operation, int times) { data_errors_[operation] = times; }
    void metadata_fails(int times) { metadata_errors_ = times; }
    void heal_disks();
    void initialise();  // blank disks in place of these; only while it is down
    struct Image {
        Moment taken{};
        DataDisk data;
        MetadataDisk metadata;
        mirror::Context context;
    };
    void take_image();
    const std::deque<Image>& images() const { return images_; }
    void put_back(const Image& image);             // only while it is down
    void forge_nonces() { forged_ = confirmed_; }  // mutation, of the next put_back

    // ---- the md resource ----
    void promote(Answer answer);
    void demote(Answer answer);
    void abort_front();  // the guard kills the group
    // ---- the front end ----
    void submit(const mirror::ClientRequest& request, Payload payload);  // the client keeps what is unanswered
    // ---- the peer channel ----
    void link_up(mirror::ConnectionId connection);
    void link_down(mirror::ConnectionId connection, const std::string& why);
    void frame(mirror::ConnectionId connection, const mirror::Frame& frame, const Payload& payload);

 private:
    void start_process();
    void end_process(bool power);
    void attach();
    void make_metadata();
    bool may_resume(const mirror::Context& context) const;
    void feed(mirror::Event event);
    void drain();
    void carry_out(mirror::Output& out);
    void write_metadata(const mirror::MetadataBatch& batch);
    void end_batch(uint64_t serial, bool ok);
    void run_io(const mirror::DataIo& io);
    void end_io(uint64_t number);
    void apply(const mirror::DataIo& io, const Contents& contents);
    int draw_error(mirror::Operation operation);
    void send(const mirror::SendFrame& out);
    void complete(const mirror::Completion& completion);
    void answer(const mirror::OrderDone& done);
    void order(mirror::OrderKind kind, Answer answer);
    void when_attached(int tries, std::function<void()> action, const Answer& answer);
    void report();
    void forge_grant(const mirror::Wish& wish);
    void tell_daemon(const mirror::Report& report);
    void feed_lease();
    void arm_wake(std::optional<Instant> at);
    void later(Duration delay, std::function<void()> action);  // dropped when the process ends
    void fail_outstanding();
    mirror::BufferId new_buffer(Payload payload);

    struct Io {
        mirror::DataIo io;
        Payload payload;  // of a write
        uint64_t mark = 0;
        int error = 0;
    };

    World& world_;
    MirrorPair& pair_;
    Node& node_;
    Side side_;
    DataDisk data_;
    MetadataDisk metadata_;
    bool process_ = false;
    uint64_t life_ = 0;   // of the process
    uint64_t power_ = 0;  // of the machine
    std::unique_ptr<mirror::Mirror> engine_;
    std::unique_ptr<mirror::Metadata> layout_;
    std::optional<mirror::Loaded> at_rest_;  // what the metadata say while nobody has them open
    mirror::Context confirmed_;              // of the last batch that was durable
    std::optional<mirror::Context> under_way_;
    uint64_t serial_under_way_ = 0;
    bool known_ = false;  // confirmed_ counts
    std::optional<mirror::Context> forged_;
    std::vector<mirror::BlockWrite> blocks_;
    mirror::Output out_;
    std::deque<mirror::Event> inbox_;
    bool stepping_ = false;
    mirror::Authority authority_;
    bool heard_authority_ = false;  // of the daemon that runs
    mirror::Report last_report_;
    Instant lease_{};
    bool front_open_ = false;
    bool broken_ = false;  // the metadata cannot be read: a person initialises
    std::map<uint64_t, Answer> orders_;
    uint64_t order_ids_ = 0;
    std::map<mirror::BufferId, Payload> buffers_;
    std::map<mirror::RequestId, mirror::BufferId> request_buffers_;
    uint32_t buffer_ids_ = 0;
    std::map<uint64_t, Io> io_;
    uint64_t io_numbers_ = 0;
    std::map<mirror::Operation, int> data_errors_;
    int metadata_errors_ = 0;
    Instant wake_at_ = kNever;
    Moment wake_entered_ = Moment::max();
    int spins_ = 0;
    Moment spin_since_{};
    Moment lost_at_{};
    std::deque<Image> images_;
};

}  // namespace kagami::sim
