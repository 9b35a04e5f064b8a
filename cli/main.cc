#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string_view>

#include "cli/clp.h"
#include "cli/command.h"
#include "cli/types.h"

namespace {

int run_as(std::string_view name, kagami::cli::Session& session, const std::vector<std::string>& arguments) {
    if (name == "clpstat") return run_clpstat(session, arguments);
    if (name == "clpmdstat") return run_clpmdstat(session, arguments);
    if (name == "clpmdctrl") return run_clpmdctrl(session, arguments);
    if (name == "clpmdinit") return run_clpmdinit(session, arguments);
    if (const std::optional<int> code = run_clp(name, session, arguments); code) return *code;
    return run(session, arguments);
}

bool colour_wanted() {
    const char* no_colour = std::getenv("NO_COLOR");
    const char* terminal = std::getenv("TERM");
    const bool dumb = terminal != nullptr && std::string_view(terminal) == "dumb";
    return ::isatty(STDOUT_FILENO) == 1 && (no_colour == nullptr || *no_colour == '\0') && !dumb;
}

}  // namespace

int main(int argc, char** argv) {
    ::setenv("GRPC_VERBOSITY", "NONE", 0);  // the library's own log lines are no messages for a person
    const kagami::config::TypeCatalogue types = kagami::cli::types_of_this_program();
    const bool terminal_in = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1;
    kagami::cli::Session session{
        {std::cout, std::cerr, std::cin, colour_wanted(), terminal_in, ::isatty(STDOUT_FILENO) == 1}, {}, types};
    const std::string_view path = argc > 0 ? argv[0] : "kagami";
    const std::string_view name = path.substr(path.rfind('/') + 1);
    const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
    const int code = run_as(name, session, arguments);
    std::cout.flush();
    if (!std::cout.good()) {
        std::cerr << "kagami: standard output cannot be written\n";
        return code == 0 ? 1 : code;
    }
    return code;
}
