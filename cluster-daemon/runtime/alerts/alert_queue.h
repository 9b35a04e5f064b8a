// Sends messages of the cluster to people: to the machine's log at once, by mail and to webhooks as soon as the
// receiver takes them. post() only puts the alert into a bounded queue (full: the alert is dropped and counted); a
// thread of its own does the rest, and nothing there can hold up the caller. What mail servers and webhooks have not
// taken waits in alerts.db and is tried again, 1 s after a failure, then after twice as long each time up to 5 min;
// each receiver has its own order and patience, so that a dead one delays nobody else. An alert is delivered at least
// once: more than once only when the receiver's answer was lost (the id stays the same). Secrets are read from their
// files for each attempt, so that a new one is used at once; they are in no log. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cluster-daemon/runtime/alerts/alert.h"
#include "cluster-daemon/runtime/alerts/retry_store.h"
#include "cluster-daemon/runtime/alerts/system_log.h"
#include "cluster-daemon/runtime/alerts/transfers.h"

namespace kagami::runtime::alerts {

struct AlertOptions {
    std::string path;  // alerts.db
    std::string node;
    size_t queue_limit = 4096;
    RetryLimits retry;
    TransferLimits transfer;
    Duration first_retry = 1s;
    Duration last_retry = 5min;
    SystemLogPaths system_log;
};

struct AlertStatus {
    uint64_t taken = 0;
    uint64_t dropped = 0;    // the queue was full
    uint64_t delivered = 0;  // by mail or webhook
    uint64_t given_up = 0;   // too old, too many, refused, or their receiver was removed
};

class AlertQueue {
 public:
    using OnProblem = std::function<void(const std::string& sentence)>;  // called on the queue's thread
    static std::unique_ptr<AlertQueue> start(AlertOptions options, const std::string& cluster, config::Alerts config,
                                             OnProblem on_problem);
    ~AlertQueue();  // breaks off what is under way; it stays in alerts.db
    AlertQueue(const AlertQueue&) = delete;
    AlertQueue& operator=(const AlertQueue&) = delete;

    void post(Alert alert);
    // From now on; what waits for a receiver that is no longer there is given up.
    void set_config(const std::string& cluster, config::Alerts config);
    // Waits until all that was posted is in the machine's log and in alerts.db.
    bool flush(Duration at_most);
    AlertStatus status() const;

 private:
    class Impl;
    explicit AlertQueue(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace kagami::runtime::alerts
