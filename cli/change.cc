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

// True when it may go on. Shows what the daemon says would happen.
Result<bool> ask_person(Session& session, Client& client, pb::ChangeOptions options, const Call& call) {
    if (!session.console.terminal_in) return confirm(session.console, "this interrupts services");
    options.set_dry_run(true);
    options.set_wait(false);
    const auto show = [&](const pb::Progress& progress) { session.console.err << render_progress(progress, false); };
    if (const Status status = call(client, options, show); !status) return tl::unexpected(status.error());
    return confirm(session.console, "Go on?");
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

int make_change(Session& session, const Arguments& arguments, bool ask, const Call& call) {
    const Console& console = session.console;
    const pb::ChangeOptions options = change_options(arguments);
    const bool question = ask && !options.dry_run() && !arguments.has("yes");
    if (question && !console.terminal_in) return report(console, confirm(console, "this interrupts services").error());
    const auto client = Client::connect(session.places.socket);
    if (!client) return report(console, client.error());
    if (question) {
        const auto answer = ask_person(session, **client, options, call);
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
