// What persons look at beside the status: the leader, the switches, statistics, the doctor, and what would happen.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/doctor.h"
#include "cli/read.h"
#include "cli/render.h"
#include "cli/saved_status.h"
#include "cli/verbs.h"

namespace kagami::cli {
namespace {

using Json = nlohmann::ordered_json;

// A part of the status, as JSON made by `json` or as text.
void show_part(const Session& session, const Arguments& arguments, const pb::Status& status,
               Json (*json)(const pb::Status&), Render<pb::Status> render) {
    session.console.out << (arguments.has("json") ? dump(json(status)) : render(status, session.console.colour));
}

int part_of_status(Session& session, const Arguments& arguments, Json (*json)(const pb::Status&),
                   Render<pb::Status> render) {
    const auto status = ask<pb::Status>(session, [](Client& client) { return client.status(); });
    if (!status) return report(session.console, status.error());
    show_part(session, arguments, *status, json, render);
    return 0;
}

Json leader_json(const pb::Status& status) {
    return {{"schema", "kagami.leader/1"},
            {"leader", status.leader()},
            {"epoch", status.epoch()},
            {"quorum", status.quorum()},
            {"answering_node", status.answering_node()}};
}

Json failover_json(const pb::Status& status) {
    Json json = {{"schema", "kagami.failover-status/1"},
                 {"state", status.failover().state()},
                 {"why", status.failover().why()},
                 {"groups", Json::array()}};
    for (const pb::Group& group : status.groups()) {
        json["groups"].push_back({{"name", group.name()},
                                  {"failover", group.failover()},
                                  {"failback", group.failback()},
                                  {"current_node", group.current_node()},
                                  {"previous_node", group.previous_node()},
                                  {"failovers", group.failovers()}});
    }
    return json;
}

Json ratio_json(const pb::Status& status) {
    const bool set = status.has_timeout_ratio();
    return {{"schema", "kagami.timeout-ratio/1"},
            {"ratio", set ? status.timeout_ratio().ratio() : 1},
            {"left_ms", set ? status.timeout_ratio().left_ms() : 0}};
}

bool found_something(const pb::DoctorAnswer& answer) {
    return std::any_of(answer.findings().begin(), answer.findings().end(), [](const pb::Finding& finding) {
        return finding.severity() == "ERROR" || finding.severity() == "WARN";
    });
}

}  // namespace

int run_leader(Session& session, const Arguments& arguments) {
    const auto status = ask<pb::Status>(session, [](Client& client) { return client.status(); });
    if (!status) return report(session.console, status.error());
    show_part(session, arguments, *status, leader_json, render_leader);
    return status->leader().empty() ? static_cast<int>(ErrorCode::kNoQuorum) : 0;
}
int run_failover_status(Session& session, const Arguments& arguments) {
    return part_of_status(session, arguments, failover_json, render_failover);
}
int run_ratio_show(Session& session, const Arguments& arguments) {
    return part_of_status(session, arguments, ratio_json, render_ratio);
}

int run_statistics(Session& session, const Arguments& arguments) {
    return read_and_print<pb::Statistics>(
        session, arguments, "statistics", [](Client& client) { return client.statistics(); }, render_statistics);
}

int run_doctor(Session& session, const Arguments& arguments) {
    const auto answer = ask<pb::DoctorAnswer>(session, [](Client& client) { return client.doctor(); });
    if (!answer) {
        print(session, arguments, "doctor", look_without_daemon(session), render_doctor);
        return report(session.console, answer.error());
    }
    print(session, arguments, "doctor", *answer, render_doctor);
    return found_something(*answer) ? static_cast<int>(ErrorCode::kDegraded) : 0;
}

int run_simulate(Session& session, const Arguments& arguments) {
    const auto answer = arguments.has("status") ? simulate_saved(session, arguments.text("status"),
                                                                 arguments.text("config"), arguments.positional)
                                                : ask<pb::SimulateAnswer>(session, [&](Client& client) {
                                                      pb::SimulateRequest request;
                                                      request.set_what(arguments.positional);
                                                      return client.simulate(request);
                                                  });
    if (!answer) return report(session.console, answer.error());
    print(session, arguments, "simulate", *answer, render_simulate);
    return 0;
}

}  // namespace kagami::cli
