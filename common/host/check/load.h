// The work of userw: what any user space must get done. May wait in the kernel for ever; only kagami-check calls it.
#pragma once

#include "common/host/host.h"

namespace kagami::host {

Status carry_load(const Load& load);

}  // namespace kagami::host
