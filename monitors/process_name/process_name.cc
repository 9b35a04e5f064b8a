#include "monitors/process_name/process_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kagami::monitors {
namespace {

using config::ParameterKind;

Status check_pattern(std::string_view text) {
    if (text.size() > 1023) return fail(ErrorCode::kUsage, "is longer than 1023 bytes", "shorten it by *");
    if (std::any_of(text.begin(), text.end(), [](char c) { return c != '*' && c != ' '; })) return {};
    return fail(ErrorCode::kUsage, "means every process", "write a name or a command line: \"nginx\", \"*/opt/app/*\"");
}

constexpr std::array<config::Parameter, 2> kParameters = {{
    {"process", ParameterKind::kString, true, "", 0, 0,
     "The program's name or its command line as ps -ef shows it; * in it stands for any text.", check_pattern},
    {"minimum", ParameterKind::kInteger, false, "1", 1, 999, "How many of them there must be."},
}};

class ProcessName : public Monitor {
 public:
    explicit ProcessName(host::Host& host) : host_(host) {}

    Result<Finding> check(const Context& context) override {
        const std::string& name = context.values.text("process");
        const auto count = host_.checks->count_processes(name, context.deadline);
        if (!count) return tl::unexpected(count.error());
        const int64_t minimum = context.values.integer("minimum");
        if (*count >= minimum)
            return Finding{Health::kNormal,
                           fmt::format("{} of \"{}\", at least {} wanted",
                                       *count == 1 ? "1 process" : fmt::format("{} processes", *count), name, minimum)};
        if (*count == 0)
            return Finding{Health::kError,
                           fmt::format("no process of \"{}\" is alive on this node; compare with ps -ef", name)};
        return Finding{Health::kError,
                       fmt::format("only {} of {} processes of \"{}\" are alive on this node; compare with ps -ef",
                                   *count, minimum, name)};
    }

 private:
    host::Host& host_;
};

}  // namespace

const config::TypeDescription& process_name_description() {
    static const config::TypeDescription description = {
        "psw", "Watches that enough processes of a name are alive.", kParameters, {}};
    return description;
}

std::unique_ptr<Monitor> make_process_name(host::Host& host) {
    return std::make_unique<ProcessName>(host);
}

}  // namespace kagami::monitors
