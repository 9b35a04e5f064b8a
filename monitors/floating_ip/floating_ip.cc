#include "monitors/floating_ip/floating_ip.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "common/host/ip_address.h"

namespace kagami::monitors {
namespace {

constexpr std::array<config::Parameter, 1> kParameters = {{
    {"link_check", config::ParameterKind::kBoolean, false, "false", 0, 0,
     "Whether an interface without link is an error too."},
}};
constexpr std::array<std::string_view, 1> kTargets = {"fip"};

class FloatingIp : public Monitor {
 public:
    explicit FloatingIp(host::Host& host) : network_(*host.network) {}

    Result<Finding> check(const Context& context) override {
        const auto address = find_target_address(network_, context);
        if (!address) return tl::unexpected(address.error());
        if (address->interface.empty())
            return Finding{Health::kError,
                           fmt::format("address {} of {} is not on this node any more: another program has removed it",
                                       address->text, context.target_resource)};
        if (context.values.boolean("link_check")) return check_link(*address);
        return Finding{Health::kNormal, fmt::format("{} is on {}", address->text, address->interface)};
    }

    std::shared_ptr<void> subscribe(const Context&, const std::function<void()>& changed) override {
        auto handle = network_.on_change(changed);
        changed();
        return handle;
    }

 private:
    Result<Finding> check_link(const host::Address& address) {
        const auto links = network_.links();
        if (!links) return tl::unexpected(links.error());
        const auto link =
            std::find_if(links->begin(), links->end(), [&](const auto& l) { return l.name == address.interface; });
        const bool good = link != links->end() && link->up && link->carrier;
        if (good) return Finding{Health::kNormal, fmt::format("{} is on {}", address.text, address.interface)};
        return Finding{Health::kError,
                       fmt::format("interface {} of address {} has no link: check its cable and switch port",
                                   address.interface, address.text)};
    }
    host::Network& network_;
};

}  // namespace

Result<host::Address> find_target_address(host::Network& network, const Context& context) {
    if (!context.target_values.has("address"))
        return fail(ErrorCode::kUsage,
                    "monitor " + context.monitor + ": " + context.target_resource + " has no address",
                    "let its target name a fip resource");
    auto wanted = host::parse_floating_address(context.target_values.text("address"));
    if (!wanted) return wanted;
    const auto all = network.addresses();
    if (!all) return tl::unexpected(all.error());
    const auto found = std::find_if(all->begin(), all->end(), [&](const auto& a) { return a.text == wanted->text; });
    if (found != all->end()) return *found;
    wanted->interface.clear();
    return wanted;
}

const config::TypeDescription& floating_ip_description() {
    static const config::TypeDescription description = {
        "fipw", "Watches whether a floating address is still on this node.", kParameters, {}, true, kTargets};
    return description;
}

std::unique_ptr<Monitor> make_floating_ip(host::Host& host) {
    return std::make_unique<FloatingIp>(host);
}

}  // namespace kagami::monitors
