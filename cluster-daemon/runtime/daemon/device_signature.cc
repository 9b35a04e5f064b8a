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
    const off_t size_bytes = ::lseek(fd.get(), 0, SEEK_END);
    if (size_bytes <= 0) return fail(device + ": its size cannot be told", "look at it: blockdev --getsize64 " + device);
    const auto read = [&](uint64_t offset, auto& bytes) {
        return ::pread(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)) == static_cast<ssize_t>(bytes.size());
    };
    return mirror::content_of(read, static_cast<uint64_t>(size_bytes));
}

}  // namespace kagami::runtime
