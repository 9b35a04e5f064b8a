// New metadata for this node's copy of a mirror disk, for `kagami mirror init` and clpmdinit.
#pragma once

#include <functional>
#include <string>

#include "cli/command.h"
#include "mirror-driver/tools/offline.h"

namespace kagami::cli {

// Asked with what is about to be lost; false: the person does not want it.
using Agree = std::function<Result<bool>(const std::string& consequence)>;

int initialise_mirror(Session& session, const std::string& name, mirror::InitData on_data, bool replace,
                      const Agree& agree);

}  // namespace kagami::cli
