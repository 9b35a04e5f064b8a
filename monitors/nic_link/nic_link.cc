#include "monitors/nic_link/nic_link.h"

#include <algorithm>
#include <array>

namespace kagami::monitors {
namespace {

Status check_interface(std::string_view text) {
    const bool good =
        !text.empty() && text.size() <= 15 && text != "." && text != ".." &&
        std::none_of(text.begin(), text.end(), [](char c) { return c == '/' || c == ':' || c <= ' ' || c == 127; });
    if (good) return {};
    return fail(ErrorCode::kUsage, "is not the name of an interface",
                "write it as ip link shows it, for example \"eth0\"");
}

constexpr std::array<config::Parameter, 2> kParameters = {{
    {"interface", config::ParameterKind::kString, true, "", 0, 0, "The network interface, as ip link shows it.",
     check_interface},
    {"ethtool", config::ParameterKind::kBoolean, false, "false", 0, 0,
     "Whether its driver is asked as well, as ethtool does it."},
}};

class NicLink : public Monitor {
 public:
    explicit NicLink(host::Host& host) : network_(*host.network) {}

    Result<Finding> check(const Context& context) override {
        const std::string& name = context.values.text("interface");
        const auto links = network_.links();
        if (!links) return tl::unexpected(links.error());
        const auto link = std::find_if(links->begin(), links->end(), [&](const auto& l) { return l.name == name; });
        if (link == links->end())
            return Finding{Health::kError, "there is no interface " + name +
                                               " on this node: correct `interface`, or see to its driver"};
        if (!link->up) return Finding{Health::kError, "interface " + name + " is down: ip link set " + name + " up"};
        if (!link->carrier)
            return Finding{Health::kError, "interface " + name + " has no link: check its cable and switch port"};
        return context.values.boolean("ethtool") ? ask_driver(name) : good(name);
    }

    std::shared_ptr<void> subscribe(const Context&, const std::function<void()>& changed) override {
        auto handle = network_.on_change(changed);
        changed();
        return handle;
    }

 private:
    static Finding good(const std::string& name) { return {Health::kNormal, "interface " + name + " has a link"}; }
    Result<Finding> ask_driver(const std::string& name) {
        const auto told = network_.ethtool_link(name);
        if (!told) return tl::unexpected(told.error());
        if (told->has_value() && !**told)
            return Finding{Health::kError,
                           "the driver of interface " + name + " sees no link: check its cable and switch port"};
        if (told->has_value()) return good(name);
        return Finding{Health::kNormal, "interface " + name + " has a link; its driver does not tell (ethtool)"};
    }
    host::Network& network_;
};

}  // namespace

const config::TypeDescription& nic_link_description() {
    static const config::TypeDescription description = {
        "miiw", "Watches the link of a network interface.", kParameters, {}};
    return description;
}

std::unique_ptr<Monitor> make_nic_link(host::Host& host) {
    return std::make_unique<NicLink>(host);
}

}  // namespace kagami::monitors
