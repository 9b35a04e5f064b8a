#include "cli/render_metadata.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/console.h"

namespace kagami::cli {
namespace {

using mirror::Cause;
using mirror::Context;
using mirror::Generation;

std::string line(const char* label, const std::string& value) {
    return fmt::format("  {:<22}{}\n", label, value.empty() ? "-" : value);
}

std::string text_of(const Generation& generation) {
    return generation.none() ? "-" : mirror::to_string(generation);
}

std::string text_of(Nonce nonce) {
    return nonce.value == 0 ? "-" : fmt::format("{:016x}", nonce.value);
}

const char* text_of(Cause cause) {
    switch (cause) {
        case Cause::kNone: return "";
        case Cause::kConstruction: return "construction";
        case Cause::kSolo: return "solo";
        case Cause::kTakeover: return "takeover";
        case Cause::kForce: return "force";
        case Cause::kResync: return "resync";
    }
    return "";
}

std::string flags_of(const mirror::Flags& flags) {
    const std::pair<bool, const char*> all[] = {{flags.constructed, "constructed"},
                                                {flags.primary_indicated, "primary indicated"},
                                                {flags.inconsistent, "inconsistent"},
                                                {flags.full_sync, "full sync"},
                                                {flags.suspect, "suspect"},
                                                {flags.outdated, "outdated"},
                                                {flags.failed, "failed"}};
    std::string text;
    for (const auto& [set, name] : all) {
        if (set) text += (text.empty() ? "" : ", ") + std::string(name);
    }
    return text.empty() ? "none" : text;
}

std::string identity_text(const Context& context) {
    return line("cluster", to_string(context.cluster)) + line("mirror", to_string(context.mirror)) +
           line("copy of node", std::to_string(context.self.value)) +
           line("other copy of node", std::to_string(context.peer.value)) +
           line("data", fmt::format("{} bytes ({})", context.size_bytes, bytes_text(context.size_bytes))) +
           line("data device", context.device_identity);
}

std::string state_text(const Context& context) {
    std::string text =
        line("flags", flags_of(context.flags)) + line("nonce", text_of(context.nonce)) +
        line("next nonce", text_of(context.next_nonce)) + line("attached in boot", to_string(context.attached_in)) +
        line("generation", text_of(context.current)) + line("bitmap counts from", text_of(context.base)) +
        line("resync aims at", text_of(context.aim)) + line("other copy had", text_of(context.peer_last)) +
        line("highest token", to_string(context.highest_token));
    for (const mirror::Ancestor& ancestor : context.history) {
        if (ancestor.generation.none()) continue;
        const std::string cause = text_of(ancestor.cause);
        text += line("before", text_of(ancestor.generation) + (cause.empty() ? "" : ", ended by " + cause));
    }
    return text;
}

// How much is marked, and where the first and the longest of it lies.
std::string bitmap_text(const mirror::Bitmap& bitmap) {
    const uint64_t blocks = (bitmap.size_bytes() + mirror::kBlockBytes - 1) / mirror::kBlockBytes;
    std::string text = line("marked blocks", fmt::format("{} of {} ({})", bitmap.count(), blocks,
                                                         bytes_text(bitmap.count() * mirror::kBlockBytes)));
    uint64_t runs = 0;
    std::optional<mirror::Extent> longest;
    for (auto run = bitmap.next(0, bitmap.size_bytes()); run; run = bitmap.next(run->end(), bitmap.size_bytes())) {
        ++runs;
        if (!longest || run->length > longest->length) longest = run;
    }
    if (longest) {
        text += line("in runs", fmt::format("{}, the longest of {} at byte {}", runs, bytes_text(longest->length),
                                            longest->offset));
    }
    return text;
}

const char* text_of(mirror::MetadataKind kind) {
    switch (kind) {
        case mirror::MetadataKind::kBlank: return "blank: no metadata were ever made on it";
        case mirror::MetadataKind::kOurs: return "metadata of a mirror";
        case mirror::MetadataKind::kForeign: return "something else";
        case mirror::MetadataKind::kDamaged: return "damaged";
    }
    return "";
}

}  // namespace

std::string render_metadata(const std::string& device, const mirror::Inspection& seen) {
    std::string text = "Metadata device " + device + ", " + bytes_text(seen.device_bytes) + "\n";
    const std::string what = seen.identified.what;
    text += line("holds", text_of(seen.identified.kind) + (what.empty() ? "" : ": " + what));
    if (!seen.loaded) return text;
    const mirror::Loaded& loaded = *seen.loaded;
    const auto hot = std::count_if(loaded.slots.begin(), loaded.slots.end(),
                                   [](uint32_t extent) { return extent != mirror::kFreeSlot; });
    text += identity_text(loaded.context) + state_text(loaded.context);
    text += line("hot extents", fmt::format("{} of {} slots ({}){}", hot, loaded.slots.size(),
                                            bytes_text(static_cast<uint64_t>(hot) * mirror::kHotExtentBytes),
                                            loaded.log_incomplete ? ", not all readable" : ""));
    text += bitmap_text(loaded.bitmap);
    for (const std::string& finding : loaded.findings) text += "  -> " + finding + "\n";
    return text;
}

std::vector<std::string> metadata_findings(const mirror::Inspection& seen) {
    if (!seen.loaded) return {seen.error.message + (seen.error.remedy.empty() ? "" : "; " + seen.error.remedy)};
    std::vector<std::string> lines = seen.loaded->findings;
    const mirror::Context& context = seen.loaded->context;
    if (seen.loaded->log_incomplete)
        lines.push_back("the activity log is not whole: after a crash everything is copied");
    if (context.flags.failed) lines.push_back("the data device had an I/O error");
    if (context.flags.suspect) lines.push_back("the cluster did not know this disk: a full copy to it is due");
    if (context.flags.inconsistent) lines.push_back("a resync to it has not ended: its data are not consistent");
    return lines;
}

}  // namespace kagami::cli
