#include "cluster-daemon/engine/io.h"

#include "cluster-daemon/engine/coder.h"

namespace kagami::engine {

template <typename C, Is<LocalGroup> V>
void fields(C& c, V& v) {
    c(v.max_token, v.running);
    c.choice(v.mark, RunMark::kStopping);
}
template <typename C, Is<DurableState> V>
void fields(C& c, V& v) {
    c(v.voter, v.nonce, v.next_nonce, v.promised, v.accepted);
    c.blob(v.document, kMaxDocumentBytes);
    c(v.silence, v.boot);
    c.map(v.groups, kMaxGroups);
    c(v.final_actions, v.final_actions_cleared);
}

namespace {
constexpr uint16_t kFormat = 1;
}

Bytes encode(const DurableState& state) {
    Encoder out;
    out(kFormat, state);
    return out.take();
}

Result<DurableState> decode_durable_state(std::span<const uint8_t> bytes) {
    Decoder in(bytes);
    uint16_t format = 0;
    DurableState state;
    in(format, state);
    if (!in.finished() || format != kFormat)
        return fail(ErrorCode::kFailed, "voter store: the record is damaged or of another format",
                    "let this node join the cluster anew with `kagami join`");
    return state;
}

}  // namespace kagami::engine
