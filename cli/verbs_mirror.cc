#include <algorithm>
#include <chrono>
#include <thread>

#include "cli/change.h"
#include "cli/json.h"
#include "cli/render.h"
#include "cli/verbs.h"
#include "common/config/nearest.h"

namespace kagami::cli {
namespace {

using namespace std::chrono_literals;

constexpr const char* kClearScreen = "\033[H\033[2J";

Error unknown_mirror(const pb::Status& status, const std::string& name) {
    std::vector<std::string_view> names;
    for (const pb::Mirror& mirror : status.mirrors()) names.push_back(mirror.name());
    return {ErrorCode::kNotFound, "there is no mirror \"" + name + "\"",
            names.empty() ? "none is configured" : config::nearest(name, names, "mirrors")};
}

Result<pb::Mirrors> chosen(const pb::Status& status, const std::string& name) {
    pb::Mirrors mirrors;
    mirrors.set_answering_node(status.answering_node());
    for (const pb::Mirror& mirror : status.mirrors()) {
        if (name.empty() || mirror.name() == name) *mirrors.add_mirrors() = mirror;
    }
    if (mirrors.mirrors().empty() && !name.empty()) return tl::unexpected(unknown_mirror(status, name));
    return mirrors;
}

void show(const Session& session, const Arguments& arguments, const pb::Mirrors& mirrors, bool one_line) {
    const Console& console = session.console;
    if (arguments.has("json")) {
        console.out << json_document("mirror-status", mirrors, one_line) << std::flush;
        return;
    }
    if (mirrors.mirrors().empty()) console.out << "No mirror disks are configured.\n";
    bool first = true;
    for (const pb::Mirror& mirror : mirrors.mirrors()) {
        console.out << (first ? "" : "\n") << render_mirror(mirror, mirrors.answering_node(), console.colour);
        first = false;
    }
    console.out << std::flush;
}

// As `status --watch`: a screen is redrawn and waits for a daemon that restarts; else one answer follows the other.
int watch(Session& session, const Arguments& arguments) {
    const bool screen = session.console.terminal_out && !arguments.has("json");
    while (true) {
        const auto client = Client::connect(session.places.socket);
        Status unknown;
        const Status status = client ? (*client)->watch([&](const pb::Status& now) {
            const auto mirrors = chosen(now, arguments.positional);
            if (!mirrors) unknown = tl::unexpected(mirrors.error());
            if (!mirrors) return;
            if (screen) session.console.out << kClearScreen;
            show(session, arguments, *mirrors, true);
            if (!screen && !arguments.has("json")) session.console.out << "\n" << std::flush;
        })
                                     : tl::unexpected(client.error());
        const Error ended{ErrorCode::kUnreachable, "the cluster daemon ended the answer", ""};
        if (!screen && !unknown) return report(session.console, unknown.error());
        if (!screen) return report(session.console, status ? ended : status.error());
        const std::string why = !unknown ? unknown.error().message : (status ? ended : status.error()).message;
        session.console.out << paint(session.console.colour, Tone::kBad, "STALE: " + why) << '\n' << std::flush;
        std::this_thread::sleep_for(1s);
    }
}

pb::MirrorRequest request_for(const Arguments& arguments) {
    pb::MirrorRequest request;
    request.set_mirror(arguments.positional);
    return request;
}

}  // namespace

int run_mirror_status(Session& session, const Arguments& arguments) {
    if (arguments.has("watch")) return watch(session, arguments);
    const auto client = Client::connect(session.places.socket);
    if (!client) return report(session.console, client.error());
    const auto status = (*client)->status();
    if (!status) return report(session.console, status.error());
    const auto mirrors = chosen(*status, arguments.positional);
    if (!mirrors) return report(session.console, mirrors.error());
    show(session, arguments, *mirrors, false);
    return 0;
}

int run_mirror_resync(Session& session, const Arguments& arguments) {
    pb::MirrorRequest request = request_for(arguments);
    request.set_full(arguments.has("full"));
    const std::string& name = arguments.positional;
    const std::string consequence =
        request.full() ? "Every block of mirror " + name + " is copied over the copies that are not current." : "";
    return make_order(session, arguments, consequence, &Client::mirror_resync, request, request.full() ? name : "");
}

int run_mirror_force(Session& session, const Arguments& arguments) {
    pb::MirrorRequest request = request_for(arguments);
    request.set_node(arguments.text("node"));
    if (request.node().empty()) {
        return report(session.console, {ErrorCode::kUsage, "mirror force: --node NODE is required",
                                        "name the node whose copy is the latest: kagami mirror status " +
                                            arguments.positional + " shows them"});
    }
    const std::string& name = arguments.positional;
    return make_order(session, arguments,
                      "The copy of " + request.node() + " becomes the latest of mirror " + name +
                          ", and every other copy is overwritten with it. What it has not is lost.",
                      &Client::mirror_force, request, name);
}

int run_mirror_cancel(Session& session, const Arguments& arguments) {
    return make_order(session, arguments, "", &Client::mirror_cancel, request_for(arguments));
}

int run_mirror_break(Session& session, const Arguments& arguments) {
    return make_order(session, arguments,
                      "Mirror " + arguments.positional +
                          " replicates no more: one copy alone is up to date until it is joined again and copied.",
                      &Client::mirror_break, request_for(arguments));
}

int run_mirror_rejoin(Session& session, const Arguments& arguments) {
    return make_order(session, arguments, "", &Client::mirror_rejoin, request_for(arguments));
}

}  // namespace kagami::cli
