// The observer of one mirror: it keeps the shadow of what was written, acknowledged and flushed, block by block, sees
// both disks and the chosen record at once, and checks I4 to I10, the mirror's part of I14 and I15, and at the end L3.
//
// A block's content is known by the number of the write that made it; numbers grow in the order in which the client
// gave its writes. Each replica owes a least number per block (`required`): the last acknowledged write, or, once it
// has lost power, the last write that was acknowledged before an acknowledged flush. What was written and not
// acknowledged may be there or not (I4); of writes to one block that were under way together any may be the last.
// Zeroes carry no number: they count as the newest zeroing of their block, which errs on the mild side. A person's
// force makes whatever the chosen replica holds right: it excuses I4 once.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cluster-daemon/engine/document.h"
#include "tests/sim/mirror_client.h"

namespace kagami::sim {

class MirrorChecker {
 public:
    MirrorChecker(World& world, MirrorPair& pair) : world_(world), pair_(pair) {}

    void on_issued(Side side, ClientWork& work);  // numbers it and fills its payload
    void on_completed(Side side, const ClientWork& work, int error, const Payload& payload);
    void on_abandoned();  // the client was killed: nobody waits for an answer
    void on_promoted(const Driver& driver);
    void on_report(const Driver& driver, const mirror::Report& report);
    void on_lost(Side side);       // its unsynced writes: power
    void on_exchanged(Side side);  // its disks: blank, or older
    void on_chosen(const engine::Document& before, const engine::Document& next);
    void on_force_asked();
    bool lost_copy(const mirror::Record& record) const;
    void tick();
    // L3, once everything works and a person has helped: empty, or what is not as it must be.
    std::string unfinished();
    const mirror::Record* record() const;  // chosen
    bool exchanged(Side side) const { return exchanged_[side]; }
    uint64_t acknowledged_writes() const { return acknowledged_; }

 private:
    struct Cell {
        uint64_t newest = 0;       // given by the client
        uint64_t newest_zero = 0;  // ... of kind zero
        uint64_t acknowledged = 0;
        uint64_t flushed = 0;
        uint64_t required[2] = {};
        uint32_t under_way = 0;       // writes that are not answered; they may take effect in any order
        uint64_t first_of_these = 0;  // since there was none under way
    };
    bool current(Side side) const;
    std::optional<uint64_t> number_of(uint64_t block, const Cell& cell, Content content) const;
    uint64_t seen(Side side, uint64_t block, const Cell& cell);
    uint64_t durable(Side side, uint64_t block, const Cell& cell);
    uint64_t checked(Side side, uint64_t block, const Cell& cell, Content content);
    void write_done(Side side, const ClientWork& work);
    void flush_done(Side side, const ClientWork& work);
    void read_done(const ClientWork& work, const Payload& payload);
    void check_right(Side side);
    void check_content(Side side, const char* invariant, const std::string& what);
    void check_cover();
    void check_record(const mirror::Record& before, const mirror::Record& next);
    std::string block_text(uint64_t block, const Cell& cell) const;
    void violation(const std::string& invariant, const std::string& text);

    World& world_;
    MirrorPair& pair_;
    std::map<uint64_t, Cell> cells_;
    std::vector<mirror::Extent> writes_;
    bool exchanged_[2] = {};
    std::optional<Moment> force_asked_;
    mirror::Mode mode_[2] = {};
    std::map<mirror::Generation, Token> acknowledged_under_;
    uint64_t acknowledged_ = 0;
    uint64_t ticks_ = 0;
};

}  // namespace kagami::sim
