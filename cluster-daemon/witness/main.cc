#include "cluster-daemon/runtime/daemon/main.h"

int main(int argc, char** argv) { return kagami::runtime::run_daemon(argc, argv, true); }
