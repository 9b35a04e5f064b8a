// [alerts]: where messages of the cluster are sent.
#include <algorithm>

#include "common/config/keys_alerts.h"
#include "common/config/nearest.h"
#include "common/config/reader_parts.h"

namespace kagami::config {
namespace {

constexpr size_t kMaxReceivers = 20;
constexpr size_t kMaxWebhooks = 8;
constexpr size_t kMaxRoutes = 200;

AlertLevel level_of(const Values& values) {
    for (const AlertLevel level : {AlertLevel::kInfo, AlertLevel::kError})
        if (word(level) == values.text("minimum_level")) return level;
    return AlertLevel::kWarning;
}

MailTls tls_of(const Values& values) {
    for (const MailTls tls : {MailTls::kTls, MailTls::kNone})
        if (word(tls) == values.text("tls")) return tls;
    return MailTls::kStartTls;
}

uint16_t default_port(MailTls tls) {
    switch (tls) {
        case MailTls::kStartTls: return 587;
        case MailTls::kTls: return 465;
        case MailTls::kNone: return 25;
    }
    return 0;
}

bool this_machine(const std::string& server) {
    return server == "localhost" || server == "::1" || server.starts_with("127.");
}

void check_mail(const Item& table, const std::string& where, const MailAlerts& mail, Problems& problems) {
    if (mail.user.empty() != mail.password_file.empty()) {
        const char* given = mail.user.empty() ? "password_file" : "user";
        const char* other = mail.user.empty() ? "user" : "password_file";
        problems.add(place(table, given), where + ": " + given + " without " + other,
                     std::string("add ") + other + " or remove " + given);
    }
    if (!mail.user.empty() && mail.tls == MailTls::kNone && !this_machine(mail.server)) {
        problems.add(place(table, "tls"), where + ": the password would cross the network unencrypted",
                     "use tls = \"starttls\" or \"tls\"");
    }
    if (mail.tls == MailTls::kNone && !mail.ca_file.empty()) {
        problems.add(place(table, "ca_file"), where + ": ca_file without encryption",
                     "use tls = \"starttls\" or \"tls\", or remove the key");
    }
    const Entry* to = table.find("to");
    const bool empty = to != nullptr && to->value.kind == Item::Kind::kList && to->value.list.empty();
    if (empty) problems.add(to->value.at, where + ": to names nobody", "write to = [\"admin@example.com\"]");
    if (mail.to.size() > kMaxReceivers)
        problems.add(to->value.at, where + ": more than " + std::to_string(kMaxReceivers) + " receivers",
                     "let the mail server distribute it: name a list's address");
}

void read_mail(const Item& alerts, ReadContext& context) {
    const Section& section = alerts_mail_section();
    const std::string where(section.title);
    const Item* table = read_table(alerts, "mail", "[alerts]", context.problems);
    if (table == nullptr) return;
    check_unknown(*table, section.keys, section.title, context.problems);
    const Values values = read_values(*table, section.keys, where, context.problems);
    MailAlerts mail;
    mail.server = values.text("server");
    mail.tls = tls_of(values);
    mail.port = values.has("port") ? static_cast<uint16_t>(values.integer("port")) : default_port(mail.tls);
    mail.ca_file = values.text("ca_file");
    mail.user = values.text("user");
    mail.password_file = values.text("password_file");
    mail.from = values.text("from");
    mail.to = values.list("to");
    mail.subject_prefix = values.text("subject_prefix");
    mail.minimum = level_of(values);
    check_mail(*table, where, mail, context.problems);
    context.config.alerts.mail = std::move(mail);
}

void read_webhook(const Item& table, ReadContext& context) {
    const Section& section = alerts_webhook_section();
    const std::string where(section.title);
    check_unknown(table, section.keys, section.title, context.problems);
    const Values values = read_values(table, section.keys, where, context.problems);
    WebhookAlerts webhook{values.text("url"), values.text("secret_file"), values.text("ca_file"), level_of(values)};
    auto& all = context.config.alerts.webhooks;
    if (webhook.url.empty()) return;  // reported
    if (std::any_of(all.begin(), all.end(), [&](const WebhookAlerts& other) { return other.url == webhook.url; }))
        context.problems.add(place(table, "url"), where + ": url = \"" + webhook.url + "\" stands there twice",
                             "remove one");
    all.push_back(std::move(webhook));
}

bool users_message(std::string_view text) {  // what clplogcmd makes: "KU-0007"
    return text.size() == 7 && text.starts_with("KU-") &&
           std::all_of(text.begin() + 3, text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

void check_message(const Item& table, const std::string& where, const AlertRoute& route, ReadContext& context) {
    const auto& known = context.types.messages;
    const auto same = [&](std::string_view other) { return other == route.message; };
    if (route.message.empty()) return;  // reported as missing
    if (!known.empty() && !users_message(route.message) && std::none_of(known.begin(), known.end(), same)) {
        const std::string near = nearest(route.message, known, "");
        context.problems.add(place(table, "message"), where + ": unknown message \"" + route.message + "\"",
                             near.empty() ? "docs/messages.md lists them" : near);
    }
    const auto& others = context.config.alerts.routes;
    if (std::any_of(others.begin(), others.end(), [&](const AlertRoute& other) { return same(other.message); }))
        context.problems.add(place(table, "message"), where + ": message \"" + route.message + "\" has a route already",
                             "remove one");
}

void read_route(const Item& table, ReadContext& context) {
    const Section& section = alerts_route_section();
    const std::string where(section.title);
    check_unknown(table, section.keys, section.title, context.problems);
    const Values values = read_values(table, section.keys, where, context.problems);
    const auto& channels = values.list("channels");
    const auto names = [&](std::string_view word) {
        return std::find(channels.begin(), channels.end(), word) != channels.end();
    };
    AlertRoute route{values.text("message"), names("syslog"), names("mail"), names("webhook")};
    check_message(table, where, route, context);
    const Alerts& alerts = context.config.alerts;
    if (route.mail && !alerts.mail)
        context.problems.add(place(table, "channels", "mail"), where + ": mail without [alerts.mail]",
                             "add [alerts.mail] with server, from and to");
    if (route.webhook && alerts.webhooks.empty())
        context.problems.add(place(table, "channels", "webhook"), where + ": webhook without [[alerts.webhook]]",
                             "add [[alerts.webhook]] with url");
    context.config.alerts.routes.push_back(std::move(route));
}

}  // namespace

void read_alerts(const Item& root, ReadContext& context) {
    const Section& section = alerts_section();
    const Item* table = read_table(root, "alerts", "cluster.toml", context.problems);
    if (table == nullptr) return;
    check_unknown(*table, section.keys, section.title, context.problems);
    context.config.alerts.syslog = read_values(*table, section.keys, section.title, context.problems).boolean("syslog");
    read_mail(*table, context);
    const auto webhooks = read_tables(*table, "webhook", alerts_webhook_section().title, context.problems);
    check_count(webhooks, kMaxWebhooks, "webhooks", context.problems);
    for (const Item* webhook : webhooks) read_webhook(*webhook, context);
    const auto routes = read_tables(*table, "route", alerts_route_section().title, context.problems);
    check_count(routes, kMaxRoutes, "routes of messages", context.problems);
    for (const Item* route : routes) read_route(*route, context);
}

}  // namespace kagami::config
