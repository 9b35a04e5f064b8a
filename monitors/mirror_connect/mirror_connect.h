// mdnw: are the two mirror drivers of a mirror disk connected? A lost connection alone harms no service, so it is a
// caution unless the configuration says otherwise. The subscription calls back at every change of the mirror's report.
#pragma once

#include <memory>

#include "monitors/monitor.h"

namespace kagami::monitors {

const config::TypeDescription& mirror_connect_description();
std::unique_ptr<Monitor> make_mirror_connect(host::Host& host);

}  // namespace kagami::monitors
