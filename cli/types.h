// The types of resources and monitors that this program knows, from their registries.
#pragma once

#include "common/config/parameter.h"

namespace kagami::cli {

config::TypeCatalogue types_of_this_program();

}  // namespace kagami::cli
