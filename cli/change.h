// How every change is made: options filled in, the question asked where the command destroys, progress shown, refusal
// reported.
#pragma once

#include <functional>

#include "cli/client.h"
#include "cli/command.h"

namespace kagami::cli {

using Call = std::function<Status(Client& client, const pb::ChangeOptions& options, const Client::Show& show)>;

// `consequence`: what the command destroys, in a sentence; the person is asked before it is done. Empty: nobody is
// asked. `name`: must be typed, or given with --yes; empty: a yes is enough.
int make_change(Session& session, const Arguments& arguments, const std::string& consequence, const Call& call,
                const std::string& name = "");

// The same for a call that takes one request with `options` in it.
template <typename Request>
int make_order(Session& session, const Arguments& arguments, const std::string& consequence,
               Status (Client::*order)(const Request&, const Client::Show&), Request request,
               const std::string& name = "") {
    const Call call = [&](Client& client, const pb::ChangeOptions& options, const Client::Show& show) {
        *request.mutable_options() = options;
        return (client.*order)(request, show);
    };
    return make_change(session, arguments, consequence, call, name);
}

// Whether a person has agreed: by --yes (with the right name, where one is to be typed), or by an answer to the
// question.
Result<bool> agreed(const Session& session, const Arguments& arguments, const std::string& consequence,
                    const std::string& name);

pb::ChangeOptions change_options(const Arguments& arguments);

}  // namespace kagami::cli
