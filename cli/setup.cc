#include "cli/setup.h"

#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "cluster-daemon/engine/engine.h"
#include "cluster-daemon/runtime/peer_channel.h"
#include "cluster-daemon/runtime/pki.h"
#include "cluster-daemon/runtime/register_store.h"
#include "common/assert.h"
#include "common/files.h"

namespace kagami::cli {
namespace {

constexpr Duration kJoinTimeout = 20s;

std::string keys_directory(const Places& places) {
    return places.etc + "/pki";
}
std::string register_path(const Places& places) {
    return places.state + "/voter.store";
}

Status write_register(const Places& places, NodeId self, const engine::Document& document) {
    if (const Status made = make_private_directory(places.state); !made) return made;
    const Bytes state = engine::encode(engine::initial_state(self, document));
    const auto store =
        runtime::RegisterStore::create(register_path(places), runtime::StoreKind::kVoter, document.cluster, state);
    if (!store) return tl::unexpected(store.error().error);
    return {};
}

// The directory above may be open to others, as a person made it; the keys' own may not.
Status make_keys_directory(const Places& places) {
    if (::mkdir(places.etc.c_str(), 0700) != 0 && errno != EEXIST) {
        return fail(places.etc + ": cannot make the directory: " + errno_text(errno), errno_remedy(errno, places.etc));
    }
    return make_private_directory(keys_directory(places));
}

// The keys go last: a machine with a register but without keys can start over, check_fresh() says how.
Status save_joined(const Places& places, const runtime::JoinAnswer& answer, const std::string& key_pem, NodeId self,
                   const Uuid& cluster) {
    const auto document = engine::decode_document(answer.bootstrap);
    if (!document) return tl::unexpected(document.error());
    if (document->cluster != cluster)
        return fail(ErrorCode::kRefused, "the answer holds the document of another cluster");
    if (const Status written = write_register(places, self, *document); !written) return written;
    return runtime::save_key_material(keys_directory(places), answer.ca_pem, {answer.certificate_pem, key_pem});
}

}  // namespace

Status check_fresh(const Places& places) {
    for (const std::string& path : {keys_directory(places) + "/node.crt", register_path(places)}) {
        if (::access(path.c_str(), F_OK) != 0) continue;
        return fail(
            ErrorCode::kRefused,
            "this machine belongs to a cluster already, or an earlier attempt was interrupted: " + path + " exists",
            "only to start over: stop kagamid, then remove " + keys_directory(places) + " and " + places.state);
    }
    return {};
}

Uuid new_uuid() {
    Uuid uuid{};
    KAGAMI_ASSERT(::getrandom(uuid.data(), uuid.size(), 0) == static_cast<ssize_t>(uuid.size()),
                  "the kernel gives no random bytes");
    uuid[6] = static_cast<uint8_t>((uuid[6] & 0x0fU) | 0x40U);
    uuid[8] = static_cast<uint8_t>((uuid[8] & 0x3fU) | 0x80U);
    return uuid;
}

Status initialise(const Places& places, const NewCluster& cluster) {
    if (const Status fresh = check_fresh(places); !fresh) return fresh;
    if (const Status made = make_keys_directory(places); !made) return made;
    const auto ca = runtime::create_ca(cluster.cluster);
    if (!ca) return tl::unexpected(ca.error());
    const auto own = runtime::issue(*ca, {cluster.cluster, runtime::Role::kNode, cluster.self.id, cluster.self.name});
    if (!own) return tl::unexpected(own.error());
    const auto document = engine::genesis(cluster.cluster, cluster.config, cluster.packed);
    if (const Status written = write_register(places, cluster.self.id, document); !written) return written;
    if (const Status saved = runtime::save_ca(keys_directory(places), *ca); !saved) return saved;
    return runtime::save_key_material(keys_directory(places), ca->certificate_pem, *own);
}

Result<Joined> join(const Places& places, const std::string& token_text) {
    if (const Status fresh = check_fresh(places); !fresh) return tl::unexpected(fresh.error());
    const auto token = runtime::decode_join_token(token_text);
    if (!token) return tl::unexpected(token.error());
    // Before the token is spent, as far as that can be known.
    if (const Status made = make_keys_directory(places); !made) return tl::unexpected(made.error());
    const runtime::PeerIdentity becomes = runtime::identity_after_join(token->info.identity);
    const auto key = runtime::create_key();
    if (!key) return tl::unexpected(key.error());
    const auto request = runtime::create_csr(*key, becomes.name);
    if (!request) return tl::unexpected(request.error());
    const auto answer = runtime::join_with_token(*token, *request, kJoinTimeout);
    if (!answer) return tl::unexpected(answer.error());
    const Status saved = save_joined(places, *answer, *key, becomes.node, becomes.cluster);
    if (!saved) return tl::unexpected(saved.error());
    return Joined{becomes.name, becomes.cluster};
}

std::string host_name() {
    char name[256] = {};
    if (::gethostname(name, sizeof(name) - 1) != 0) return "";
    const std::string text(name);
    return text.substr(0, text.find('.'));
}

}  // namespace kagami::cli
