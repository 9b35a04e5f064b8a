// The commands' bodies. Each returns the exit code; commands.cc puts them into the table.
#pragma once

#include "cli/command.h"

namespace kagami::cli {

int run_init(Session& session, const Arguments& arguments);
int run_token(Session& session, const Arguments& arguments);
int run_join(Session& session, const Arguments& arguments);

int run_status(Session& session, const Arguments& arguments);
int run_paths(Session& session, const Arguments& arguments);
int run_why(Session& session, const Arguments& arguments);
int run_log(Session& session, const Arguments& arguments);

int run_group_start(Session& session, const Arguments& arguments);
int run_group_stop(Session& session, const Arguments& arguments);
int run_group_move(Session& session, const Arguments& arguments);
int run_node_shutdown(Session& session, const Arguments& arguments);
int run_node_return(Session& session, const Arguments& arguments);
int run_cluster_start(Session& session, const Arguments& arguments);
int run_cluster_stop(Session& session, const Arguments& arguments);

int run_config_check(Session& session, const Arguments& arguments);
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

}  // namespace kagami::cli
