#include "monitors/address_announcement/address_announcement.h"

#include <fmt/format.h>

#include <array>

#include "monitors/floating_ip/floating_ip.h"

namespace kagami::monitors {
namespace {

constexpr std::array<std::string_view, 1> kTargets = {"fip"};

class AddressAnnouncement : public Monitor {
 public:
    explicit AddressAnnouncement(host::Host& host) : network_(*host.network) {}

    Result<Finding> check(const Context& context) override {
        const auto target = find_target_address(network_, context);
        if (!target) return tl::unexpected(target.error());
        if (target->interface.empty()) return missing(context, *target);
        const auto told = network_.announce_again(*target);
        if (!told)
            return Finding{Health::kCaution, fmt::format("{} could not be announced on {}: {}", target->text,
                                                         target->interface, told.error().message)};
        if (!*told) return missing(context, *target);
        return Finding{Health::kNormal, fmt::format("{} was announced on {}", target->text, target->interface)};
    }

 private:
    static Finding missing(const Context& context, const host::Address& address) {
        return {Health::kCaution, fmt::format("address {} of {} is not on this node, nothing was announced",
                                              address.text, context.target_resource)};
    }
    host::Network& network_;
};

}  // namespace

const config::TypeDescription& address_announcement_description() {
    static const config::TypeDescription description = {
        "arpw", "Announces a floating address to the network again and again.", {}, {}, true, kTargets};
    return description;
}

std::unique_ptr<Monitor> make_address_announcement(host::Host& host) {
    return std::make_unique<AddressAnnouncement>(host);
}

}  // namespace kagami::monitors
