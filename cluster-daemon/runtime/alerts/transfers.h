// Mails and HTTP requests under way, several at once, by libcurl. Nothing here waits but wait(); certificates are
// always verified, redirections are not followed. Used by one thread but for wake(). No text that it gives back holds a
// secret.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/alerts.h"
#include "common/time.h"

namespace kagami::runtime::alerts {

struct MailRequest {
    config::MailAlerts to;
    std::string password;
    std::string mail;
};
struct WebhookRequest {
    config::WebhookAlerts to;
    std::string id;
    std::string body;
    std::string signature;  // empty: not signed
};

struct TransferLimits {
    Duration connect = 10s;
    Duration whole = 30s;
};

enum class Delivery {
    kDone,
    kRefused,  // the receiver does not want this very message
    kFailed,   // the receiver cannot be reached, or takes nothing from us
};
struct Finished {
    std::string destination;
    Delivery delivery = Delivery::kFailed;
    std::string words;  // why not
};

class Transfers {
 public:
    explicit Transfers(TransferLimits limits);
    ~Transfers();  // breaks off what is under way, within a second each

    // One at a time for a destination.
    void start(const std::string& destination, const MailRequest& request);
    void start(const std::string& destination, const WebhookRequest& request);
    void cancel(const std::string& destination);
    bool busy(const std::string& destination) const;
    // Goes on with all until something happens, wake() is called or the time is over.
    std::vector<Finished> wait(Duration at_most);
    void wake();  // from any thread

 private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// "mail.example.com:587", "https://hooks.example.com": without what may be secret in a path.
std::string shown(const config::MailAlerts& mail);
std::string shown(const config::WebhookAlerts& webhook);

}  // namespace kagami::runtime::alerts
