// clpmdstat, clpmdctrl and clpmdinit: the mirror commands of EXPRESSCLUSTER, as far as its scripts use them
// (expresscluster.md 5.3, 5.4). Long options are understood with one dash as well, as older versions wrote them. They do
// what `kagami mirror` does, and ask "y" where that asks for the name; the answer may be piped in, as scripts do.
#include <algorithm>

#include "cli/change.h"
#include "cli/client.h"
#include "cli/render.h"
#include "cli/render_clpmd.h"
#include "cli/verbs_metadata.h"

namespace kagami::cli {
namespace {

constexpr const char* kStatUsage =
    "Usage: clpmdstat --list | -l\n"
    "       clpmdstat { --mirror | -m | --active | -a | --connect | -c | --detail | -d } MD\n\n"
    "The state of mirror disks. See also: kagami mirror status\n";
constexpr const char* kControlUsage =
    "Usage: clpmdctrl { --recovery | -r } [SERVER] MD   bring the other copy up to date\n"
    "       clpmdctrl { --force | -f } [SERVER] MD      declare the copy of SERVER, or of this server, the latest\n"
    "       clpmdctrl { --cancel | -c } MD              stop the recovery under way\n"
    "       clpmdctrl { --break | -b } MD               stop the mirroring\n\n"
    "See also: kagami mirror\n";
constexpr const char* kInitUsage =
    "Usage: clpmdinit --create { normal | quick | force } MD\n\n"
    "  normal  a new disk: refused when there are data or metadata on it\n"
    "  quick   new metadata only; what is on the data partition stays\n"
    "  force   new metadata, whatever was there\n\n"
    "See also: kagami mirror init\n";

// "--mirror" for "-mirror", "--mirror" and "-m"; the argument itself when it is none of them.
std::string option_of(const std::string& argument, const std::vector<std::string>& longs) {
    if (!argument.starts_with('-')) return argument;
    const std::string word = argument.substr(argument.starts_with("--") ? 2 : 1);
    for (const std::string& name : longs) {
        if (word == name || (word.size() == 1 && !argument.starts_with("--") && word[0] == name[0])) return "--" + name;
    }
    return argument;
}

bool asks_for_help(const std::vector<std::string>& arguments) {
    return std::any_of(arguments.begin(), arguments.end(),
                       [](const std::string& a) { return a == "--help" || a == "-h"; });
}

int usage(const Session& session, const std::string& message, const char* text) {
    session.console.err << "kagami: " << message << '\n' << text;
    return static_cast<int>(ErrorCode::kUsage);
}

Result<pb::Status> status_of(const Session& session) {
    const auto client = Client::connect(session.places.socket);
    if (!client) return tl::unexpected(client.error());
    return (*client)->status();
}

Result<const pb::Mirror*> find(const pb::Status& status, const std::string& name) {
    for (const pb::Mirror& mirror : status.mirrors()) {
        if (mirror.name() == name) return &mirror;
    }
    return fail(ErrorCode::kNotFound, "there is no mirror \"" + name + "\"", "clpmdstat --list names them");
}

bool yes(const Session& session, const std::string& consequence) {
    session.console.err << consequence << "\nDo you want to continue? (y/n) " << std::flush;
    std::string answer;
    std::getline(session.console.in, answer);
    if (answer == "y" || answer == "Y") return true;
    session.console.err << "Nothing was changed.\n";
    return false;
}

// ---- clpmdctrl ----

using Order = Status (Client::*)(const pb::MirrorRequest&, const Client::Show&);

int send(const Session& session, const std::string& mirror, const std::string& node, Order order) {
    const auto client = Client::connect(session.places.socket);
    if (!client) return report(session.console, client.error());
    pb::MirrorRequest request;
    request.set_mirror(mirror);
    request.set_node(node);
    *request.mutable_options() = change_options({});
    const Status done = ((**client).*order)(request, [&](const pb::Progress& progress) {
        session.console.err << render_progress(progress, false) << std::flush;
    });
    return done ? 0 : report(session.console, done.error());
}

int force(const Session& session, const std::string& mirror, std::string node) {
    const auto status = status_of(session);
    if (!status) return report(session.console, status.error());
    if (const auto known = find(*status, mirror); !known) return report(session.console, known.error());
    if (node.empty()) node = status->answering_node();
    const bool agreed = yes(session, "The copy of " + node + " becomes the latest of mirror " + mirror +
                                         ", and every other copy is overwritten with it. What it has not is lost.");
    return agreed ? send(session, mirror, node, &Client::mirror_force) : static_cast<int>(ErrorCode::kFailed);
}

// With a server: only from a current copy, which is what would be copied from anyway.
int recover(const Session& session, const std::string& mirror, const std::string& node) {
    if (node.empty()) return send(session, mirror, "", &Client::mirror_resync);
    const auto status = status_of(session);
    if (!status) return report(session.console, status.error());
    const auto known = find(*status, mirror);
    if (!known) return report(session.console, known.error());
    for (const pb::MirrorCopy& copy : (*known)->copies()) {
        if (copy.node() != node) continue;
        if (copy.standing() == "current") return send(session, mirror, "", &Client::mirror_resync);
        return report(session.console,
                      {ErrorCode::kRefused, "the copy of " + node + " is " + copy.standing() + ": nothing is copied from it",
                       "to declare it the latest all the same: clpmdctrl --force " + node + " " + mirror});
    }
    return report(session.console, {ErrorCode::kNotFound, "server " + node + " has no copy of mirror " + mirror,
                                    "clpmdstat --mirror " + mirror + " names the servers"});
}

}  // namespace

int run_clpmdstat(Session& session, const std::vector<std::string>& arguments) {
    if (asks_for_help(arguments)) return session.console.out << kStatUsage, 0;
    if (arguments.empty()) return usage(session, "clpmdstat: no option is given", kStatUsage);
    const std::string option = option_of(arguments[0], {"list", "mirror", "active", "connect", "detail"});
    const bool list = option == "--list";
    if (arguments.size() != (list ? 1U : 2U)) return usage(session, "clpmdstat: name one mirror disk", kStatUsage);
    std::string (*render)(const pb::Mirror&, const std::string&) = option == "--mirror"    ? render_clpmdstat_mirror
                                                                   : option == "--active"  ? render_clpmdstat_active
                                                                   : option == "--connect" ? render_clpmdstat_connect
                                                                   : option == "--detail"  ? render_clpmdstat_detail
                                                                                           : nullptr;
    if (!list && render == nullptr) return usage(session, "clpmdstat: unknown option " + arguments[0], kStatUsage);
    const auto status = status_of(session);
    if (!status) return report(session.console, status.error());
    if (list) return session.console.out << render_clpmdstat_list(*status), 0;
    const auto mirror = find(*status, arguments[1]);
    if (!mirror) return report(session.console, mirror.error());
    session.console.out << render(**mirror, status->answering_node());
    return 0;
}

int run_clpmdctrl(Session& session, const std::vector<std::string>& arguments) {
    if (asks_for_help(arguments)) return session.console.out << kControlUsage, 0;
    if (arguments.empty()) return usage(session, "clpmdctrl: no option is given", kControlUsage);
    const std::string option = option_of(arguments[0], {"recovery", "force", "cancel", "break"});
    const bool from_server = option == "--force" || option == "--recovery";
    if (!from_server && option != "--cancel" && option != "--break") {
        return usage(session, "clpmdctrl: unknown option " + arguments[0], kControlUsage);
    }
    if (arguments.size() < 2 || arguments.size() > (from_server ? 3U : 2U)) {
        return usage(session, "clpmdctrl: name one mirror disk", kControlUsage);
    }
    const std::string& mirror = arguments.back();
    const std::string server = arguments.size() == 3 ? arguments[1] : "";
    if (option == "--force") return force(session, mirror, server);
    if (option == "--recovery") return recover(session, mirror, server);
    return send(session, mirror, "", option == "--cancel" ? &Client::mirror_cancel : &Client::mirror_break);
}

int run_clpmdinit(Session& session, const std::vector<std::string>& arguments) {
    if (asks_for_help(arguments)) return session.console.out << kInitUsage, 0;
    const bool create = !arguments.empty() && option_of(arguments[0], {"create"}) == "--create";
    if (!create || arguments.size() != 3) return usage(session, "clpmdinit: --create, how, and one mirror disk", kInitUsage);
    const std::string& how = arguments[1];
    if (how != "normal" && how != "quick" && how != "force") {
        return usage(session, "clpmdinit: \"" + how + "\" is not one of normal, quick, force", kInitUsage);
    }
    const auto on_data = how == "normal" ? mirror::InitData::kBlank : mirror::InitData::kUse;
    return initialise_mirror(session, arguments[2], on_data, how != "normal", [&](const std::string& consequence) {
        return Result<bool>(yes(session, consequence));
    });
}

}  // namespace kagami::cli
