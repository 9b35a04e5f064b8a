// A cleaned() alert as a line of syslog, a mail and a JSON text: nothing in it can add a header, a line or a field.
// Pure. Times are UTC.
#pragma once

#include <string>

#include "cluster-daemon/runtime/alerts/alert.h"

namespace kagami::runtime::alerts {

// "KG-0302 group web: Group web fails over to node2."
std::string line_of(const Alert& alert);

// RFC 5322, from the first header to the last line of the body. The same id gives the same Message-ID.
std::string mail_of(const Alert& alert, const Origin& origin, const config::MailAlerts& mail, const std::string& id);

// docs/alerts.md
std::string json_of(const Alert& alert, const Origin& origin, const std::string& id);

// "sha256=" and the HMAC-SHA256 of the body in hexadecimal digits.
std::string signature_of(const std::string& body, const std::string& secret);

}  // namespace kagami::runtime::alerts
