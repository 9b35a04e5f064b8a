#include "monitors/free_resource/free_resource.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kagami::monitors {
namespace {

using config::ParameterKind;

constexpr double kMost = 1e9;
constexpr std::array<config::Parameter, 3> kParameters = {{
    {"minimum_memory", ParameterKind::kInteger, false, "0", 0, kMost,
     "MiB of memory that must be free; 0 = not watched."},
    {"minimum_disk", ParameterKind::kInteger, false, "0", 0, kMost,
     "MiB that must be free on a file system; 0 = not watched."},
    {"path", ParameterKind::kPath, false, "/", 0, 0, "A path on that file system."},
}};

Finding judge(uint64_t free_bytes, int64_t minimum, const std::string& what, const std::string& remedy) {
    const uint64_t free_mib = free_bytes >> 20U;
    const auto wanted = static_cast<uint64_t>(minimum);
    std::string message = fmt::format("{} MiB {}, the minimum is {} MiB", free_mib, what, wanted);
    if (free_mib < wanted) return {Health::kError, message + ": " + remedy};
    const bool close = free_mib < wanted * kCautionPercentOfMinimum / 100;
    return {close ? Health::kCaution : Health::kNormal, std::move(message)};
}

class FreeResource : public Monitor {
 public:
    explicit FreeResource(host::Host& host) : host_(host) {}

    Result<Finding> check(const Context& context) override {
        const int64_t memory = context.values.integer("minimum_memory");
        const int64_t disk = context.values.integer("minimum_disk");
        const std::string& path = context.values.text("path");
        if (memory == 0 && disk == 0)
            return fail(ErrorCode::kUsage, "monitor " + context.monitor + " watches nothing",
                        "set minimum_memory or minimum_disk, in MiB");
        Finding found;
        if (memory > 0) {
            const auto free = host_.checks->available_memory();
            if (!free) return tl::unexpected(free.error());
            found = judge(*free, memory, "of memory are free", "see what uses it (ps -eo rss,args --sort=-rss)");
        }
        if (disk > 0) {
            const auto free = host_.checks->free_bytes(path, context.deadline);
            if (!free) return tl::unexpected(free.error());
            const Finding other =
                judge(*free, disk, "are free on the file system of " + path, "delete what is not needed there");
            found = {std::max(found.health, other.health),
                     found.message.empty() ? other.message : found.message + "; " + other.message};
        }
        return found;
    }

 private:
    host::Host& host_;
};

}  // namespace

const config::TypeDescription& free_resource_description() {
    static const config::TypeDescription description = {
        "resw", "Watches free memory and free disk space against a minimum.", kParameters, {}};
    return description;
}

std::unique_ptr<Monitor> make_free_resource(host::Host& host) {
    return std::make_unique<FreeResource>(host);
}

}  // namespace kagami::monitors
