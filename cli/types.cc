#include "cli/types.h"

#include "cluster-daemon/engine/message_catalogue.h"
#include "monitors/monitor.h"
#include "resources/resource.h"

namespace kagami::cli {

config::TypeCatalogue types_of_this_program() {
    config::TypeCatalogue types;
    for (const auto& type : resources::registry()) types.resources.push_back(type.description);
    for (const auto& type : monitors::registry()) types.monitors.push_back(type.description);
    types.messages = engine::message_words();
    return types;
}

}  // namespace kagami::cli
