#include "monitors/user_space/user_space.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kagami::monitors {
namespace {

using config::ParameterKind;

constexpr std::array<config::Parameter, 5> kParameters = {{
    {"limit", ParameterKind::kDuration, false, "1s", 0.01, 999, "How late user space may run before it is an error."},
    {"open_file", ParameterKind::kBoolean, false, "false", 0, 0, "Whether a file is opened and closed at each check."},
    {"write_bytes", ParameterKind::kInteger, false, "0", 0, 9999999,
     "How much is written to that file and synced; not 0 means open_file as well."},
    {"make_thread", ParameterKind::kBoolean, false, "false", 0, 0, "Whether a thread is made and ended at each check."},
    {"directory", ParameterKind::kPath, false, "/var/lib/kagami", 0, 0,
     "Where the file is; it has no name there, and nothing of it is left."},
}};

struct Measure {
    std::string what;
    Duration late{};
};

class UserSpace : public Monitor {
 public:
    explicit UserSpace(host::Host& host) : host_(host) {}

    Result<Finding> check(const Context& context) override {
        const Duration limit = context.values.duration("limit");
        Measure worst{"the daemon runs", host_.oversleep(kPause)};
        const Duration guard = (host_.guard_lateness ? host_.guard_lateness() : std::nullopt).value_or(0ns);
        if (guard > worst.late) worst = {"the guard runs", guard};
        const auto load = carry_load(context);
        if (!load) return tl::unexpected(load.error());
        if (*load > worst.late) worst = {"work of a new process ends", *load};
        std::string message = fmt::format("{} {} ms late, the limit is {}", worst.what, milliseconds(worst.late),
                                          config::format_duration(limit));
        if (worst.late >= limit)
            return Finding{Health::kError,
                           message + ": look for what takes processors, memory or the disk (top, vmstat)"};
        return Finding{worst.late >= limit * kCautionPercent / 100 ? Health::kCaution : Health::kNormal,
                       std::move(message)};
    }

 private:
    Result<Duration> carry_load(const Context& context) {
        host::Load load;
        load.write_bytes = static_cast<uint64_t>(context.values.integer("write_bytes"));
        load.thread = context.values.boolean("make_thread");
        if (context.values.boolean("open_file") || load.write_bytes > 0)
            load.directory = context.values.text("directory");
        if (load.directory.empty() && !load.thread) return Duration(0ns);
        const Instant begun = host_.now();
        if (const Status done = host_.checks->carry(load, context.deadline); !done) return tl::unexpected(done.error());
        return host_.now() - begun;
    }
    host::Host& host_;
};

}  // namespace

const config::TypeDescription& user_space_description() {
    static const config::TypeDescription description = {
        "userw", "Watches how late user space of this node runs.", kParameters, {}};
    return description;
}

std::unique_ptr<Monitor> make_user_space(host::Host& host) {
    return std::make_unique<UserSpace>(host);
}

}  // namespace kagami::monitors
