// diskw: does a disk answer? By one of four methods: "tur" asks a SCSI disk by TEST UNIT READY; "read" reads through
// the page cache, which is emptied of it first; "read-direct" reads past it; "write" makes, syncs and removes a file of
// its own. An error is an error of the disk; no answer until the time-out is a check that timed out (the disk stalls).
// A full disk is judged by `disk_full`. The question is put by a process of its own (host::Checks), so that a stalled
// disk holds nobody but it; nothing is asked again while it waits.
#pragma once

#include <memory>

#include "monitors/monitor.h"

namespace kagami::monitors {

const config::TypeDescription& disk_description();
std::unique_ptr<Monitor> make_disk(host::Host& host);

}  // namespace kagami::monitors
