// The texts of clpmdstat (expresscluster.md 5.3). The first column is the side in use, else `own_node`: field scripts
// rely on it. Layouts marked [M] there are ours; what Kagami does not keep, such as the time of a break, is "--".
#pragma once

#include <string>

#include "proto/control.pb.h"

namespace kagami::cli {

namespace pb = control::v1;

std::string render_clpmdstat_list(const pb::Status& status);
std::string render_clpmdstat_mirror(const pb::Mirror& mirror, const std::string& own_node);
std::string render_clpmdstat_active(const pb::Mirror& mirror, const std::string& own_node);
std::string render_clpmdstat_connect(const pb::Mirror& mirror, const std::string& own_node);
std::string render_clpmdstat_detail(const pb::Mirror& mirror, const std::string& own_node);

}  // namespace kagami::cli
