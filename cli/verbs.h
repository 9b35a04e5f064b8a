// The commands' bodies. Each returns the exit code; commands.cc puts them into the table.
#pragma once

#include "cli/command.h"

namespace kagami::cli {

int run_init(Session& session, const Arguments& arguments);
int run_token(Session& session, const Arguments& arguments);
int run_join(Session& session, const Arguments& arguments);

int run_status(Session& session, const Arguments& arguments);
int run_paths(Session& session, const Arguments& arguments);
int run_leader(Session& session, const Arguments& arguments);
int run_statistics(Session& session, const Arguments& arguments);
int run_doctor(Session& session, const Arguments& arguments);
int run_accept(Session& session, const Arguments& arguments);
int run_simulate(Session& session, const Arguments& arguments);
int run_explain(Session& session, const Arguments& arguments);
int run_failover_status(Session& session, const Arguments& arguments);
int run_ratio_show(Session& session, const Arguments& arguments);
int run_why(Session& session, const Arguments& arguments);
int run_log(Session& session, const Arguments& arguments);

int run_group_start(Session& session, const Arguments& arguments);
int run_group_stop(Session& session, const Arguments& arguments);
int run_group_move(Session& session, const Arguments& arguments);
int run_resource_start(Session& session, const Arguments& arguments);
int run_resource_stop(Session& session, const Arguments& arguments);
int run_node_shutdown(Session& session, const Arguments& arguments);
int run_node_reboot(Session& session, const Arguments& arguments);
int run_node_return(Session& session, const Arguments& arguments);
int run_clear_final_actions(Session& session, const Arguments& arguments);
int run_leader_move(Session& session, const Arguments& arguments);
int run_cluster_start(Session& session, const Arguments& arguments);
int run_cluster_stop(Session& session, const Arguments& arguments);
int run_cluster_shutdown(Session& session, const Arguments& arguments);

int run_monitor_suspend(Session& session, const Arguments& arguments);
int run_monitor_resume(Session& session, const Arguments& arguments);
int run_monitor_fail(Session& session, const Arguments& arguments);
int run_monitor_unfail(Session& session, const Arguments& arguments);
int run_monitor_clear(Session& session, const Arguments& arguments);

int run_failover_on(Session& session, const Arguments& arguments);
int run_failover_off(Session& session, const Arguments& arguments);
int run_failover_force(Session& session, const Arguments& arguments);
int run_maintenance_begin(Session& session, const Arguments& arguments);
int run_maintenance_end(Session& session, const Arguments& arguments);
int run_ratio_set(Session& session, const Arguments& arguments);
int run_ratio_reset(Session& session, const Arguments& arguments);

int run_notify(Session& session, const Arguments& arguments);
int run_logs_collect(Session& session, const Arguments& arguments);

int run_completion(Session& session, const Arguments& arguments);
int run_man(Session& session, const Arguments& arguments);
int run_names(Session& session, const Arguments& arguments);

int run_config_check(Session& session, const Arguments& arguments);
int run_config_plan(Session& session, const Arguments& arguments);
int run_config_confirm(Session& session, const Arguments& arguments);
int run_config_rollback(Session& session, const Arguments& arguments);
int run_config_diff(Session& session, const Arguments& arguments);
int run_config_apply(Session& session, const Arguments& arguments);
int run_config_show(Session& session, const Arguments& arguments);
int run_config_history(Session& session, const Arguments& arguments);

int run_mirror_status(Session& session, const Arguments& arguments);
int run_mirror_resync(Session& session, const Arguments& arguments);
int run_mirror_force(Session& session, const Arguments& arguments);
int run_mirror_cancel(Session& session, const Arguments& arguments);
int run_mirror_break(Session& session, const Arguments& arguments);
int run_mirror_rejoin(Session& session, const Arguments& arguments);
int run_mirror_init(Session& session, const Arguments& arguments);
int run_mirror_dump(Session& session, const Arguments& arguments);
int run_mirror_check(Session& session, const Arguments& arguments);

// Of a duration that a daemon counts in minutes, rounded up; kUsage when it is missing or out of range.
Result<uint32_t> minutes_of(const Arguments& arguments, std::string_view option);

}  // namespace kagami::cli
