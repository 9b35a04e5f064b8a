#include "monitors/nic_link/nic_link.h"

#include <algorithm>
#include <array>

namespace kagami::monitors {
namespace {

constexpr std::array<config::Parameter, 1> kParameters = {{
    {"interface", config::ParameterKind::kString, true, "", 0, 0, "The network interface, as ip link shows it."},
}};

class NicLink : public Monitor {
 public:
    explicit NicLink(host::Host& host) : network_(*host.network) {}

    Result<Finding> check(const Context& context) override {
        const std::string& name = context.values.text("interface");
        const auto links = network_.links();
        if (!links) return tl::unexpected(links.error());
        const auto link = std::find_if(links->begin(), links->end(), [&](const auto& l) { return l.name == name; });
        if (link == links->end()) return Finding{Health::kError, "there is no interface " + name + " on this node"};
        if (!link->up) return Finding{Health::kError, "interface " + name + " is down"};
        if (!link->carrier)
            return Finding{Health::kError, "interface " + name + " has no link: check its cable and switch port"};
        return Finding{Health::kNormal, "interface " + name + " has a link"};
    }

    std::shared_ptr<void> subscribe(const Context&, const std::function<void()>& changed) override {
        auto handle = network_.on_change(changed);
        changed();
        return handle;
    }

 private:
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
