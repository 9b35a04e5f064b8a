#include <array>

#include "mirror-driver/frontends/frontend.h"
#include "mirror-driver/frontends/fuse_loop/fuse_loop.h"
#include "mirror-driver/frontends/nbd_socket/nbd_socket.h"

namespace kagami::mirror {

std::span<const FrontEndType> front_ends() {
    static constexpr std::array<FrontEndType, 2> kTypes{{
        {"fuse-loop", fuse_loop_usable, open_fuse_loop, drop_fuse_loop},
        {"nbd-socket", nbd_socket_usable, open_nbd_socket, drop_nbd_socket},
    }};
    return kTypes;
}

}  // namespace kagami::mirror
