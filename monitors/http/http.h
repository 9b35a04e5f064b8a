// httpw: does a web server answer with a status that is expected? One request for each check, HEAD or GET, over HTTP or
// HTTPS; redirections count as the answer that they are. Without an answer until the time-out the check has timed out;
// no connection, a certificate that is not trusted and an unexpected status are errors.
#pragma once

#include <memory>

#include "monitors/monitor.h"

namespace kagami::monitors {

const config::TypeDescription& http_description();
std::unique_ptr<Monitor> make_http(host::Host& host);

}  // namespace kagami::monitors
