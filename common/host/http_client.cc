#include "common/host/http_client.h"

#include <curl/curl.h>

#include <array>
#include <memory>
#include <mutex>

#include "common/host/boot_clock.h"

namespace kagami::host {
namespace {

using Handle = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;

// Drops the body; anything but `bytes` ends the transfer.
size_t drop(char*, size_t size, size_t count, void* seen) {
    auto& total = *static_cast<size_t*>(seen);
    total += size * count;
    return total > kMaxBodyBytes ? 0 : size * count;
}

void set_options(CURL* curl, const HttpRequest& request, long limit, char* message, size_t* body) {
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);  // cleaning up does not wait for the look-up of a name
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, message);
    curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, limit);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, limit);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOBODY, request.head ? 1L : 0L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "kagami/" KAGAMI_VERSION);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, request.verify ? 1L : 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, request.verify ? 2L : 0L);
    if (!request.ca_file.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, request.ca_file.c_str());
    if (request.user.empty()) return;
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(curl, CURLOPT_USERNAME, request.user.c_str());
    curl_easy_setopt(curl, CURLOPT_PASSWORD, request.password.c_str());
}

tl::unexpected<Error> failure(const HttpRequest& request, CURLcode code, const std::string& why) {
    const std::string message = request.url + ": " + why;
    switch (static_cast<int>(code)) {
        case CURLE_OPERATION_TIMEDOUT: return fail(ErrorCode::kTimedOut, message);
        case CURLE_COULDNT_CONNECT:
            return fail(ErrorCode::kUnreachable, message, "see whether the server runs and listens there");
        case CURLE_COULDNT_RESOLVE_HOST:
            return fail(ErrorCode::kUnreachable, message, "correct the name, or see to the name service of this node");
        case CURLE_URL_MALFORMAT:
        case CURLE_UNSUPPORTED_PROTOCOL: return fail(ErrorCode::kUsage, message, "correct server, port and uri");
        case CURLE_SSL_CACERT_BADFILE:
            return fail(ErrorCode::kUsage, message, "let ca_file name a file with the authority's certificate");
        case CURLE_PEER_FAILED_VERIFICATION:
            return fail(ErrorCode::kRefused, message, "name its authority (ca_file), or set verify = false");
        default: return fail(message);
    }
}

}  // namespace

Result<int> HttpClient::ask(const HttpRequest& request, Instant deadline) {
    const int64_t left = milliseconds(deadline - boot_now());
    if (left <= 0) return fail(ErrorCode::kTimedOut, request.url + ": no time was left to ask");
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    const Handle curl(curl_easy_init(), &curl_easy_cleanup);
    if (!curl) return fail(request.url + ": no memory for a request");
    std::array<char, CURL_ERROR_SIZE> message{};
    size_t body = 0;
    set_options(curl.get(), request, static_cast<long>(left), message.data(), &body);
    const CURLcode code = curl_easy_perform(curl.get());
    long status = 0;
    curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
    const bool enough = code == CURLE_WRITE_ERROR && body > kMaxBodyBytes;
    if (code == CURLE_OK || enough) return static_cast<int>(status);
    return failure(request, code, message[0] != '\0' ? message.data() : curl_easy_strerror(code));
}

}  // namespace kagami::host
