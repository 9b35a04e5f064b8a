#include "monitors/ip/ip.h"

#include <algorithm>
#include <array>

#include "common/host/ip_address.h"

namespace kagami::monitors {
namespace {

using config::ParameterKind;

Status check_ip(std::string_view text) {
    if (host::parse_ip(text)) return {};
    return fail(ErrorCode::kUsage, "is not an IPv4 or IPv6 address",
                "write addresses without prefix: addresses = [\"10.77.1.254\"]");
}

constexpr std::array<config::Parameter, 2> kParameters = {{
    {"addresses", ParameterKind::kStringList, true, "", 0, 0,
     "The addresses to ping; an error when none of them answers.", check_ip},
    {"ping_timeout", ParameterKind::kDuration, false, "5s", 0.1, 999,
     "How long an answer of one address is waited for."},
}};

class Ip : public Monitor {
 public:
    explicit Ip(host::Host& host) : host_(host) {}

    Result<Finding> check(const Context& context) override {
        const auto& addresses = context.values.list("addresses");
        std::string silent;
        for (size_t i = 0; i < addresses.size(); ++i) {
            const Duration left = context.deadline - host_.now();
            const Duration share = left / static_cast<int64_t>(addresses.size() - i);
            const auto answers = host_.network->ping(
                addresses[i], std::clamp<Duration>(share, 0ns, context.values.duration("ping_timeout")));
            if (answers && *answers) return Finding{Health::kNormal, addresses[i] + " answers"};
            // What cannot even be asked (no route) is as silent as the others, but says why.
            silent += (silent.empty() ? "" : ", ") + (answers ? addresses[i] : answers.error().message);
        }
        return Finding{Health::kError, "no answer to a ping: " + silent};
    }

 private:
    host::Host& host_;
};

}  // namespace

const config::TypeDescription& ip_description() {
    static const config::TypeDescription description = {
        "ipw", "Pings a list of hosts; an error when none answers.", kParameters, {}};
    return description;
}

std::unique_ptr<Monitor> make_ip(host::Host& host) {
    return std::make_unique<Ip>(host);
}

}  // namespace kagami::monitors
