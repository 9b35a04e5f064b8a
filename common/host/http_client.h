// HTTP and HTTPS by libcurl, each request with a connection of its own. Thread-safe. Bounded in everything: time by the
// deadline (the look-up of a name included: its thread is left behind), a body by kMaxBodyBytes, after which the status
// counts and the rest is not fetched.
#pragma once

#include "common/host/host.h"

namespace kagami::host {

constexpr size_t kMaxBodyBytes = size_t{4} << 20U;

class HttpClient : public Http {
 public:
    // kTimedOut: no answer until the deadline. kUnreachable: no connection. kRefused: the certificate. kUsage: not a
    // URL.
    Result<int> ask(const HttpRequest& request, Instant deadline) override;
};

}  // namespace kagami::host
