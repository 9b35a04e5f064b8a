// The SSL_CTX behind TlsContext, for the .cc files that speak OpenSSL.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

#include "cluster-daemon/runtime/pki.h"
#include "mirror-driver/io/channel/peer_stream.h"

namespace kagami::mirror {

template <auto Free>
struct OpensslDeleter {
    template <typename T>
    void operator()(T* object) const {
        Free(object);
    }
};

struct TlsContext::Impl {
    std::unique_ptr<SSL_CTX, OpensslDeleter<SSL_CTX_free>> context;
    runtime::KeyMaterial keys;
    std::string pki_directory;
    std::vector<int64_t> version;  // of the files, as the file system tells it
    Uuid cluster{};
    NodeId self;
    NodeId peer;
    // Of the other side's certificate: issued by our CA, valid now, of our cluster, and the peer's.
    Status check(X509* certificate) const;
};

// What OpenSSL's error queue says, in one line; empties it. "" when there is nothing in it.
std::string tls_error_text();

}  // namespace kagami::mirror
