#include <algorithm>
#include <array>

#include "resources/dummy/dummy.h"
#include "resources/exec/exec.h"
#include "resources/floating_ip/floating_ip.h"
#include "resources/mirror_disk/mirror_disk.h"
#include "resources/resource.h"

namespace kagami::resources {

std::span<const Type> registry() {
    static const std::array<Type, 4> types = {{
        {exec_description(), make_exec},
        {floating_ip_description(), make_floating_ip},
        {mirror_disk_description(), make_mirror_disk},
        {dummy_description(), make_dummy},
    }};
    return types;
}

const Type* find(std::string_view word) {
    const auto types = registry();
    const auto found =
        std::find_if(types.begin(), types.end(), [&](const Type& type) { return type.description.word == word; });
    return found == types.end() ? nullptr : &*found;
}

}  // namespace kagami::resources
