#include <chrono>
#include <thread>

#include "cli/read.h"
#include "cli/render.h"
#include "cli/verbs.h"

namespace kagami::cli {
namespace {

using namespace std::chrono_literals;

constexpr const char* kClearScreen = "\033[H\033[2J";

void show_status(const Session& session, const Arguments& arguments, const pb::Status& status, bool one_line) {
    const Console& console = session.console;
    if (arguments.has("json")) {
        console.out << json_document("status", status, one_line) << std::flush;
    } else {
        console.out << render_status(status, console.colour) << std::flush;
    }
}

// On a terminal the screen is redrawn, and a daemon that restarts is waited for; else one answer follows the other
// until it ends.
int watch_status(Session& session, const Arguments& arguments) {
    const bool screen = session.console.terminal_out && !arguments.has("json");
    while (true) {
        const auto client = Client::connect(session.places.socket);
        const Status status = client ? (*client)->watch([&](const pb::Status& now) {
            if (screen) session.console.out << kClearScreen;
            show_status(session, arguments, now, true);
            if (!screen && !arguments.has("json")) session.console.out << "\n" << std::flush;
        })
                                     : tl::unexpected(client.error());
        const Error error =
            status ? Error{ErrorCode::kUnreachable, "the cluster daemon ended the answer", ""} : status.error();
        if (!screen) return report(session.console, error);
        session.console.out << paint(session.console.colour, Tone::kBad, "STALE: " + error.message) << '\n'
                            << std::flush;
        std::this_thread::sleep_for(1s);
    }
}

int check_status(Session& session, const pb::Status& status) {
    const auto lines = shortcomings(status);
    for (const std::string& line : lines) session.console.err << line << '\n';
    return lines.empty() ? 0 : static_cast<int>(ErrorCode::kDegraded);
}

}  // namespace

int run_status(Session& session, const Arguments& arguments) {
    if (arguments.has("watch")) return watch_status(session, arguments);
    const auto client = Client::connect(session.places.socket);
    if (!client) return report(session.console, client.error());
    const auto status = (*client)->status();
    if (!status) return report(session.console, status.error());
    show_status(session, arguments, *status, false);
    return arguments.has("check") ? check_status(session, *status) : 0;
}

int run_paths(Session& session, const Arguments& arguments) {
    return read_and_print<pb::Paths>(
        session, arguments, "paths", [](Client& client) { return client.paths(); },
        arguments.has("matrix") ? render_matrix : render_paths);
}

int run_why(Session& session, const Arguments& arguments) {
    pb::WhyRequest request;
    request.set_subject(arguments.positional);
    request.set_limit(arguments.number("limit", 0));
    return read_and_print<pb::WhyAnswer>(
        session, arguments, "why", [&](Client& client) { return client.why(request); }, render_why);
}

int run_log(Session& session, const Arguments& arguments) {
    pb::LogRequest request;
    request.set_subject(arguments.positional);
    request.set_limit(arguments.number("limit", 0));
    request.set_minimum_level(arguments.text("level"));
    request.set_follow(arguments.has("follow"));
    if (arguments.has("since")) {
        const auto now = std::chrono::system_clock::now().time_since_epoch() - arguments.duration("since", Duration(0));
        request.set_since_unix_ms(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
    }
    const auto client = Client::connect(session.places.socket);
    if (!client) return report(session.console, client.error());
    const Status status = (*client)->log(request, [&](const pb::LogEntry& entry) {
        session.console.out << (arguments.has("json") ? json_document("log", entry, true)
                                                      : render_log(entry, session.console.colour))
                            << std::flush;
    });
    return status ? 0 : report(session.console, status.error());
}

int run_config_history(Session& session, const Arguments& arguments) {
    pb::ConfigHistoryRequest request;
    request.set_limit(arguments.number("limit", 0));
    return read_and_print<pb::ConfigHistoryAnswer>(
        session, arguments, "config-history", [&](Client& client) { return client.config_history(request); },
        render_history);
}

}  // namespace kagami::cli
