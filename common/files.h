// Small durable files: written whole or not at all, read with a size limit and without following a link in the last
// place. Writing: a temporary file beside the target (O_EXCL | O_NOFOLLOW, its mode set before the first byte), fsync,
// rename, fsync of the directory; a reader sees the old or the new file, never a mixture, and so does a machine that
// lost power. Left to others: locks between processes, and files that are written in place (runtime/register_store.h).
#pragma once

#include <sys/types.h>

#include <span>
#include <string>
#include <string_view>

#include "common/codec.h"
#include "common/result.h"

namespace kagami {

// A file descriptor with one owner.
class UniqueFd {
 public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept;
    ~UniqueFd() { reset(); }
    int get() const { return fd_; }
    bool valid() const { return fd_ >= 0; }
    int release();
    void reset();

 private:
    int fd_ = -1;
};

// The text and the usual remedy of an errno value, for messages that name the object themselves.
std::string errno_text(int error_number);
std::string errno_remedy(int error_number, const std::string& path);

Status write_file_atomically(const std::string& path, std::span<const uint8_t> content, mode_t mode = 0600);
Status write_file_atomically(const std::string& path, std::string_view content, mode_t mode = 0600);

enum class FileAccess {
    kAnyone,     // no check of the file's mode
    kOwnerOnly,  // refused unless it belongs to us or root and nobody else may read or write it
};
// kNotFound when the file does not exist. Refuses anything that is not a regular file, and a file above the limit.
Result<std::string> read_file(const std::string& path, size_t limit_bytes, FileAccess access = FileAccess::kAnyone);

// Makes the directory (mode 0700) if it is missing; its parent must exist. Refuses a link or another kind of file in
// its place.
Status make_private_directory(const std::string& path);

}  // namespace kagami
