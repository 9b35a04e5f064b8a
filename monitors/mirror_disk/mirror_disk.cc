#include "monitors/mirror_disk/mirror_disk.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kagami::monitors {
namespace {

constexpr std::array<std::string_view, 1> kTargets = {"md"};
// A killed driver is back, and serves what was open, within a fraction of this.
constexpr Duration kDriverWait = 5s;
constexpr Duration kLookAgain = 100ms;

std::string with_message(std::string sentence, const mirror::Report& report) {
    return report.message.empty() ? sentence : sentence + ": " + report.message;
}

Finding of_primary(const mirror::Report& report) {
    const std::string& name = report.mirror;
    const auto behind = fmt::format("{} MiB are to be copied", (report.dirty_bytes + (1U << 20U) - 1) >> 20U);
    switch (report.mode) {
        case mirror::Mode::kConnected:
            if (!report.message.empty()) return {Health::kCaution, name + ": " + report.message};
            return {Health::kNormal, name + ": both copies are up to date"};
        case mirror::Mode::kIdle:
        case mirror::Mode::kStalled:
            return {Health::kCaution,
                    with_message(name + ": the other node is lost; writes wait for the cluster's decision", report)};
        case mirror::Mode::kSolo:
            return {Health::kCaution,
                    with_message(fmt::format("{}: this node alone holds the data, {}", name, behind), report)};
        case mirror::Mode::kSyncing:
            return {Health::kCaution,
                    with_message(fmt::format("{}: the other copy is being brought up to date, {} %, {}", name,
                                             report.percent, behind),
                                 report)};
        case mirror::Mode::kJoining:
            return {Health::kCaution, name + ": the other copy is complete and waits to be admitted"};
        case mirror::Mode::kHalted:
            return {Health::kError,
                    with_message(name + ": the cluster took the disk away, nothing is written", report)};
    }
    return {Health::kError, name};
}

Finding judge(const mirror::Report& report) {
    switch (report.disk) {
        case mirror::DiskState::kNone:
            return {Health::kError, with_message(report.mirror + ": is not attached on this node", report)};
        case mirror::DiskState::kFailed:
            return {Health::kError, with_message(report.mirror + ": the disk of this node has failed", report)};
        case mirror::DiskState::kNew:
        case mirror::DiskState::kInconsistent:
            return {Health::kError, with_message(report.mirror + ": the copy of this node is not complete", report)};
        case mirror::DiskState::kConsistent: break;
    }
    if (report.role != mirror::Role::kPrimary)
        return {Health::kError, with_message(report.mirror + ": is not promoted on this node", report)};
    return of_primary(report);
}

// Passes by itself when the driver is back.
bool may_pass(const mirror::Report& report) {
    return report.role != mirror::Role::kPrimary && report.disk != mirror::DiskState::kFailed;
}

class MirrorDisk : public Monitor {
 public:
    explicit MirrorDisk(host::Host& host) : host_(host) {}

    Result<Finding> check(const Context& context) override {
        const Instant wait_until = std::min(host_.now() + kDriverWait, context.deadline - kLookAgain);
        for (;;) {
            const auto report = host_.mirrors->report(context.target_resource);
            if (!report) return tl::unexpected(report.error());
            Finding finding = judge(*report);
            if (finding.health != Health::kError || !may_pass(*report) || host_.now() >= wait_until) return finding;
            host_.oversleep(kLookAgain);
        }
    }

    std::shared_ptr<void> subscribe(const Context& context, const std::function<void()>& changed) override {
        auto handle = host_.mirrors->on_change(context.target_resource, changed);
        changed();
        return handle;
    }

 private:
    host::Host& host_;
};

}  // namespace

const config::TypeDescription& mirror_disk_description() {
    static const config::TypeDescription description = {
        "mdw", "Watches whether a mirror disk serves, and whether both copies are up to date.", {}, {}, true, kTargets};
    return description;
}

std::unique_ptr<Monitor> make_mirror_disk(host::Host& host) {
    return std::make_unique<MirrorDisk>(host);
}

}  // namespace kagami::monitors
