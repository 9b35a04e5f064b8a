#include "cli/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "common/files.h"

namespace kagami::cli {

struct Archive::Writer {
    explicit Writer(std::string p) : path(std::move(p)) {}
    ~Writer() {
        if (archive != nullptr) ::archive_write_free(archive);
        if (!finished) ::unlink(path.c_str());
    }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    Status check(int code) const {
        if (code == ARCHIVE_OK) return {};
        const char* why = ::archive_error_string(archive);
        return fail(path + ": " + (why != nullptr ? why : "cannot be written"), "is there room on the file system?");
    }

    std::string path;
    UniqueFd file;
    ::archive* archive = nullptr;
    bool finished = false;
};

Archive::Archive(std::unique_ptr<Writer> writer) : writer_(std::move(writer)) {}
Archive::~Archive() = default;

Result<std::unique_ptr<Archive>> Archive::create(const std::string& path) {
    UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file.valid()) return fail(path + ": " + errno_text(errno), errno_remedy(errno, path));
    auto writer = std::make_unique<Writer>(path);
    writer->file = std::move(file);
    writer->archive = ::archive_write_new();
    if (writer->archive == nullptr) return fail(path + ": no memory for an archive");
    ::archive_write_add_filter_gzip(writer->archive);
    ::archive_write_set_format_pax_restricted(writer->archive);
    if (const Status opened = writer->check(::archive_write_open_fd(writer->archive, writer->file.get())); !opened)
        return tl::unexpected(opened.error());
    return std::unique_ptr<Archive>(new Archive(std::move(writer)));
}

Status Archive::add(const std::string& name, std::string_view content) {
    ::archive_entry* entry = ::archive_entry_new();
    ::archive_entry_set_pathname(entry, name.c_str());
    ::archive_entry_set_size(entry, static_cast<int64_t>(content.size()));
    ::archive_entry_set_filetype(entry, AE_IFREG);
    ::archive_entry_set_perm(entry, 0600);
    ::archive_entry_set_mtime(entry, std::time(nullptr), 0);
    const int code = ::archive_write_header(writer_->archive, entry);
    ::archive_entry_free(entry);
    if (const Status written = writer_->check(code); !written) return written;
    if (content.empty()) return {};
    const ssize_t put = ::archive_write_data(writer_->archive, content.data(), content.size());
    return writer_->check(put == static_cast<ssize_t>(content.size()) ? ARCHIVE_OK : ARCHIVE_FATAL);
}

Status Archive::finish() {
    if (const Status closed = writer_->check(::archive_write_close(writer_->archive)); !closed) return closed;
    if (::fsync(writer_->file.get()) != 0) return fail(writer_->path + ": " + errno_text(errno));
    writer_->finished = true;
    return {};
}

}  // namespace kagami::cli
