#include "monitors/process/process.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kagami::monitors {
namespace {

constexpr std::array<std::string_view, 1> kTargets = {"exec"};

class Process : public Monitor {
 public:
    explicit Process(host::Host& host) : host_(host) {}

    Result<Finding> check(const Context& context) override {
        const std::string name = context.target_group + "." + context.target_resource;
        const auto processes = host_.scripts->processes(context.target_group, context.target_resource);
        if (!processes) return tl::unexpected(processes.error());
        const auto started = host_.scripts->started(context.target_group, context.target_resource);
        if (!started) return tl::unexpected(started.error());
        if (started->active && started->main == 0)
            return Finding{Health::kError,
                           "the start program of " + name + " left no process to watch; use another monitor for it"};
        const bool main_lost = started->active && !started->main_alive;
        if (processes->empty())
            return Finding{Health::kError,
                           main_lost ? fmt::format("process {} of {} has ended, none is left", started->main, name)
                                     : "no process of " + name + " is left"};
        if (main_lost)
            return Finding{Health::kError, fmt::format("main process {} of {} has ended, {} others are left",
                                                       started->main, name, processes->size())};
        return Finding{Health::kNormal, fmt::format("process {} of {} is alive",
                                                    started->main_alive ? started->main : processes->front(), name)};
    }

    std::shared_ptr<void> subscribe(const Context& context, const std::function<void()>& changed) override {
        auto processes = host_.scripts->processes(context.target_group, context.target_resource);
        // Unreachable now: the checks at intervals go on, and say so.
        if (!processes) return nullptr;
        auto handles = std::make_shared<std::vector<std::shared_ptr<void>>>();
        for (size_t i = 0; i < std::min(processes->size(), kWatched); ++i) {
            handles->push_back(host_.processes->on_exit((*processes)[i], changed));
        }
        changed();
        return handles;
    }

 private:
    host::Host& host_;
};

}  // namespace

const config::TypeDescription& process_description() {
    static const config::TypeDescription description = {
        "pidw", "Watches the process of an exec resource; its end is noticed at once.", {}, {}, true, kTargets};
    return description;
}

std::unique_ptr<Monitor> make_process(host::Host& host) {
    return std::make_unique<Process>(host);
}

}  // namespace kagami::monitors
