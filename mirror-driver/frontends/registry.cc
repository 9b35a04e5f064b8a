#include <array>

#include "mirror-driver/frontends/frontend.h"
#include "mirror-driver/frontends/fuse_loop/fuse_loop.h"

namespace kagami::mirror {

std::span<const FrontEndType> front_ends() {
    static constexpr std::array<FrontEndType, 1> kTypes{{
        {"fuse-loop", fuse_loop_usable, open_fuse_loop, drop_fuse_loop},
    }};
    return kTypes;
}

}  // namespace kagami::mirror
