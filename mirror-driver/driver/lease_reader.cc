#include "mirror-driver/driver/lease_reader.h"

#include "cluster-daemon/guard/guard_page.h"

namespace kagami::mirror {
namespace {

constexpr Duration kMinute = 1min;

}  // namespace

struct LeaseReader::Reader {
    guard::GuardPageReader<guard::GuardPlan> page;
    bool sound = false;
};

LeaseReader::LeaseReader(std::string page_path, std::string group, const BootId& boot)
    : path_(std::move(page_path)), group_(std::move(group)), boot_(boot) {}
LeaseReader::~LeaseReader() = default;

void LeaseReader::open(Instant now) {
    if (now < next_try_) return;
    next_try_ = now + 1s;
    auto page = guard::GuardPageReader<guard::GuardPlan>::open_existing(path_.c_str());
    trouble_ = page ? std::string() : page.error().message;
    if (page) reader_ = std::make_unique<Reader>(Reader{std::move(*page), false});
}

Instant LeaseReader::until(Token token, Instant now) {
    if (!reader_) open(now);
    if (!reader_) return {};
    switch (reader_->page.read()) {
        case guard::PageRead::kNew: reader_->sound = true; break;
        case guard::PageRead::kUnchanged: break;
        case guard::PageRead::kBlank:
        case guard::PageRead::kDamaged: reader_->sound = false; break;
    }
    if (!reader_->sound) return {};
    const auto& plan = reader_->page.value();
    if (plan.terms.boot != boot_) return {};
    // Told anew every minute, so that the engine is not bothered at each look.
    if (plan.terms.unmanaged != 0) return now - now.time_since_epoch() % kMinute + 2 * kMinute;
    for (const auto& group : plan.groups) {
        if (group.name.view() != group_) continue;
        return group.token == token && group.verdict != guard::Verdict::kKill ? plan.terms.deadline : Instant{};
    }
    return {};
}

}  // namespace kagami::mirror
