#include <algorithm>
#include <array>

#include "monitors/address_announcement/address_announcement.h"
#include "monitors/disk/disk.h"
#include "monitors/floating_ip/floating_ip.h"
#include "monitors/free_resource/free_resource.h"
#include "monitors/http/http.h"
#include "monitors/ip/ip.h"
#include "monitors/mirror_connect/mirror_connect.h"
#include "monitors/mirror_disk/mirror_disk.h"
#include "monitors/monitor.h"
#include "monitors/multi_target/multi_target.h"
#include "monitors/nic_link/nic_link.h"
#include "monitors/process/process.h"
#include "monitors/process_name/process_name.h"
#include "monitors/script/script.h"
#include "monitors/user_space/user_space.h"

namespace kagami::monitors {

std::span<const Type> registry() {
    static const std::array<Type, 14> types = {{
        {process_description(), make_process},
        {floating_ip_description(), make_floating_ip},
        {nic_link_description(), make_nic_link},
        {ip_description(), make_ip},
        {mirror_disk_description(), make_mirror_disk},
        {mirror_connect_description(), make_mirror_connect},
        {user_space_description(), make_user_space},
        {script_description(), make_script},
        {disk_description(), make_disk},
        {process_name_description(), make_process_name},
        {address_announcement_description(), make_address_announcement},
        {multi_target_description(), make_multi_target},
        {http_description(), make_http},
        {free_resource_description(), make_free_resource},
    }};
    return types;
}

const Type* find(std::string_view word) {
    const auto types = registry();
    const auto found =
        std::find_if(types.begin(), types.end(), [&](const Type& type) { return type.description.word == word; });
    return found == types.end() ? nullptr : &*found;
}

}  // namespace kagami::monitors
