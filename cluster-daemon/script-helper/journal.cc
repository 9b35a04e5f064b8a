#include "cluster-daemon/script-helper/journal.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstring>

#include "cluster-daemon/script-helper/messages.h"
#include "common/files.h"

namespace kagami::script_helper {
namespace {

constexpr std::string_view kPrefix = "run.";
constexpr size_t kMaxMarkBytes = 64;

// The request travels in the bytes of the socket's message, so that there is one format of it.
Result<Bytes> encode(const Record& record) {
    Request request{Verb::kRun, record.script, record.deadline};
    request.script.environment.clear();
    auto message = script_helper::encode(request);
    if (!message) return tl::unexpected(message.error());
    ByteWriter out;
    out.u32(static_cast<uint32_t>(record.pid));
    out.u64(record.start_ticks);
    out.i64(record.log_begin);
    out.bytes(*message);
    return out.take();
}

std::optional<Record> decode(const std::string& content) {
    ByteReader in(std::span(reinterpret_cast<const uint8_t*>(content.data()), content.size()));
    Record record;
    record.pid = static_cast<int>(in.u32());
    record.start_ticks = in.u64();
    record.log_begin = in.i64();
    const Bytes message = in.bytes(kMaxMessageBytes);
    if (!in.finished()) return std::nullopt;
    auto request = decode_request(message);
    if (!request) return std::nullopt;
    record.script = std::move(request->script);
    record.deadline = request->deadline;
    return record;
}

// Plain write and rename: tmpfs needs no flush, and a half-written record is as good as none.
void write_small(const std::string& path, const Bytes& content) {
    const std::string fresh = path + ".new";
    const UniqueFd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.valid()) return;
    if (::write(file.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size())) {
        ::rename(fresh.c_str(), path.c_str());
    }
}

std::optional<uint64_t> id_of(std::string_view name) {
    if (name.substr(0, kPrefix.size()) != kPrefix) return std::nullopt;
    name.remove_prefix(kPrefix.size());
    uint64_t id = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), id);
    return parsed.ec == std::errc{} && parsed.ptr == name.data() + name.size() ? std::optional(id) : std::nullopt;
}

}  // namespace

void Journal::save(uint64_t id, const Record& record) const {
    if (const auto content = encode(record))
        write_small(directory_ + "/" + std::string(kPrefix) + std::to_string(id), *content);
}

void Journal::remove(uint64_t id) const {
    ::unlink((directory_ + "/" + std::string(kPrefix) + std::to_string(id)).c_str());
}

std::map<uint64_t, Record> Journal::load() const {
    std::map<uint64_t, Record> records;
    DIR* entries = ::opendir(directory_.c_str());
    if (entries == nullptr) return records;
    while (const dirent* entry = ::readdir(entries)) {
        const auto id = id_of(entry->d_name);
        if (!id) continue;
        const auto content = read_file(directory_ + "/" + entry->d_name, kMaxMessageBytes + 64);
        if (auto record = content ? decode(*content) : std::nullopt) {
            records[*id] = std::move(*record);
        } else {
            remove(*id);
        }
    }
    ::closedir(entries);
    return records;
}

std::string Journal::mark_path(const std::string& group, const std::string& resource) const {
    return directory_ + "/active." + group + "." + resource;
}

void Journal::set_mark(const std::string& group, const std::string& resource,
                       const std::optional<ActiveMark>& mark) const {
    if (!mark) {
        ::unlink(mark_path(group, resource).c_str());
        return;
    }
    ByteWriter out;
    out.u32(static_cast<uint32_t>(mark->main.pid));
    out.u64(mark->main.start_ticks);
    out.boolean(mark->background);
    out.i64(mark->set_at.time_since_epoch().count());
    write_small(mark_path(group, resource), out.view());
}

std::optional<ActiveMark> Journal::mark(const std::string& group, const std::string& resource) const {
    const auto content = read_file(mark_path(group, resource), kMaxMarkBytes);
    if (!content) return std::nullopt;
    ByteReader in(std::span(reinterpret_cast<const uint8_t*>(content->data()), content->size()));
    ActiveMark mark;
    mark.main.pid = static_cast<int>(in.u32());
    mark.main.start_ticks = in.u64();
    mark.background = in.boolean();
    mark.set_at = Instant(Duration(in.i64()));
    return in.finished() ? std::optional(mark) : std::nullopt;
}

}  // namespace kagami::script_helper
