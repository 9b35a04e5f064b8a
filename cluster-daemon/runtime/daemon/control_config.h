// The control service's answers about configurations: of a draft, of the one in force, of earlier ones.
#pragma once

#include <string>
#include <vector>

#include "cluster-daemon/runtime/daemon/control_changes.h"
#include "cluster-daemon/runtime/daemon/control_server.h"

namespace kagami::control::v1 {
class ConfigApplyRequest;
class ConfigCheckAnswer;
class ConfigCheckRequest;
class ConfigHistoryAnswer;
class ConfigVersion;
}  // namespace kagami::control::v1

namespace kagami::runtime {

void check_config(const engine::Snapshot& present, const control::v1::ConfigCheckRequest& in,
                  control::v1::ConfigCheckAnswer& answer);
void apply_config(const ControlBackend& backend, const Caller& caller, const control::v1::ConfigApplyRequest& in);
Status show_config(const ControlBackend& backend, uint64_t version, control::v1::ConfigVersion& answer);
Status config_history(const ControlBackend& backend, size_t limit, control::v1::ConfigHistoryAnswer& answer);

}  // namespace kagami::runtime
