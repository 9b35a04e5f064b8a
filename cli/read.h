// How every reading command is made: ask the daemon, print the answer as JSON with its schema or through its renderer.
#pragma once

#include <functional>
#include <string>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/json.h"

namespace kagami::cli {

template <typename Answer>
using Render = std::string (*)(const Answer& answer, bool colour);

template <typename Answer>
Result<Answer> ask(const Session& session, const std::function<Result<Answer>(Client&)>& read) {
    const auto client = Client::connect(session.places.socket);
    if (!client) return tl::unexpected(client.error());
    return read(**client);
}

template <typename Answer>
void print(const Session& session, const Arguments& arguments, const std::string& name, const Answer& answer,
           Render<Answer> render) {
    session.console.out << (arguments.has("json") ? json_document(name, answer)
                                                  : render(answer, session.console.colour));
}

template <typename Answer>
int read_and_print(Session& session, const Arguments& arguments, const std::string& name,
                   const std::function<Result<Answer>(Client&)>& read, Render<Answer> render) {
    const Result<Answer> answer = ask<Answer>(session, read);
    if (!answer) return report(session.console, answer.error());
    print(session, arguments, name, *answer, render);
    return 0;
}

}  // namespace kagami::cli
