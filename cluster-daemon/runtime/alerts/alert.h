// One message on its way to people, and where it goes. Pure. Names, sentences and output of scripts come from outside:
// an alert that was cleaned() has one line of valid UTF-8 in each of its texts, of bounded length.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/config/alerts.h"

namespace kagami::runtime::alerts {

// What a person asked for by hand (clplogcmd), in place of what the configuration says.
struct Channels {
    bool syslog = false;
    bool mail = false;
    bool webhook = false;
};

struct Alert {
    int64_t unix_ms = 0;
    config::AlertLevel level = config::AlertLevel::kInfo;
    std::string code;      // "KG-0302"
    std::string name;      // "group-failover"
    std::string subject;   // "group web"
    std::string sentence;  // stands alone
    std::string remedy;    // what a person should do
    std::optional<Channels> only;
};

Alert cleaned(Alert alert);

// Where the messages of a node come from.
struct Origin {
    std::string cluster;
    std::string node;
};

struct Destinations {
    bool syslog = false;
    std::vector<std::string> names;  // "mail" and the URLs of webhooks
};
inline constexpr const char* kMail = "mail";

// By hand, else by the route of its id or name, else by its level.
Destinations route(const config::Alerts& config, const Alert& alert);
std::vector<std::string> destinations(const config::Alerts& config);

}  // namespace kagami::runtime::alerts
