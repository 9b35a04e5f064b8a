#include "resources/floating_ip/floating_ip.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "common/host/ip_address.h"

namespace kagami::resources {
namespace {

using config::ParameterKind;

Status check_address(std::string_view text) {
    const auto address = host::parse_floating_address(text);
    if (!address) return tl::unexpected(address.error());
    return {};
}

Status check_interface(std::string_view text) {
    const bool good = !text.empty() && text.size() <= 15 && text != "." && text != ".." &&
                      std::none_of(text.begin(), text.end(), [](char c) { return c == '/' || c <= ' ' || c == 127; });
    if (good) return {};
    return fail(ErrorCode::kUsage, "is not the name of an interface",
                "write it as ip link shows it, for example \"eth0\"");
}

constexpr std::array<config::Parameter, 5> kParameters = {{
    {"address", ParameterKind::kString, true, "", 0, 0,
     "The address with its prefix: \"10.77.1.100/24\" or \"fd00::100/64\".", check_address},
    {"interface", ParameterKind::kString, false, "", 0, 0,
     "Where it is added; without it the interface that has an address in the same network.", check_interface},
    {"probe", ParameterKind::kBoolean, false, "true", 0, 0,
     "Whether other hosts are asked for the address first; not done when the former owner's stop is proven."},
    {"probe_wait", ParameterKind::kDuration, false, "50ms", 0.01, 5, "How long an answer to the probe is waited for."},
    {"force", ParameterKind::kBoolean, false, "false", 0, 0, "Take the address even if another host answers for it."},
}};
constexpr std::array<std::string_view, 3> kAfter = {"volmgr", "disk", "md"};

std::string name_of(const Context& context) {
    return context.group + "." + context.resource;
}

class FloatingIp : public Resource {
 public:
    explicit FloatingIp(host::Host& host) : network_(*host.network) {}
    Status activate(const Context& context) override;
    Status deactivate(const Context& context) override;
    Result<Probe> probe(const Context& context) override;
    Result<Footprint> footprint(const Context& context) override;

 private:
    Result<host::Address> wanted(const Context& context) const;
    Result<std::vector<host::Address>> present(const Context& context) const;
    Status check_link(const Context& context, const host::Address& address) const;
    Status check_free(const Context& context, const host::Address& address) const;
    host::Network& network_;
};

Result<host::Address> FloatingIp::wanted(const Context& context) const {
    auto address = host::parse_floating_address(context.values.text("address"));
    if (!address) return address;
    if (context.values.has("interface")) {
        address->interface = context.values.text("interface");
        return address;
    }
    auto interface = network_.interface_for(*address);
    if (!interface)
        return fail(interface.error().code, name_of(context) + ": " + interface.error().message,
                    interface.error().remedy);
    address->interface = *interface;
    return address;
}

// Everywhere on this node, whatever the prefix.
Result<std::vector<host::Address>> FloatingIp::present(const Context& context) const {
    const auto address = host::parse_floating_address(context.values.text("address"));
    if (!address) return tl::unexpected(address.error());
    auto all = network_.addresses();
    if (all) std::erase_if(*all, [&](const host::Address& known) { return known.text != address->text; });
    return all;
}

Status FloatingIp::check_link(const Context& context, const host::Address& address) const {
    const auto links = network_.links();
    if (!links) return tl::unexpected(links.error());
    const auto link =
        std::find_if(links->begin(), links->end(), [&](const auto& l) { return l.name == address.interface; });
    if (link == links->end())
        return fail(ErrorCode::kNotFound,
                    fmt::format("{}: there is no interface {} on this node", name_of(context), address.interface),
                    "correct `interface` in the configuration, or set the interface up");
    if (!link->up)
        return fail(fmt::format("{}: interface {} is down", name_of(context), address.interface),
                    "ip link set " + address.interface + " up");
    if (!link->carrier)
        return fail(fmt::format("{}: interface {} has no link", name_of(context), address.interface),
                    "check its cable and switch port");
    return {};
}

Status FloatingIp::check_free(const Context& context, const host::Address& address) const {
    if (context.proven_stopped || !context.values.boolean("probe") || context.values.boolean("force")) return {};
    const auto claim = network_.probe_duplicate(address, context.values.duration("probe_wait"));
    if (!claim) return tl::unexpected(claim.error());
    const std::optional<std::string>& mac = *claim;
    if (!mac) return {};
    return fail(
        ErrorCode::kRefused,
        fmt::format("{}: another host answers for {} on {}: {}", name_of(context), address.text, address.interface,
                    *mac),
        fmt::format(
            "find the host with MAC address {} and take the address away from it, or set force = true in resource {}",
            *mac, context.resource));
}

Status FloatingIp::activate(const Context& context) {
    const auto address = wanted(context);
    if (!address) return tl::unexpected(address.error());
    if (Status linked = check_link(context, *address); !linked) return linked;
    const auto here = present(context);
    if (!here) return tl::unexpected(here.error());
    const bool mine = std::find(here->begin(), here->end(), *address) != here->end();
    if (!mine && !here->empty())
        return fail(fmt::format("{}: {} is on interface {} of this node already, with prefix /{}", name_of(context),
                                address->text, here->front().interface, here->front().prefix_bits),
                    fmt::format("ip address del {}/{} dev {}", address->text, here->front().prefix_bits,
                                here->front().interface));
    if (!mine) {
        if (Status free = check_free(context, *address); !free) return free;
        if (Status added = network_.add_address(*address); !added)
            return fail(added.error().code, name_of(context) + ": " + added.error().message, added.error().remedy);
    }
    return network_.announce(*address);
}

Status FloatingIp::deactivate(const Context& context) {
    const auto here = present(context);
    if (!here) return tl::unexpected(here.error());
    for (const host::Address& address : *here) {
        if (Status removed = network_.remove_address(address); !removed)
            return fail(removed.error().code, name_of(context) + ": " + removed.error().message,
                        removed.error().remedy);
    }
    return {};
}

Result<Probe> FloatingIp::probe(const Context& context) {
    const auto here = present(context);
    if (!here) return tl::unexpected(here.error());
    return here->empty() ? Probe::kInactive : Probe::kActive;
}

Result<Footprint> FloatingIp::footprint(const Context& context) {
    auto address = wanted(context);
    if (!address) return tl::unexpected(address.error());
    Footprint all;
    all.addresses.push_back(std::move(*address));
    return all;
}

}  // namespace

const config::TypeDescription& floating_ip_description() {
    static const config::TypeDescription description = {"fip", "A floating IP address that moves with its group.",
                                                        kParameters, kAfter};
    return description;
}

std::unique_ptr<Resource> make_floating_ip(host::Host& host) {
    return std::make_unique<FloatingIp>(host);
}

}  // namespace kagami::resources
