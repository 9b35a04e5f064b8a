#include "monitors/ip/ip.h"

#include <algorithm>
#include <array>

#include "common/host/ip_address.h"
#include "monitors/words.h"

namespace kagami::monitors {
namespace {

using config::ParameterKind;

Status check_ip(std::string_view text) {
    if (host::parse_ip(text)) return {};
    return fail(ErrorCode::kUsage, "is not an IPv4 or IPv6 address",
                "write addresses without prefix: addresses = [\"10.77.1.254\"]");
}

Status check_rule(std::string_view text) {
    return one_of(text, "any", "all");
}

constexpr std::array<config::Parameter, 3> kParameters = {{
    {"addresses", ParameterKind::kStringList, true, "", 0, 0, "The addresses to ping.", check_ip},
    {"rule", ParameterKind::kString, false, "any", 0, 0,
     "\"any\": an error when none of them answers. \"all\": an error when one of them does not.", check_rule},
    {"ping_timeout", ParameterKind::kDuration, false, "5s", 0.1, 999,
     "How long an answer of one address is waited for."},
}};

class Ip : public Monitor {
 public:
    explicit Ip(host::Host& host) : host_(host) {}

    Result<Finding> check(const Context& context) override {
        const auto& addresses = context.values.list("addresses");
        if (addresses.empty())
            return fail(ErrorCode::kUsage, "monitor " + context.monitor + ": it pings nothing",
                        "write addresses = [\"10.77.1.254\"]");
        const bool any = context.values.text("rule") == "any";
        std::string silent;
        for (size_t i = 0; i < addresses.size(); ++i) {
            const Duration left = context.deadline - host_.now();
            const Duration share = left / static_cast<int64_t>(addresses.size() - i);
            const auto answers = host_.network->ping(
                addresses[i], std::clamp<Duration>(share, 0ns, context.values.duration("ping_timeout")));
            const bool good = answers && *answers;
            if (good && any) return Finding{Health::kNormal, addresses[i] + " answers"};
            // What cannot even be asked (no route) is as silent as the others, but says why.
            if (!good) silent += (silent.empty() ? "" : ", ") + (answers ? addresses[i] : answers.error().message);
        }
        if (silent.empty())
            return Finding{Health::kNormal, addresses.size() == 1
                                                ? addresses[0] + " answers"
                                                : std::to_string(addresses.size()) + " addresses answer"};
        return Finding{Health::kError, "no answer to a ping: " + silent};
    }

 private:
    host::Host& host_;
};

}  // namespace

const config::TypeDescription& ip_description() {
    static const config::TypeDescription description = {
        "ipw", "Pings a list of hosts; an error when none, or not each of them, answers.", kParameters, {}};
    return description;
}

std::unique_ptr<Monitor> make_ip(host::Host& host) {
    return std::make_unique<Ip>(host);
}

}  // namespace kagami::monitors
