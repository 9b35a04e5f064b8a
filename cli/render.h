// Answers of the control service as text for people. Pure functions: the same answer gives the same text.
#pragma once

#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/config/diff.h"
#include "proto/control.pb.h"

namespace kagami::cli {

namespace pb = control::v1;

std::string render_status(const pb::Status& status, bool colour);
// The plain form that public scripts parse (expresscluster.md 5.2); names are cut unless `long_names`.
std::string render_clpstat(const pb::Status& status, bool long_names);
// One mirror disk, a column for each node; an asterisk marks `own_node`.
std::string render_mirror(const pb::Mirror& mirror, const std::string& own_node, bool colour);
// Its copies in one line, for the status page: "node1 GREEN primary, node2 YELLOW 43 %".
std::string mirror_line(const pb::Mirror& mirror, bool colour);
std::string render_paths(const pb::Paths& paths, bool colour);
// A square for each network: from the node of the line to that of the column.
std::string render_matrix(const pb::Paths& paths, bool colour);
std::string render_why(const pb::WhyAnswer& answer, bool colour);
std::string render_log(const pb::LogEntry& entry, bool colour);  // one line
std::string render_changes(const std::vector<config::Change>& changes, bool colour);
std::string render_history(const pb::ConfigHistoryAnswer& answer, bool colour);
std::string render_defaults(const config::TypeCatalogue& types, bool colour);
std::string render_progress(const pb::Progress& progress, bool colour);  // empty for kinds without a line

std::string render_simulate(const pb::SimulateAnswer& answer, bool colour);
std::string render_doctor(const pb::DoctorAnswer& answer, bool colour);
std::string render_statistics(const pb::Statistics& answer, bool colour);
std::string render_failover(const pb::Status& status, bool colour);  // the switch, and how each group fails over
std::string render_leader(const pb::Status& status, bool colour);
std::string render_ratio(const pb::Status& status, bool colour);
std::string render_plan(const pb::ConfigCheckAnswer& answer, bool colour);
// What persons have switched that a failure would meet, a line each with what ends it: failover, maintenance,
// time-outs, an unconfirmed configuration. Empty when there is nothing.
std::string render_switches(const pb::Status& status, bool colour);

// What is not as it should be, a line each; empty = all well. The measure of `status --check`.
std::vector<std::string> shortcomings(const pb::Status& status);
// What is known when no daemon answers: the configuration, all Offline.
pb::Status offline_status(const config::Config& config);

}  // namespace kagami::cli
