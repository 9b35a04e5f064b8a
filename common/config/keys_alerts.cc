#include "common/config/keys_alerts.h"

#include <algorithm>
#include <array>

namespace kagami::config {
namespace {

using K = KeyKind;

constexpr std::array<std::string_view, 3> kLevels = {"info", "warning", "error"};
constexpr std::array<std::string_view, 3> kTls = {"starttls", "tls", "none"};
constexpr std::array<std::string_view, 3> kChannels = {"syslog", "mail", "webhook"};
constexpr size_t kMaxAddress = 254;  // RFC 5321

bool letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool all_of(std::string_view text, std::string_view others) {
    return std::all_of(text.begin(), text.end(),
                       [&](char c) { return letter_or_digit(c) || others.find(c) != std::string_view::npos; });
}

bool host_name(std::string_view text) {
    return !text.empty() && text.size() <= 253 && all_of(text, "-.:") && text.front() != '-' && text.front() != '.';
}

Status check_server(std::string_view text) {
    if (host_name(text)) return {};
    return fail(ErrorCode::kUsage, "is not a host name or an IP address",
                "write \"mail.example.com\"; the port is a key");
}

Status check_mail_address(std::string_view text) {
    const size_t at = text.find('@');
    const bool divided = at != std::string_view::npos && at > 0 && text.size() <= kMaxAddress;
    if (divided && all_of(text.substr(0, at), "!#$%&'*+-/=?^_`{|}~.") && host_name(text.substr(at + 1))) return {};
    return fail(ErrorCode::kUsage, "is not a mail address", "write \"name@example.com\", without a name before it");
}

// No part of it is judged but the machine: what follows is the receiver's own.
Status check_url(std::string_view text) {
    std::string_view rest = text;
    for (const std::string_view scheme : {"https://", "http://"}) {
        if (rest.starts_with(scheme)) rest.remove_prefix(scheme.size());
    }
    std::string_view machine = rest.substr(0, rest.find_first_of("/?#"));
    if (machine.find('@') != std::string_view::npos)
        return fail(ErrorCode::kUsage, "holds a user name or password", "remove it, and use secret_file");
    if (machine.starts_with('[') && machine.find(']') != std::string_view::npos) machine.remove_prefix(1);
    const bool printable = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (rest.size() < text.size() && printable && all_of(machine, "-.:]") && !machine.empty()) return {};
    return fail(ErrorCode::kUsage, "is not a web address", "write \"https://hooks.example.com/path\"");
}

constexpr Key kAlerts[] = {
    {"syslog", K::kBoolean, false, "true", 0, 0, "Every message goes to syslog or journald."},
    {"mail", K::kTable, false, "", 0, 0, "Messages by mail."},
    {"webhook", K::kTableList, false, "", 0, 0, "Messages by HTTP, 8 receivers at most."},
    {"route", K::kTableList, false, "", 0, 0, "Messages that go elsewhere than the others."},
};
constexpr Key kMail[] = {
    {"server", K::kString, true, "", 0, 0, "The SMTP server.", {}, check_server},
    {"port", K::kInteger, false, "", 1, 65535, "Default: 587 with starttls, 465 with tls, 25 with none."},
    {"tls", K::kChoice, false, "starttls", 0, 0, "How the connection is encrypted; the certificate is verified.", kTls},
    {"ca_file", K::kPath, false, "", 0, 0, "The authority of the server's certificate; default: the system's."},
    {"user", K::kString, false, "", 0, 0, "Logs in under this name."},
    {"password_file", K::kPath, false, "", 0, 0, "A file of root, mode 0600, on every node: the user's password."},
    {"from", K::kString, true, "", 0, 0, "The sender's address.", {}, check_mail_address},
    {"to", K::kStringList, true, "", 0, 0, "The receivers' addresses, 20 at most.", {}, check_mail_address},
    {"subject_prefix", K::kString, false, "[kagami]", 0, 0, "How a subject begins."},
    {"minimum_level", K::kChoice, false, "warning", 0, 0, "Messages of this level and above.", kLevels},
};
constexpr Key kWebhook[] = {
    {"url", K::kString, true, "", 0, 0, "Where messages are sent by HTTP POST.", {}, check_url},
    {"secret_file", K::kPath, false, "", 0, 0,
     "A file of root, mode 0600, on every node: the secret that signs each message."},
    {"ca_file", K::kPath, false, "", 0, 0, "The authority of the receiver's certificate; default: the system's."},
    {"minimum_level", K::kChoice, false, "warning", 0, 0, "Messages of this level and above.", kLevels},
};
constexpr Key kRoute[] = {
    {"message", K::kString, true, "", 0, 0, "The message's id or name: \"KG-0302\" or \"group-failover\"."},
    {"channels", K::kChoiceList, true, "", 0, 0, "Where it goes, whatever its level; [] = nowhere.", kChannels},
};

}  // namespace

const Section& alerts_section() {
    static constexpr Section section{"[alerts]", "Where messages of the cluster are sent.", kAlerts};
    return section;
}
const Section& alerts_mail_section() {
    static constexpr Section section{"[alerts.mail]", "Messages by mail.", kMail};
    return section;
}
const Section& alerts_webhook_section() {
    static constexpr Section section{"[[alerts.webhook]]", "Messages by HTTP.", kWebhook};
    return section;
}
const Section& alerts_route_section() {
    static constexpr Section section{"[[alerts.route]]", "Where one message goes.", kRoute};
    return section;
}

}  // namespace kagami::config
