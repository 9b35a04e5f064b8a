// psw: are enough processes of a name alive on this node, whoever started them? What a name means stands in
// common/host/check/process_pattern.h.
#pragma once

#include <memory>

#include "monitors/monitor.h"

namespace kagami::monitors {

const config::TypeDescription& process_name_description();
std::unique_ptr<Monitor> make_process_name(host::Host& host);

}  // namespace kagami::monitors
