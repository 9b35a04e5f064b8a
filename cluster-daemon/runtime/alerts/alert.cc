#include "cluster-daemon/runtime/alerts/alert.h"

#include <algorithm>

#include "common/text.h"

namespace kagami::runtime::alerts {
namespace {

constexpr size_t kTextLimitBytes = 2048;

void clean(std::string& text) {
    text = one_line(std::string_view(text).substr(0, kTextLimitBytes));
    text.resize(utf8_prefix(text, kTextLimitBytes).size());
}

void add_webhooks(const config::Alerts& config, Destinations& all) {
    for (const auto& webhook : config.webhooks) all.names.push_back(webhook.url);
}

Destinations chosen(const config::Alerts& config, const Channels& channels) {
    Destinations all{channels.syslog, {}};
    if (channels.mail && config.mail) all.names.emplace_back(kMail);
    if (channels.webhook) add_webhooks(config, all);
    return all;
}

}  // namespace

Alert cleaned(Alert alert) {
    for (std::string* text : {&alert.code, &alert.name, &alert.subject, &alert.sentence, &alert.remedy}) clean(*text);
    return alert;
}

Destinations route(const config::Alerts& config, const Alert& alert) {
    if (alert.only) return chosen(config, *alert.only);
    const auto own = std::find_if(config.routes.begin(), config.routes.end(), [&](const config::AlertRoute& route) {
        return route.message == alert.code || route.message == alert.name;
    });
    if (own != config.routes.end()) return chosen(config, {own->syslog, own->mail, own->webhook});
    Destinations all{config.syslog, {}};
    if (config.mail && alert.level >= config.mail->minimum) all.names.emplace_back(kMail);
    for (const auto& webhook : config.webhooks) {
        if (alert.level >= webhook.minimum) all.names.push_back(webhook.url);
    }
    return all;
}

std::vector<std::string> destinations(const config::Alerts& config) {
    return chosen(config, {true, true, true}).names;
}

}  // namespace kagami::runtime::alerts
