// dummy: does nothing, as slowly and as badly as it is told. For tests, benches and trying a policy out before there is
// a service. Whether it is active is known to the process only: after a restart of the daemon it is inactive.
#pragma once

#include <memory>

#include "resources/resource.h"

namespace kagami::resources {

const config::TypeDescription& dummy_description();
std::unique_ptr<Resource> make_dummy(host::Host& host);

}  // namespace kagami::resources
