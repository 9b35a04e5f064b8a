// Single resources and monitors, scripts, slow checks, busy times: what a case does with the details of a group.
#include <algorithm>

#include "common/config/parameter.h"
#include "tests/golden/player.h"

namespace kagami::golden {
namespace {

using engine::OperatorVerb;

tl::unexpected<Error> usage(const std::string& form) {
    return fail(ErrorCode::kUsage, "write: " + form);
}

}  // namespace

// resource start|stop RESOURCE [force]
Status Player::resource(const Words& words) {
    if (words.size() < 3) return usage("resource start|stop RESOURCE [force]");
    engine::OperatorRequest request;
    request.subject = words[2];
    request.force = words.back() == "force";
    return tell(words[1] == "start" ? OperatorVerb::kResourceStart : OperatorVerb::kResourceStop, words, request);
}

// monitor suspend|resume|dummy-on|dummy-off|clear MONITOR [on NODE]
Status Player::monitor(const Words& words) {
    static const std::map<std::string, OperatorVerb> kVerbs = {{"suspend", OperatorVerb::kMonitorSuspend},
                                                               {"resume", OperatorVerb::kMonitorResume},
                                                               {"dummy-on", OperatorVerb::kMonitorDummyOn},
                                                               {"dummy-off", OperatorVerb::kMonitorDummyOff},
                                                               {"clear", OperatorVerb::kMonitorClear}};
    const auto verb = words.size() < 3 ? kVerbs.end() : kVerbs.find(words[1]);
    if (verb == kVerbs.end()) return usage("monitor suspend|resume|dummy-on|dummy-off|clear MONITOR [on NODE]");
    engine::OperatorRequest request;
    request.subject = words[2];
    if (const config::Node* known = world_.config().node(option(words, "on"))) request.node = known->id;
    return tell(verb->second, words, request);
}

void Player::add_detail_commands() {
    actions_["resource"] = [this](const Words& words) { return resource(words); };
    actions_["monitor"] = [this](const Words& words) { return monitor(words); };
    actions_["timeout-ratio"] = [this](const Words& words) -> Status {
        if (words.size() < 2) return usage("timeout-ratio N [minutes M]");
        engine::OperatorRequest request;
        request.amount = static_cast<uint32_t>(std::stoul(words[1]));
        const std::string minutes = option(words, "minutes");
        request.minutes = minutes.empty() ? 0 : static_cast<uint32_t>(std::stoul(minutes));
        return tell(OperatorVerb::kTimeoutRatio, words, request);
    };
    actions_["clear-final-actions"] = [this](const Words& words) -> Status {
        engine::OperatorRequest request;
        if (words.size() > 1) request.subject = words[1];
        if (const config::Node* known = world_.config().node(request.subject)) request.node = known->id;
        return tell(OperatorVerb::kFinalActionsClear, words, request);
    };
    actions_["scripts-fail"] = [this](const Words& words) -> Status {
        auto found = node(words, 3);
        if (!found || words.size() != 5) return usage("scripts-fail RESOURCE|MONITOR on NODE xN");
        (*found)->machine().scripts_fail(words[1], std::stoi(words[4].substr(1)));
        return {};
    };
    actions_["check-takes"] = [this](const Words& words) -> Status {
        auto found = node(words, 3);
        const auto takes = config::parse_duration(words.back());
        if (!found || !takes || words.size() != 5) return usage("check-takes MONITOR on NODE TIME");
        (*found)->machine().check_takes(words[1], *takes);
        return {};
    };
}

}  // namespace kagami::golden
