// A saved `kagami status --json` and the configuration that was in force, made into what the leader's policy looks at:
// the document, and what was heard and reported. What a status does not tell is taken as it is in a cluster that is
// well: every voter's store is the one that is known, leases are fresh, disks of mirrors are those that were attached.
// So an answer from it is as good as the status; the running cluster knows more.
#pragma once

#include <memory>

#include "cluster-daemon/engine/engine.h"
#include "common/config/config.h"
#include "common/result.h"
#include "proto/control.pb.h"

namespace kagami::cli {

constexpr Instant kSavedAt{std::chrono::hours(24)};  // when everybody who was heard was heard

// The answering node's view. kUsage when the status names what the configuration has not; kNoQuorum when nobody led.
Result<engine::Snapshot> scene_of(const control::v1::Status& status, std::shared_ptr<const config::Config> config);

}  // namespace kagami::cli
