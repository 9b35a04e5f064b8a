// The front end without a kernel: an NBD server on DIRECTORY/nbd.sock (0600), for backup tools and foreign clients.
// Fixed newstyle, simple replies, FLUSH, FUA, TRIM and WRITE_ZEROES (both zero the blocks); blocks of 4096 bytes,
// requests of at most 1 MiB. Several clients at once; a flush covers what was answered to any of them, but
// CAN_MULTI_CONN is not offered. The export has the mirror's name, or none. A client that leaves in the middle leaves
// its requests to end by themselves. It closes only without clients, and is closed when those requests have ended too.
#pragma once

#include "mirror-driver/frontends/frontend.h"

namespace kagami::mirror {

Status nbd_socket_usable();
Result<std::unique_ptr<FrontEnd>> open_nbd_socket(FrontEndSettings settings);
void drop_nbd_socket(const std::string& directory);

}  // namespace kagami::mirror
