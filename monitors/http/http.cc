#include "monitors/http/http.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "common/files.h"
#include "common/host/ip_address.h"
#include "monitors/words.h"

namespace kagami::monitors {
namespace {

using config::ParameterKind;

constexpr size_t kMaxPasswordBytes = 1024;

bool word_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_';
}

Status check_server(std::string_view text) {
    const bool name = !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), word_character);
    if (name || host::parse_ip(text)) return {};
    return fail(ErrorCode::kUsage, "is neither a host name nor an IP address",
                "write it without scheme, port and path: server = \"web.example.com\"");
}

Status check_uri(std::string_view text) {
    const bool printable = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 127; });
    if (text.starts_with('/') && printable) return {};
    return fail(ErrorCode::kUsage, "is not a path of a URL",
                "begin with /, and write other characters as %XX: \"/health?full=1\"");
}

Status check_method(std::string_view text) {
    return one_of(text, "HEAD", "GET");
}

struct Range {
    int first = 0;
    int last = 0;
};

std::optional<Range> parse_range(std::string_view text) {
    Range range;
    const size_t dash = text.find('-');
    const std::string_view first = text.substr(0, dash);
    const std::string_view last = dash == std::string_view::npos ? first : text.substr(dash + 1);
    const auto number = [](std::string_view part, int& value) {
        const auto parsed = std::from_chars(part.data(), part.data() + part.size(), value);
        return part.size() == 3 && parsed.ec == std::errc{} && parsed.ptr == part.data() + part.size() && value >= 100;
    };
    if (!number(first, range.first) || !number(last, range.last) || range.first > range.last) return std::nullopt;
    return range;
}

Status check_expected(std::string_view text) {
    if (parse_range(text)) return {};
    return fail(ErrorCode::kUsage, "is not a status of HTTP or a range of them",
                "write expect = [\"200\", \"300-399\"]");
}

constexpr std::array<config::Parameter, 10> kParameters = {{
    {"server", ParameterKind::kString, false, "127.0.0.1", 0, 0, "Name or IP address of the server.", check_server},
    {"port", ParameterKind::kInteger, false, "", 1, 65535, "Its port; default: 80, of https 443."},
    {"uri", ParameterKind::kString, false, "/", 0, 0, "What is asked for, from the first / on.", check_uri},
    {"https", ParameterKind::kBoolean, false, "false", 0, 0, "Whether it is asked over TLS."},
    {"method", ParameterKind::kString, false, "HEAD", 0, 0, "\"HEAD\" or \"GET\".", check_method},
    {"expect", ParameterKind::kStringList, false, "200-399", 0, 0, "Statuses and ranges of them that are normal.",
     check_expected},
    {"verify", ParameterKind::kBoolean, false, "true", 0, 0, "Whether certificate and name must be trusted (https)."},
    {"ca_file", ParameterKind::kPath, false, "", 0, 0,
     "Certificates of the authorities that are trusted; default: the system's."},
    {"user", ParameterKind::kString, false, "", 0, 0, "Name of a user, for basic authentication."},
    {"password_file", ParameterKind::kPath, false, "", 0, 0,
     "File whose first line is that user's password, readable by root only; on every node."},
}};

std::string url_of(const config::Values& values) {
    const std::string& server = values.text("server");
    const bool v6 = server.find(':') != std::string::npos;
    std::string url = values.boolean("https") ? "https://" : "http://";
    url += v6 ? "[" + server + "]" : server;
    if (values.has("port")) url += ":" + values.text("port");
    return url + values.text("uri");
}

Result<host::HttpRequest> request_for(const config::Values& values) {
    host::HttpRequest request;
    request.url = url_of(values);
    request.head = values.text("method") == "HEAD";
    request.verify = values.boolean("verify");
    request.ca_file = values.text("ca_file");
    request.user = values.text("user");
    if (!values.has("password_file")) return request;
    auto password = read_file(values.text("password_file"), kMaxPasswordBytes, FileAccess::kOwnerOnly);
    if (!password) return tl::unexpected(password.error());
    request.password = password->substr(0, password->find('\n'));
    return request;
}

class HttpMonitor : public Monitor {
 public:
    explicit HttpMonitor(host::Host& host) : host_(host) {}

    Result<Finding> check(const Context& context) override {
        const auto request = request_for(context.values);
        if (!request) return tl::unexpected(request.error());
        const auto status = host_.http->ask(*request, context.deadline);
        if (!status) return tl::unexpected(status.error());
        const auto& expected = context.values.list("expect");
        const bool good = std::any_of(expected.begin(), expected.end(), [&](const std::string& text) {
            const auto range = parse_range(text);
            return range && *status >= range->first && *status <= range->last;
        });
        if (good) return Finding{Health::kNormal, fmt::format("{} answers {}", request->url, *status)};
        std::string wanted;
        for (const std::string& text : expected) wanted += (wanted.empty() ? "" : ", ") + text;
        return Finding{Health::kError, fmt::format("{} answers {}, expected is {}; look into the log of the web server",
                                                   request->url, *status, wanted)};
    }

 private:
    host::Host& host_;
};

}  // namespace

const config::TypeDescription& http_description() {
    static const config::TypeDescription description = {
        "httpw", "Asks a web server, and looks at the status of its answer.", kParameters, {}};
    return description;
}

std::unique_ptr<Monitor> make_http(host::Host& host) {
    return std::make_unique<HttpMonitor>(host);
}

}  // namespace kagami::monitors
