// A mirror disk as a person sees it: the document's record, what the drivers of both nodes report, and what this node's
// own driver says beyond that, in the colours and words of the field (mirror.md 6, expresscluster.md 6.4). Pure.
//
// A copy is judged by the first of these that holds:
//   No Construction  the mirror, or this copy of it, never held data
//   GRAY   Unknown     its node is not heard, or its driver has no disk attached
//   YELLOW Recovering  it is being copied to
//   RED    Abnormal    its disk failed, or the document calls it stale or suspect
//   ORANGE Uncertain   called current, but by a document that may be old, or the document does not know its disk yet
//   GREEN  Normal      holds every acknowledged write
#pragma once

#include <functional>

#include "cluster-daemon/runtime/daemon/status_builder.h"

namespace kagami::control::v1 {
class Mirror;
}  // namespace kagami::control::v1

namespace kagami::runtime {

using ReportOf = std::function<const engine::NodeReport*(NodeId)>;  // null: not heard

// `resource` is of type md and belongs to `group`.
void fill_mirror(const StatusInput& input, const config::Group& group, const config::Resource& resource,
                 const ReportOf& report_of, control::v1::Mirror& out);
void explain_mirror(const control::v1::Mirror& mirror, control::v1::WhyAnswer& answer);

}  // namespace kagami::runtime
