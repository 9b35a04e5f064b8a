#include "common/config/bundle.h"

#include <zstd.h>

#include <algorithm>

#include "common/ids.h"

namespace kagami::config {
namespace {

constexpr std::string_view kMagic = "kagami bundle 1\n";
constexpr uint32_t kMaxScripts = 4096;
constexpr size_t kMaxNameBytes = 255;
constexpr int kLevel = 9;

tl::unexpected<Error> damaged(const char* what) {
    return fail("the stored configuration is damaged: " + std::string(what),
                "apply the configuration again from cluster.toml");
}

bool valid_file_name(std::string_view name) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == '-';
    };
    return !name.empty() && name.size() <= 100 && name.front() != '.' && std::all_of(name.begin(), name.end(), allowed);
}

Result<Bundle> read(std::span<const uint8_t> plain) {
    ByteReader in(plain);
    Bundle bundle;
    if (in.string(kMagic.size()) != kMagic) return damaged("wrong magic");
    bundle.text = in.string(kMaxBundleBytes);
    for (uint32_t left = in.count(kMaxScripts); left > 0 && in.ok(); --left) {
        std::string name = in.string(kMaxNameBytes);
        if (!valid_script_path(name)) return damaged("a script's name");
        if (!bundle.scripts.empty() && name <= bundle.scripts.rbegin()->first) return damaged("the scripts' order");
        bundle.scripts.emplace(std::move(name), in.string(kMaxBundleBytes));
    }
    if (!in.finished()) return damaged("wrong length");
    return bundle;
}

}  // namespace

bool valid_script_path(std::string_view path) {
    const size_t first = path.find('/');
    const size_t second = first == std::string_view::npos ? first : path.find('/', first + 1);
    if (second == std::string_view::npos) return false;
    return valid_name(path.substr(0, first)) && valid_name(path.substr(first + 1, second - first - 1)) &&
           valid_file_name(path.substr(second + 1));
}

Result<Bytes> pack(const Bundle& bundle) {
    ByteWriter out;
    out.string(kMagic);
    out.string(bundle.text);
    out.u32(static_cast<uint32_t>(bundle.scripts.size()));
    for (const auto& [name, content] : bundle.scripts) {
        if (!valid_script_path(name)) {
            return fail(ErrorCode::kUsage, "script " + name + ": not of the form GROUP/RESOURCE/FILE",
                        "rename or remove it");
        }
        out.string(name);
        out.string(content);
    }
    const Bytes plain = out.take();
    const std::string remedy = "keep large programs outside the configuration and name them by an absolute path";
    if (plain.size() > kMaxBundleBytes || bundle.scripts.size() > kMaxScripts) {
        return fail(ErrorCode::kUsage, "the configuration with its scripts is larger than 1 MiB", remedy);
    }
    Bytes packed(ZSTD_compressBound(plain.size()));
    const size_t length = ZSTD_compress(packed.data(), packed.size(), plain.data(), plain.size(), kLevel);
    if (ZSTD_isError(length) != 0U) return fail(std::string("zstd: ") + ZSTD_getErrorName(length));
    if (length > kMaxPackedBytes) {
        return fail(ErrorCode::kUsage, "the configuration with its scripts is larger than 192 KiB when compressed",
                    remedy);
    }
    packed.resize(length);
    return packed;
}

Result<Bundle> unpack(std::span<const uint8_t> packed) {
    if (packed.size() > kMaxPackedBytes) return damaged("too large");
    const unsigned long long length = ZSTD_getFrameContentSize(packed.data(), packed.size());
    if (length == ZSTD_CONTENTSIZE_UNKNOWN || length == ZSTD_CONTENTSIZE_ERROR) return damaged("no compressed frame");
    if (length > kMaxBundleBytes) return damaged("too large when unpacked");
    Bytes plain(length);
    const size_t got = ZSTD_decompress(plain.data(), plain.size(), packed.data(), packed.size());
    if (ZSTD_isError(got) != 0U || got != plain.size()) return damaged("the compressed frame does not unpack");
    return read(plain);
}

}  // namespace kagami::config
