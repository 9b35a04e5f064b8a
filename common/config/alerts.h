// Where messages of the cluster are sent beyond its own log ([alerts] of cluster.toml). Passwords are never here, only
// the names of the files that hold them. Invariant of a Config that parse() returned: a route names a channel only when
// it exists; a password is never sent over a connection that is not encrypted, but to this machine itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kagami::config {

enum class AlertLevel { kInfo, kWarning, kError };
enum class MailTls { kStartTls, kTls, kNone };

struct MailAlerts {
    std::string server;
    uint16_t port = 587;
    MailTls tls = MailTls::kStartTls;
    std::string ca_file;  // empty: the system's authorities
    std::string user;     // empty: without authentication
    std::string password_file;
    std::string from;
    std::vector<std::string> to;
    std::string subject_prefix;
    AlertLevel minimum = AlertLevel::kWarning;
    bool operator==(const MailAlerts&) const = default;
};

struct WebhookAlerts {
    std::string url;
    std::string secret_file;  // of the signature; empty: not signed
    std::string ca_file;
    AlertLevel minimum = AlertLevel::kWarning;
    bool operator==(const WebhookAlerts&) const = default;
};

// A message that goes exactly there, whatever its level.
struct AlertRoute {
    std::string message;  // its id or name, as written
    bool syslog = false;
    bool mail = false;
    bool webhook = false;  // all of them
    bool operator==(const AlertRoute&) const = default;
};

struct Alerts {
    bool syslog = true;
    std::optional<MailAlerts> mail;
    std::vector<WebhookAlerts> webhooks;
    std::vector<AlertRoute> routes;
    bool operator==(const Alerts&) const = default;
};

std::string_view word(AlertLevel level);
std::string_view word(MailTls tls);

}  // namespace kagami::config
