// Promotion and demotion of one mirror: the order in which engine and front end change (mirror.md 5, rules 1 and 6).
// Promote: the engine first, then the device. Demote: the device must be idle and closed, what it still held is
// written, then the engine. The front end may be lost (aborted by the guard, failed): then what is under way fails, and
// the mirror stays promoted without a device until it is promoted again (a new device) or demoted. Every question is
// answered, within kLimit. Questions may be repeated. Belongs to the mirror's thread.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "mirror-driver/frontends/frontend.h"

namespace kagami::mirror {

class Promotion {
 public:
    static constexpr Duration kLimit = 60s;
    using Reply = std::function<void(const Status& status, bool not_yet)>;
    struct Hands {
        std::function<void(const Order& order)> order;
        std::function<Result<std::unique_ptr<FrontEnd>>(int kept_descriptor)> open;
        std::function<void(const std::string& note)> note;
    };
    explicit Promotion(Hands hands) : hands_(std::move(hands)) {}

    void promote(Reply reply, Instant now);
    void demote(Reply reply, Instant now);
    void resume(int kept_descriptor);  // the engine goes on as primary; this is its front end
    void order_done(const OrderDone& done);
    void look(Instant now);  // at the front end's state, and the limits

    FrontEnd* front() const { return front_.get(); }
    bool secondary() const { return step_ == Step::kSecondary; }
    bool changing() const { return step_ != Step::kSecondary && step_ != Step::kServing && step_ != Step::kBare; }
    const std::string& trouble() const { return trouble_; }  // of a promoted mirror without a device

 private:
    enum class Step : uint8_t {
        kSecondary,
        kPromoting,  // the engine
        kOpening,    // the front end
        kServing,
        kClosing,   // the front end
        kDemoting,  // the engine
        kLosing,    // a front end that is gone is cleared away
        kBare,      // promoted, without a front end
    };
    struct Waiting {
        bool promote = false;
        Reply reply;
        Instant until;
    };
    void order(OrderKind kind);
    void open(int kept_descriptor);
    void opened();
    void expire(Instant now);
    void lost(const std::string& why);
    void closed();
    void answer(bool promote, const Status& status);

    Hands hands_;
    Step step_ = Step::kSecondary;
    std::unique_ptr<FrontEnd> front_;
    std::vector<Waiting> waiting_;
    uint64_t last_order_ = 0;
    Status failure_;            // why the device could not be opened: the answer once the engine is demoted again
    bool demote_then_ = false;  // after kLosing
    std::string trouble_;
};

}  // namespace kagami::mirror
