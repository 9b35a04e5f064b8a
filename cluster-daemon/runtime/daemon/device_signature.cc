#include "cluster-daemon/runtime/daemon/device_signature.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "common/files.h"
#include "mirror-driver/engine/signature.h"

namespace kagami::runtime {

Result<std::string> device_signature(const std::string& device) {
    const UniqueFd fd(::open(device.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd.valid()) return fail(device + ": cannot open: " + errno_text(errno), errno_remedy(errno, device));
    return mirror::recognise([&](uint64_t offset, auto& bytes) {
        return ::pread(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)) == static_cast<ssize_t>(bytes.size());
    });
}

}  // namespace kagami::runtime
