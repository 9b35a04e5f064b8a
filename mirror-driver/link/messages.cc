#include "mirror-driver/link/messages.h"

#include <algorithm>
#include <array>
#include <set>

#include "common/mirror_coder.h"

namespace kagami::mirror_link {

template <typename C, Is<Welcome> V>
void fields(C& c, V& v) {
    c(v.cluster, v.self, v.boot);
    c.text(v.pki_directory, kMaxPathBytes);
}
template <typename C, Is<Path> V>
void fields(C& c, V& v) {
    c(v.network);
    c.text(v.own_address, kMaxPathBytes);
    c.text(v.peer_address, kMaxPathBytes);
}
template <typename C, Is<MirrorConfig> V>
void fields(C& c, V& v) {
    c(v.name, v.group, v.peer, v.peer_name);
    c.text(v.data, kMaxPathBytes);
    c.text(v.metadata, kMaxPathBytes);
    c(v.port);
    c.list(v.paths, kMaxPaths);
    c(v.automatic_resync);
}
template <typename C, Is<Configure> V>
void fields(C& c, V& v) {
    c.list(v.mirrors, kMaxMirrors);
}
template <typename C, Is<Ask> V>
void fields(C& c, V& v) {
    c(v.id);
    c.choice(v.verb, Verb::kStatus);
    c(v.mirror);
}
template <typename C, Is<MirrorStatus> V>
void fields(C& c, V& v) {
    c(v.report);
    c.text(v.device, kMaxPathBytes);
    c(v.front_end);
    c.text(v.data, kMaxPathBytes);
    c.text(v.metadata, kMaxPathBytes);
    c.sentence(v.peer_message);
    c(v.network, v.full, v.total_bytes, v.done_bytes, v.elapsed, v.remaining, v.bytes_per_second);
    c.sentence(v.stall);
    c(v.writes, v.reads, v.flushes, v.written_bytes, v.read_bytes, v.sent_bytes, v.received_bytes, v.copied_bytes);
    c(v.longest_stall);
    c.sentences(v.warnings, kMaxWarnings);
}
template <typename C, Is<Answer> V>
void fields(C& c, V& v) {
    c(v.id, v.ok, v.not_yet);
    c.sentence(v.message);
    c.sentence(v.remedy);
    c(v.status);
}

namespace {

bool absolute(const std::string& path) {
    return !path.empty() && path.front() == '/' && path.find('\0') == std::string::npos;
}

bool sound(const MirrorConfig& config) {
    return valid_name(config.name) && valid_name(config.group) && absolute(config.data) && absolute(config.metadata) &&
           config.port != 0 && config.peer != kNobody;
}

bool sound(const Welcome& message) {
    return absolute(message.pki_directory);
}
bool sound(const Configure& message) {
    std::set<std::string> names;
    return std::all_of(message.mirrors.begin(), message.mirrors.end(),
                       [&](const MirrorConfig& config) { return sound(config) && names.insert(config.name).second; });
}
bool sound(const mirror::Authority& message) {
    return valid_name(message.mirror);
}
bool sound(const Ask& message) {
    return valid_name(message.mirror);
}
bool sound(const mirror::Report& message) {
    return valid_name(message.mirror) && message.percent <= 100;
}
bool sound(const Answer&) {
    return true;
}

template <typename T>
std::optional<Message> read(Decoder& decoder) {
    T message;
    decoder(message);
    if (!decoder.finished() || !sound(message)) return std::nullopt;
    return Message(std::move(message));
}

using Reader = std::optional<Message> (*)(Decoder&);
constexpr std::array<Reader, std::variant_size_v<Message>> kReaders = {
    read<Welcome>, read<Configure>, read<mirror::Authority>, read<Ask>, read<mirror::Report>, read<Answer>};

}  // namespace

Bytes encode(const Message& message) {
    Encoder encoder;
    encoder(static_cast<uint8_t>(message.index()));
    std::visit([&](const auto& one) { encoder(one); }, message);
    return encoder.take();
}

Result<Message> decode_message(std::span<const uint8_t> packet) {
    if (!packet.empty() && packet.size() <= kMaxMessageBytes && packet.front() < kReaders.size()) {
        Decoder decoder(packet.subspan(1));
        if (auto message = kReaders.at(packet.front())(decoder)) return std::move(*message);
    }
    return fail(ErrorCode::kUsage, "mirror.sock: a message that cannot be understood",
                "run kagamid and kagami-mirrord of one version");
}

}  // namespace kagami::mirror_link
