// How every change is made: options filled in, the question asked where the command destroys, progress shown, refusal
// reported.
#pragma once

#include <functional>

#include "cli/client.h"
#include "cli/command.h"

namespace kagami::cli {

using Call = std::function<Status(Client& client, const pb::ChangeOptions& options, const Client::Show& show)>;

// `consequence`: what the command destroys, in a sentence; the person is asked before it is done. Empty: nobody is
// asked.
int make_change(Session& session, const Arguments& arguments, const std::string& consequence, const Call& call);

pb::ChangeOptions change_options(const Arguments& arguments);

}  // namespace kagami::cli
