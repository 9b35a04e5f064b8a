#include "common/config/alerts.h"

namespace kagami::config {

std::string_view word(AlertLevel level) {
    switch (level) {
        case AlertLevel::kInfo: return "info";
        case AlertLevel::kWarning: return "warning";
        case AlertLevel::kError: return "error";
    }
    return "";
}

std::string_view word(MailTls tls) {
    switch (tls) {
        case MailTls::kStartTls: return "starttls";
        case MailTls::kTls: return "tls";
        case MailTls::kNone: return "none";
    }
    return "";
}

}  // namespace kagami::config
