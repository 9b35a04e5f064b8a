#include "monitors/user_space/user_space.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kagami::monitors {
namespace {

constexpr std::array<config::Parameter, 1> kParameters = {{
    {"limit", config::ParameterKind::kDuration, false, "1s", 0.01, 999,
     "How late user space may run before it is an error."},
}};

class UserSpace : public Monitor {
 public:
    explicit UserSpace(host::Host& host) : host_(host) {}

    Result<Finding> check(const Context& context) override {
        const Duration limit = context.values.duration("limit");
        const Duration own = host_.oversleep(kPause);
        const Duration guard = (host_.guard_lateness ? host_.guard_lateness() : std::nullopt).value_or(0ns);
        const Duration worst = std::max(own, guard);
        std::string message =
            fmt::format("{} runs {} ms late, the limit is {}", guard > own ? "the guard" : "the daemon",
                        milliseconds(worst), config::format_duration(limit));
        if (worst >= limit) return Finding{Health::kError, std::move(message)};
        return Finding{worst >= limit * kCautionPercent / 100 ? Health::kCaution : Health::kNormal, std::move(message)};
    }

 private:
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
