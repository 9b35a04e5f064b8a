// The keys of [alerts] (see keys.h), and the checks of their texts.
#pragma once

#include <vector>

#include "common/config/keys.h"

namespace kagami::config {

const Section& alerts_section();
const Section& alerts_mail_section();
const Section& alerts_webhook_section();
const Section& alerts_route_section();

}  // namespace kagami::config
