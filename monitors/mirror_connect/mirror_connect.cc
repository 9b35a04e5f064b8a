#include "monitors/mirror_connect/mirror_connect.h"

#include <array>

namespace kagami::monitors {
namespace {

constexpr std::array<config::Parameter, 1> kParameters = {{
    {"error", config::ParameterKind::kBoolean, false, "false", 0, 0,
     "Whether a lost connection is an error, with its recovery action, and not only a caution."},
}};
constexpr std::array<std::string_view, 1> kTargets = {"md"};

class MirrorConnect : public Monitor {
 public:
    explicit MirrorConnect(host::Host& host) : mirrors_(*host.mirrors) {}

    Result<Finding> check(const Context& context) override {
        const auto report = mirrors_.report(context.target_resource);
        if (!report) return tl::unexpected(report.error());
        const std::string& name = report->mirror;
        if (report->connected) return Finding{Health::kNormal, name + ": is connected with the other node"};
        const Health health = context.values.boolean("error") ? Health::kError : Health::kCaution;
        const std::string sentence = name + ": no connection between the mirror drivers";
        return Finding{health, report->message.empty() ? sentence : sentence + ": " + report->message};
    }

    std::shared_ptr<void> subscribe(const Context& context, const std::function<void()>& changed) override {
        auto handle = mirrors_.on_change(context.target_resource, changed);
        changed();
        return handle;
    }

 private:
    host::Mirrors& mirrors_;
};

}  // namespace

const config::TypeDescription& mirror_connect_description() {
    static const config::TypeDescription description = {
        "mdnw", "Watches the connection between the two copies of a mirror disk.", kParameters, {}, true, kTargets};
    return description;
}

std::unique_ptr<Monitor> make_mirror_connect(host::Host& host) {
    return std::make_unique<MirrorConnect>(host);
}

}  // namespace kagami::monitors
