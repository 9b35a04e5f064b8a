// Operating failures as values. A message names the object; the remedy says what a person can do.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace kagami {

// The same list as the CLI's exit codes (docs/man), so that a refusal keeps its kind from the engine to the shell prompt.
enum class ErrorCode {
    kFailed = 1,        // the operation was tried and did not work
    kUsage = 2,         // the request itself is wrong (bad config, bad argument)
    kNotFound = 3,      // the named object does not exist
    kRefused = 4,       // a safety rule forbids it now
    kNoQuorum = 5,      // no majority
    kTimedOut = 6,
    kUnreachable = 7,   // daemon or node does not answer
    kDegraded = 8,
};

struct Error {
    ErrorCode code = ErrorCode::kFailed;
    std::string message;  // "group web: node2 refused the start: ..."
    std::string remedy;   // "repair ... and run ..."; empty when there is nothing to add

    bool operator==(const Error&) const = default;
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

[[nodiscard]] inline tl::unexpected<Error> fail(ErrorCode code, std::string message, std::string remedy = {}) {
    return tl::unexpected<Error>(Error{code, std::move(message), std::move(remedy)});
}
[[nodiscard]] inline tl::unexpected<Error> fail(std::string message, std::string remedy = {}) {
    return fail(ErrorCode::kFailed, std::move(message), std::move(remedy));
}

}  // namespace kagami
