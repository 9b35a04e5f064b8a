// What can be said of this machine when no daemon answers: whether its keys, its memory of the register, the
// configuration in force and the guard are there, and whether the disk has room. Only reads.
#pragma once

#include "cli/command.h"
#include "proto/control.pb.h"

namespace kagami::cli {

control::v1::DoctorAnswer look_without_daemon(Session& session);

}  // namespace kagami::cli
