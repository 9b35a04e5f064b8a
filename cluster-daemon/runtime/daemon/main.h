// The common main of kagamid and kagami-witness: options, log, signals.
#pragma once

namespace kagami::runtime {

int run_daemon(int argc, char** argv, bool witness);

}  // namespace kagami::runtime
