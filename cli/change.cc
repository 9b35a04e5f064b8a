#include "cli/change.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

#include "cli/render.h"

namespace kagami::cli {
namespace {

// For the audit record: who typed it, also behind sudo.
std::string person() {
    const char* behind_sudo = std::getenv("SUDO_USER");
    if (behind_sudo != nullptr && *behind_sudo != '\0') return behind_sudo;
    const passwd* entry = ::getpwuid(::getuid());
    return entry != nullptr ? entry->pw_name : "uid " + std::to_string(::getuid());
}

// True when it may go on. The daemon's dry run tells more than the sentence, and refuses what cannot be done before
// anybody is asked; where it cannot try a command dry (kUsage), the sentence has to do.
Result<bool> ask_person(Session& session, Client& client, pb::ChangeOptions options, const std::string& consequence,
                        const Call& call, const std::string& name) {
    options.set_dry_run(true);
    options.set_wait(false);
    std::string shown;
    const Status status =
        call(client, options, [&](const pb::Progress& each) { shown += render_progress(each, false); });
    if (!status && status.error().code != ErrorCode::kUsage) return tl::unexpected(status.error());
    session.console.err << (status ? shown : consequence + "\n");
    return name.empty() ? confirm(session.console, "Go on?") : confirm_by_name(session.console, "", name);
}

// --yes with another name than the one that is about to be overwritten.
Status check_name(const Arguments& arguments, const std::string& name) {
    if (name.empty() || !arguments.has("yes") || arguments.text("yes") == name) return {};
    return fail(ErrorCode::kUsage, "--yes: \"" + arguments.text("yes") + "\" is not \"" + name + "\"",
                "nothing was done; give the name of what is to be overwritten");
}

Error no_terminal(const Console& console, const std::string& consequence, const std::string& name) {
    return name.empty() ? confirm(console, consequence).error() : confirm_by_name(console, consequence, name).error();
}

}  // namespace

pb::ChangeOptions change_options(const Arguments& arguments) {
    pb::ChangeOptions options;
    options.set_dry_run(arguments.has("dry-run"));
    options.set_wait(arguments.has("wait"));
    options.set_force(arguments.has("force"));
    options.set_timeout_ms(static_cast<uint32_t>(milliseconds(arguments.duration("timeout", Duration(0)))));
    options.set_person(person());
    return options;
}

Result<bool> agreed(const Session& session, const Arguments& arguments, const std::string& consequence,
                    const std::string& name) {
    if (const Status named = check_name(arguments, name); !named) return tl::unexpected(named.error());
    if (arguments.has("yes")) return true;
    return name.empty() ? confirm(session.console, consequence) : confirm_by_name(session.console, consequence, name);
}

int make_change(Session& session, const Arguments& arguments, const std::string& consequence, const Call& call,
                const std::string& name) {
    const Console& console = session.console;
    if (const Status named = check_name(arguments, name); !named) return report(console, named.error());
    const pb::ChangeOptions options = change_options(arguments);
    const bool question = !consequence.empty() && !options.dry_run() && !arguments.has("yes");
    if (question && !console.terminal_in) return report(console, no_terminal(console, consequence, name));
    const auto client = Client::connect(session.places.socket);
    if (!client) return report(console, client.error());
    if (question) {
        const auto answer = ask_person(session, **client, options, consequence, call, name);
        if (!answer) return report(console, answer.error());
        if (!*answer) {
            console.err << "Nothing was changed.\n";
            return static_cast<int>(ErrorCode::kFailed);
        }
    }
    const auto show = [&](const pb::Progress& progress) {
        console.err << render_progress(progress, false) << std::flush;
    };
    const Status status = call(**client, options, show);
    return status ? 0 : report(console, status.error());
}

}  // namespace kagami::cli
