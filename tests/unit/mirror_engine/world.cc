#include "tests/unit/mirror_engine/world.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace kagami::mirror::test {

namespace {

constexpr uint64_t kBlocksPerExtent = kHotExtentBytes / kBlockBytes;
const Uuid kCluster{1};
const Uuid kMirror{2};

std::vector<uint64_t> universe_blocks() {
    std::vector<uint64_t> blocks;
    for (uint64_t extent = 0; extent < kExtents; ++extent) {
        for (const uint64_t inside : {uint64_t{0}, uint64_t{1}, uint64_t{2}, kBlocksPerExtent - 1}) {
            blocks.push_back(extent * kBlocksPerExtent + inside);
        }
    }
    return blocks;
}

uint64_t first_block(const Extent& extent) {
    return extent.offset / kBlockBytes;
}
uint64_t end_block(const Extent& extent) {
    return extent.end() / kBlockBytes;
}
Extent extent_of(uint64_t block, uint64_t blocks) {
    return {block * kBlockBytes, blocks * kBlockBytes};
}

bool writes(Operation operation) {
    return operation == Operation::kWrite || operation == Operation::kZero;
}

}  // namespace

// ---- disks and metadata ----

void FakeDisk::write(uint64_t block, VersionNumber version) {
    now[block] = version;
    if (now[block] != stable[block]) unflushed.insert(block);
}

void FakeDisk::flush() {
    for (const uint64_t block : unflushed) stable[block] = now[block];
    unflushed.clear();
}

// `head` = context and log (they are one), `pages` = which of its bitmap pages: what a crash left of the batch.
void FakeMetadata::apply(const Batch& given, bool head, const std::vector<uint32_t>& pages) {
    if (head) {
        if (given.batch.context) context = given.context;
        for (const SlotUpdate& update : given.batch.slots) slots[update.slot] = update.extent;
    }
    for (const uint32_t page : pages) bitmap.load_page(page, given.bitmap.page(page));
}

// ---- set-up ----

World::World(Setup given) : random(given.seed), setup(given), universe(universe_blocks()) {
    trace = std::getenv("KAGAMI_TRACE") != nullptr;
    reg.record.uuid = kMirror;
    if (setup.constructed) reg.record.generation = {1, Uuid{7}};
    for (size_t i = 0; i < 2; ++i) {
        Node& node = nodes[i];
        node.index = i;
        node.id = NodeId{static_cast<uint16_t>(i + 1)};
        Context& context = node.metadata.context;
        context.cluster = kCluster;
        context.mirror = kMirror;
        context.self = node.id;
        context.peer = NodeId{static_cast<uint16_t>(2 - i)};
        context.size_bytes = kDiskBytes;
        context.hot_extents = setup.slots;
        RecordReplica& replica = reg.record.replicas[node.id];
        if (setup.constructed) {
            context.flags.constructed = true;
            context.current = reg.record.generation;
            context.nonce = replica.nonce = Nonce{100 + i};
            replica.standing = Standing::kCurrent;
        }
        node.metadata.slots.assign(setup.slots, kFreeSlot);
        node.metadata.bitmap = Bitmap(kDiskBytes);
        node.boot[0] = static_cast<uint8_t>(10 + i);
    }
    for (const uint64_t block : universe) truth_[block];
    publish_document();
    for (size_t i = 0; i < 2; ++i) start(i);
}

void World::say(const std::string& text) {
    if (trace) std::fprintf(stderr, "%8.3f %s\n", seconds(now.time_since_epoch()) - 3600, text.c_str());
    log_.push_back(text);
    if (log_.size() > 4000) log_.erase(log_.begin(), log_.begin() + 2000);
}

void World::broken(const std::string& what) {
    std::string text = what + "\nlast:\n";
    for (size_t i = log_.size() > 60 ? log_.size() - 60 : 0; i < log_.size(); ++i) text += "  " + log_[i] + "\n";
    throw std::logic_error(text);
}

void World::start(size_t index, bool resume) {
    Node& node = nodes[index];
    Settings settings;
    settings.loaded.context = node.metadata.context;
    settings.loaded.slots = node.metadata.slots;
    settings.loaded.bitmap = node.metadata.bitmap;
    for (uint32_t page = 0; page < settings.loaded.bitmap.pages(); ++page) {
        settings.loaded.bitmap.load_page(page, node.metadata.bitmap.page(page));
    }
    settings.self = node.id;
    settings.peer = node.metadata.context.peer;
    settings.boot = node.boot;
    settings.instance[0] = static_cast<uint8_t>(random());
    settings.seed = random();
    settings.resume_primary = resume;
    settings.automatic_resync = setup.automatic_resync;
    settings.name = "md1";
    settings.peer_name = index == 0 ? "node2" : "node1";
    node.out = {};
    node.engine = std::make_unique<Mirror>(std::move(settings), now);
    say("start node" + std::to_string(index + 1) + (resume ? " as the primary" : ""));
    take(index);
    if (resume) {
        std::vector<ClientRequest> again;
        for (const auto& [id, work] : node.work)
            again.push_back({RequestId{id}, work.operation, work.extent, work.buffer});
        for (const ClientRequest& request : again) step(index, request);
        if (node.lease) step(index, Lease{kNever});
    }
    if (node.known.member) {
        node.known.fresh = false;
        step(index, AuthorityIs{node.known});
    }
}

// ---- engine in, engine out ----

void World::step(size_t index, const Event& event) {
    Node& node = nodes[index];
    if (!node.engine) return;
    node.engine->step(event, now);
    take(index);
}

void World::take(size_t index) {
    Node& node = nodes[index];
    node.engine->take_output(node.out);
    Output& out = node.out;
    for (const std::string& text : out.notes) {
        say("node" + std::to_string(index + 1) + ": " + text);
        node.notes.push_back(text);
    }
    if (out.metadata) {
        if (node.metadata.under_way) broken("two batches at a time");
        node.metadata.under_way = FakeMetadata::Batch{*out.metadata, node.engine->context(), node.engine->bitmap()};
    }
    for (const DataIo& io : out.data) node.io.push_back(io);
    for (SendFrame& frame : out.frames) {
        const Frame& sent = frame.frame;
        if (sent.payload != kNoBuffer && !node.buffers.contains(sent.payload.value))
            broken("a frame with a buffer that is gone");
        if (wire.wanted && wire.up[index] && !wire.closing[index]) {
            wire.queue[index][static_cast<size_t>(channel_of(sent.type))].push_back(frame);
        } else if (frame.release) {
            node.buffers.erase(sent.payload.value);
        }
    }
    if (out.disconnect && wire.wanted && wire.id == out.disconnect->connection) {
        connect_after = std::max(connect_after, now + out.disconnect->back_off);
        lose_wire();
    }
    carry_out_completions(node);
    for (const BufferId buffer : out.released) {
        if (node.buffers.erase(buffer.value) == 0) broken("a buffer released twice");
    }
    if (out.report_changed) node.reports.push_back(node.engine->report());
    node.wake_at = out.wake_at;
    const std::vector<OrderDone> orders = out.orders;
    for (const OrderDone& done : orders) order_done(node, done);
}

// ---- completions, and what must hold at each ----

void World::carry_out_completions(Node& node) {
    for (const Completion& completion : node.out.completions) {
        const uint64_t id = completion.id.value;
        if (!node.work.contains(id)) broken("a completion of nothing");
        const ClientWork work = node.work.at(id);
        node.work.erase(id);
        node.results[id] = completion.error;
        if (writes(work.operation) && completion.error == 0) completed_write(node, work);
        if (work.operation == Operation::kFlush && completion.error == 0) completed_flush(work);
        if (work.operation == Operation::kRead && completion.error == 0) completed_read(node, work, completion.data);
        for (const DataIo& io : node.io) {
            if (work.buffer != kNoBuffer && io.buffer == work.buffer) broken("completed while its I/O is under way");
        }
        for (const SendFrame& frame : wire.queue[node.index][0]) {
            if (work.buffer != kNoBuffer && frame.frame.payload == work.buffer) {
                broken("completed while its frame is under way");
            }
        }
        node.buffers.erase(work.buffer.value);
    }
}

void World::completed_write(Node& node, const ClientWork& work) {
    say("node" + std::to_string(node.index + 1) + ": write " + std::to_string(work.version) + " of block " +
        std::to_string(first_block(work.extent)) + " acknowledged");
    const Token token = node.engine->report().token;
    if (token == Token{}) broken("a write acknowledged without a token");
    if (!node.lease) broken("a write acknowledged without a lease");
    Token& last = generation_token_[node.engine->context().current];
    if (token < last) broken("I7: an older token acknowledges in a generation");
    last = token;
    for (uint64_t block = first_block(work.extent); block < end_block(work.extent); ++block) {
        for (const Node& each : nodes) {
            const bool current = reg.record.standing(each.id) == Standing::kCurrent && !each.rebooted;
            if (current && each.disk.now[block] < work.version)
                broken("I4: an acknowledged write is missing on a current copy");
        }
        const auto truth = truth_.find(block);
        if (truth == truth_.end() || token != truth_token_) continue;
        truth->second.acked = std::max(truth->second.acked, work.version);
    }
}

void World::completed_flush(const ClientWork& work) {
    for (const auto& [block, acked] : work.acked_before) {
        auto& candidates = truth_[block].candidates;
        const auto at = std::find(candidates.begin(), candidates.end(), acked);
        if (at != candidates.end()) candidates.erase(candidates.begin(), at);
    }
}

void World::completed_read(Node& node, const ClientWork& work, BufferId answered) {
    if (!node.lease) broken("a read answered without a lease");
    const auto& bytes = node.buffers.at(answered == kNoBuffer ? work.buffer.value : answered.value);
    if (node.engine->report().token != truth_token_) return;
    for (uint64_t i = 0; i < work.extent.length / kBlockBytes; ++i) {
        const auto before = work.acked_before.find(first_block(work.extent) + i);
        if (before != work.acked_before.end() && bytes[i] < before->second) broken("a read returns an older version");
    }
}

std::map<uint64_t, VersionNumber> World::acked_now() const {
    std::map<uint64_t, VersionNumber> acked;
    for (const auto& [block, truth] : truth_) acked[block] = truth.acked;
    return acked;
}

// ---- the daemon ----

Order World::order(size_t index, OrderKind kind) {
    const Order given{++last_order_, kind};
    nodes[index].order = given.id;
    step(index, given);
    return given;
}

void World::promoted(Node& node) {
    const Context& context = node.engine->context();
    if (context.flags.inconsistent || context.flags.full_sync || context.flags.suspect)
        broken("I6: promoted and not whole");
    node.session = node.engine->report().token;
    if (node.session < truth_token_) return;  // late; the register has moved on
    truth_token_ = node.session;
    const Node& other = nodes[1 - node.index];
    const bool both = reg.record.standing(other.id) == Standing::kCurrent;
    for (auto& [block, truth] : truth_) {
        const VersionNumber holds = node.disk.now[block];
        if (std::find(truth.candidates.begin(), truth.candidates.end(), holds) == truth.candidates.end()) {
            broken("block " + std::to_string(block) + " of a promoted copy holds " + std::to_string(holds) +
                   ", which is older than what was flushed, or was never of this line");
        }
        truth.candidates = {holds};
        if (both) {
            truth.candidates.push_back(other.disk.now[block]);
            truth.candidates.push_back(other.disk.stable[block]);
            std::sort(truth.candidates.begin(), truth.candidates.end());
        }
        truth.acked = std::min(truth.acked, holds);
    }
}

void World::order_done(Node& node, const OrderDone& done) {
    node.order_results.push_back(done);
    if (done.id != node.order) return;
    node.order = 0;
    const auto agent = node.agent;
    if (agent == Node::Agent::kPromoting) {
        node.agent = done.status ? Node::Agent::kActive : Node::Agent::kIdle;
        say("node" + std::to_string(node.index + 1) +
            (done.status ? " is promoted" : ": not promoted: " + done.status.error().message));
        if (done.status) promoted(node);
    } else if (agent == Node::Agent::kFailing) {
        node.agent = Node::Agent::kDemoting;
        order(node.index, OrderKind::kDemote);
    } else if (agent == Node::Agent::kDemoting) {
        if (!done.status) broken("a demotion failed: " + done.status.error().message);
        node.agent = Node::Agent::kIdle;
        node.stop_asked = false;
        say("node" + std::to_string(node.index + 1) + " is demoted");
        if (reg.owner == node.index && reg.token == node.session) reg.stopped = true;
    }
}

void World::act(size_t index) {
    Node& node = nodes[index];
    if (!node.engine || node.order != 0) return;
    switch (node.agent) {
        case Node::Agent::kIdle:
            if (!node.serves || node.known.token == Token{} || node.known.token == node.session || reg.stopped) return;
            node.agent = Node::Agent::kPromoting;
            order(index, OrderKind::kPromote);
            if (node.lease) step(index, Lease{kNever});
            return;
        case Node::Agent::kActive:
            if (node.known.token != node.session) {
                node.agent = Node::Agent::kFailing;
                order(index, OrderKind::kFailAll);
            } else if (node.stop_asked && node.work.empty()) {
                node.agent = Node::Agent::kDemoting;
                order(index, OrderKind::kDemote);
            }
            return;
        case Node::Agent::kPromoting:
        case Node::Agent::kDraining:
        case Node::Agent::kFailing:
        case Node::Agent::kDemoting: return;
    }
}

void World::set_lease(size_t index, bool on) {
    nodes[index].lease = on;
    step(index, Lease{on ? kNever : Instant{}});
}

// ---- the client ----

uint64_t World::submit(size_t index, ClientWork work) {
    Node& node = nodes[index];
    const uint64_t id = ++last_request_;
    const uint64_t blocks = work.extent.length / kBlockBytes;
    if (work.operation == Operation::kRead || work.operation == Operation::kWrite) {
        work.buffer = BufferId{node.next_buffer++};
        node.buffers[work.buffer.value].assign(blocks, work.version);
    }
    if (writes(work.operation) && node.session == truth_token_) {
        for (uint64_t block = first_block(work.extent); block < end_block(work.extent); ++block) {
            if (const auto truth = truth_.find(block); truth != truth_.end())
                truth->second.candidates.push_back(work.version);
        }
    }
    if (!writes(work.operation)) work.acked_before = acked_now();
    const ClientRequest request{RequestId{id}, work.operation, work.extent, work.buffer};
    say("node" + std::to_string(index + 1) + ": client operation " + std::to_string(static_cast<int>(work.operation)) +
        " of block " + std::to_string(first_block(work.extent)) + "+" + std::to_string(blocks) + " version " +
        std::to_string(work.version));
    node.work[id] = std::move(work);
    step(index, request);
    return id;
}

uint64_t World::write(size_t node, uint64_t block, uint64_t blocks) {
    return submit(node, {Operation::kWrite, extent_of(block, blocks), ++last_version_, kNoBuffer, {}});
}
uint64_t World::zero(size_t node, uint64_t block, uint64_t blocks) {
    return submit(node, {Operation::kZero, extent_of(block, blocks), ++last_version_, kNoBuffer, {}});
}
uint64_t World::read(size_t node, uint64_t block, uint64_t blocks) {
    return submit(node, {Operation::kRead, extent_of(block, blocks), 0, kNoBuffer, {}});
}
uint64_t World::flush(size_t node) {
    return submit(node, {Operation::kFlush, {}, 0, kNoBuffer, {}});
}

// ---- local I/O ----

// Zeroes carry no bytes, and the fake disks want to know whose they are: of the oldest request for them that is open.
// If none is (its connection ended and it was completed alone), the disk may as well have missed it.
VersionNumber World::version_of_zero(const Node& node, uint64_t block) const {
    const bool own = node.engine && node.engine->report().role == Role::kPrimary;
    VersionNumber version = 0;
    for (const auto& [id, work] : nodes[own ? node.index : 1 - node.index].work) {
        if (work.operation != Operation::kZero || block < first_block(work.extent) || block >= end_block(work.extent))
            continue;
        version = version == 0 ? work.version : std::min(version, work.version);
    }
    return version;
}

void World::apply_io(Node& node, const DataIo& io) {
    if (io.operation == Operation::kFlush) return node.disk.flush();
    const uint64_t first = first_block(io.extent);
    for (uint64_t block = first; block < end_block(io.extent); ++block) {
        if (io.operation == Operation::kWrite)
            node.disk.write(block, node.buffers.at(io.buffer.value).at(block - first));
        if (io.operation == Operation::kZero) {
            const VersionNumber version = version_of_zero(node, block);
            if (version != 0) node.disk.write(block, version);
        }
    }
}

bool World::finish_io(size_t index, size_t which) {
    Node& node = nodes[index];
    if (which >= node.io.size()) return false;
    const DataIo io = node.io[which];
    node.io.erase(node.io.begin() + static_cast<std::ptrdiff_t>(which));
    IoDone done{io.id, 0, kNoBuffer};
    if (io.operation == Operation::kRead) {
        bool bad = false;
        for (uint64_t block = first_block(io.extent); block < end_block(io.extent); ++block)
            bad = bad || node.disk.bad.contains(block);
        const uint32_t buffer = io.buffer == kNoBuffer ? node.next_buffer++ : io.buffer.value;
        if (bad) {
            done.error = EIO;
        } else {
            const auto from = node.disk.now.begin() + static_cast<std::ptrdiff_t>(first_block(io.extent));
            node.buffers[buffer].assign(from, from + static_cast<std::ptrdiff_t>(io.extent.length / kBlockBytes));
            if (io.buffer == kNoBuffer) done.buffer = BufferId{buffer};
        }
    } else if (!node.disk.writable || (io.operation == Operation::kFlush && !node.disk.flushable)) {
        done.error = EIO;
    } else {
        apply_io(node, io);
        for (uint64_t block = first_block(io.extent); block < end_block(io.extent); ++block) node.disk.bad.erase(block);
    }
    step(index, done);
    return true;
}

bool World::finish_metadata(size_t index, bool ok) {
    FakeMetadata& metadata = nodes[index].metadata;
    if (!metadata.under_way) return false;
    const FakeMetadata::Batch batch = *metadata.under_way;
    metadata.under_way.reset();
    if (ok && metadata.writable) metadata.apply(batch, true, batch.batch.bitmap_pages);
    step(index, MetadataDone{batch.batch.serial, ok && metadata.writable});
    return true;
}

// ---- the link ----

bool World::connect() {
    if (wire.wanted || !nodes[0].engine || !nodes[1].engine || now < connect_after) return false;
    if (wire.closing[0] || wire.closing[1]) return false;
    wire = {};
    wire.wanted = true;
    wire.id = ConnectionId{++last_connection_};
    return true;
}

bool World::deliver_link(size_t index) {
    if (wire.closing[index]) {
        wire.closing[index] = false;
        const bool was_up = wire.up[index];
        wire.up[index] = false;
        wire.queue[1 - index][0].clear();
        wire.queue[1 - index][1].clear();
        if (was_up) step(index, LinkDown{wire.id, "cut"});
        return true;
    }
    if (!wire.wanted || wire.up[index]) return false;
    wire.up[index] = true;
    nodes[1 - index].rebooted = false;
    step(index, LinkUp{wire.id});
    return true;
}

// What is on its way may still arrive, up to some frame; then each side hears that the connection is gone.
void World::lose_wire() {
    if (!wire.wanted) return;
    wire.wanted = false;
    for (size_t from = 0; from < 2; ++from) {
        for (auto& queue : wire.queue[from]) {
            const size_t keep = keeps_queues ? queue.size() : pick(queue.size() + 1);
            while (queue.size() > keep) {
                if (queue.back().release) nodes[from].buffers.erase(queue.back().frame.payload.value);
                queue.pop_back();
            }
            for (SendFrame& frame : queue) {  // in the kernel's buffers by now
                if (frame.frame.payload == kNoBuffer) continue;
                Node& node = nodes[from];
                const uint32_t copy = node.next_buffer++;
                const auto bytes = node.buffers.find(frame.frame.payload.value);
                if (bytes == node.buffers.end()) broken("a frame whose buffer is gone");
                const auto content = bytes->second;
                if (frame.release) node.buffers.erase(bytes);
                node.buffers[copy] = content;
                frame.frame.payload = BufferId{copy};
                frame.release = true;
            }
        }
    }
    for (size_t i = 0; i < 2; ++i) wire.closing[i] = true;
}

void World::cut() {
    say("the link is cut");
    lose_wire();
}

bool World::deliver(size_t from, Channel channel) {
    auto& queue = wire.queue[from][static_cast<size_t>(channel)];
    Node& sender = nodes[from];
    Node& receiver = nodes[1 - from];
    if (queue.empty() || !wire.up[1 - from]) return false;
    SendFrame sent = std::move(queue.front());
    queue.pop_front();
    Frame frame = std::move(sent.frame);
    if (frame.payload != kNoBuffer) {
        const uint32_t buffer = receiver.next_buffer++;
        receiver.buffers[buffer] = sender.buffers.at(frame.payload.value);
        if (sent.release) sender.buffers.erase(frame.payload.value);
        frame.payload = BufferId{buffer};
    }
    if (const Status valid = check_frame(frame, kDiskBytes); !valid) broken(valid.error().message);
    if (trace && frame.type != FrameType::kPing && frame.type != FrameType::kPong) {
        say("node" + std::to_string(from + 1) + " -> " + name_of(frame.type) + " " +
            std::to_string(frame.offset / kBlockBytes) + "+" + std::to_string(frame.length / kBlockBytes));
    }
    step(1 - from, FrameReceived{wire.id, std::move(frame)});
    return true;
}

void World::inject(size_t index, Frame frame, ConnectionId connection) {
    step(index, FrameReceived{connection == ConnectionId{} ? wire.id : connection, std::move(frame)});
}

// ---- crashes ----

void World::down(Node& node) {
    if (node.metadata.under_way) {
        std::vector<uint32_t> pages;
        for (const uint32_t page : node.metadata.under_way->batch.bitmap_pages) {
            if (chance(50)) pages.push_back(page);
        }
        node.metadata.apply(*node.metadata.under_way, chance(50), pages);
        node.metadata.under_way.reset();
    }
    for (const DataIo& io : node.io) {
        if (io.operation == Operation::kWrite || io.operation == Operation::kZero) {
            if (chance(50) && node.disk.writable) apply_io(node, io);
        }
    }
    node.io.clear();
    lose_wire();
    for (auto& queue : wire.queue[1 - node.index]) {
        for (const SendFrame& frame : queue) {
            if (frame.release) nodes[1 - node.index].buffers.erase(frame.frame.payload.value);
        }
        queue.clear();
    }
    wire.closing[node.index] = wire.up[node.index] = false;
    node.engine.reset();
    node.order = 0;
    node.reports.clear();
    node.wake_at.reset();
}

void World::crash_driver(size_t index, bool keep_front_end) {
    Node& node = nodes[index];
    say("the driver of node" + std::to_string(index + 1) + " is killed" +
        (keep_front_end ? "" : ", with its front end"));
    down(node);
    if (keep_front_end && node.agent == Node::Agent::kActive) return;
    node.work.clear();
    if (node.agent != Node::Agent::kIdle) {  // the md resource finds that its disk is gone
        node.agent = Node::Agent::kIdle;
        if (reg.owner == index) reg.stopped = true;
    }
}

void World::crash_node(size_t index) {
    Node& node = nodes[index];
    say("node" + std::to_string(index + 1) + " crashes");
    down(node);
    node.up = false;
    node.rebooted = true;
    node.work.clear();
    node.buffers.clear();
    // Frames of it that are still on their way lose their bytes with it.
    for (auto& queue : wire.queue[index]) queue.clear();
    node.agent = Node::Agent::kIdle;
    node.known = {};
    node.seen = {};
    for (const uint64_t block : node.disk.unflushed) {
        if (chance(50)) node.disk.stable[block] = node.disk.now[block];
        node.disk.now[block] = node.disk.stable[block];
    }
    node.disk.unflushed.clear();
    ++node.boot[1];
    if (reg.owner == index) reg.lost = true;
}

}  // namespace kagami::mirror::test
