#include "cluster-daemon/runtime/alerts/texts.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <openssl/evp.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <span>

#include "common/hash.h"
#include "common/text.h"

namespace kagami::runtime::alerts {
namespace {

constexpr int kJsonVersion = 1;
constexpr size_t kSubjectLimitBytes = 200;
constexpr size_t kEncodedWordBytes = 42;  // RFC 2047: an encoded word has 75 characters at most
constexpr size_t kBase64LineBytes = 57;   // 76 characters

std::tm utc(int64_t unix_ms) {
    return fmt::gmtime(static_cast<std::time_t>(unix_ms / 1000));
}

std::string base64(std::string_view text) {
    std::string out(4 * ((text.size() + 2) / 3) + 1, '\0');  // OpenSSL ends it with a zero
    const auto* from = reinterpret_cast<const unsigned char*>(text.data());
    const int length =
        EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), from, static_cast<int>(text.size()));
    out.resize(static_cast<size_t>(length));
    return out;
}

bool is_ascii(std::string_view text) {
    for (const char c : text)
        if (static_cast<unsigned char>(c) >= 0x7f) return false;
    return true;
}

// One line of valid UTF-8 as a header's value.
std::string header_text(std::string_view text) {
    if (is_ascii(text)) return std::string(text);
    std::string out;
    while (!text.empty()) {
        const std::string_view part = utf8_prefix(text, kEncodedWordBytes);
        out += (out.empty() ? "=?UTF-8?B?" : "\r\n =?UTF-8?B?") + base64(part) + "?=";
        text.remove_prefix(part.size());
    }
    return out;
}

std::string base64_lines(std::string_view text) {
    std::string out;
    for (; !text.empty(); text.remove_prefix(std::min(text.size(), kBase64LineBytes)))
        out += base64(text.substr(0, kBase64LineBytes)) + "\r\n";
    return out;
}

const char* shouted(config::AlertLevel level) {
    switch (level) {
        case config::AlertLevel::kInfo: return "INFO";
        case config::AlertLevel::kWarning: return "WARNING";
        case config::AlertLevel::kError: return "ERROR";
    }
    return "";
}

std::string mail_body(const Alert& alert, const Origin& origin) {
    std::string body = alert.sentence + "\r\n\r\n";
    body += fmt::format("Message  {} {} ({})\r\n", alert.code, alert.name, config::word(alert.level));
    body += fmt::format("Object   {}\r\n", alert.subject);
    body += fmt::format("Said by  {}, cluster {}\r\n", origin.node, origin.cluster);
    body += fmt::format("Time     {:%Y-%m-%d %H:%M:%S} UTC\r\n", utc(alert.unix_ms));
    if (!alert.remedy.empty()) body += fmt::format("\r\nWhat to do: {}\r\n", alert.remedy);
    return body;
}

}  // namespace

std::string line_of(const Alert& alert) {
    return fmt::format("{} {}: {}", alert.code, alert.subject, alert.sentence);
}

std::string mail_of(const Alert& alert, const Origin& origin, const config::MailAlerts& mail, const std::string& id) {
    const std::string subject =
        fmt::format("{}{}{} {}: {}", mail.subject_prefix, mail.subject_prefix.empty() ? "" : " ", shouted(alert.level),
                    alert.subject, alert.sentence);
    std::string to;
    for (const std::string& receiver : mail.to) to += (to.empty() ? "" : ",\r\n ") + receiver;
    // %a and %b would be of the locale; the daemon never sets one.
    return fmt::format("Date: {:%a, %d %b %Y %H:%M:%S} +0000\r\n", utc(alert.unix_ms)) + "From: " + mail.from +
           "\r\nTo: " + to + "\r\nSubject: " + header_text(utf8_prefix(subject, kSubjectLimitBytes)) +
           fmt::format("\r\nMessage-ID: <{}@kagami>\r\n", id) + "Auto-Submitted: auto-generated\r\n" +
           fmt::format("X-Kagami-Message: {}\r\nX-Kagami-Level: {}\r\n", alert.code, config::word(alert.level)) +
           "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
           base64_lines(mail_body(alert, origin));
}

std::string json_of(const Alert& alert, const Origin& origin, const std::string& id) {
    const nlohmann::ordered_json json = {
        {"version", kJsonVersion},
        {"id", id},
        {"time", fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", utc(alert.unix_ms), alert.unix_ms % 1000)},
        {"cluster", origin.cluster},
        {"node", origin.node},
        {"level", config::word(alert.level)},
        {"message", alert.code},
        {"name", alert.name},
        {"object", alert.subject},
        {"text", alert.sentence},
        {"remedy", alert.remedy},
    };
    return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string signature_of(const std::string& body, const std::string& secret) {
    const auto bytes = [](const std::string& text) {
        return std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size());
    };
    const Hash hash = hmac_sha256(bytes(secret), bytes(body));
    return "sha256=" + to_hex(hash.data(), hash.size());
}

}  // namespace kagami::runtime::alerts
