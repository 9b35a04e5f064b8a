#include <iterator>

#include "cli/bundle_files.h"
#include "cli/client.h"
#include "cli/setup.h"
#include "cli/verbs.h"
#include "common/config/nearest.h"
#include "common/files.h"

namespace kagami::cli {
namespace {

constexpr size_t kMaxTokenBytes = size_t{64} * 1024;
constexpr size_t kMaxCpuInfoBytes = size_t{4} * 1024 * 1024;
constexpr Duration kLongestToken = 1h;

Result<const config::Node*> own_node(const config::Config& config, const Arguments& arguments) {
    const bool given = arguments.has("node");
    const std::string name = given ? arguments.text("node") : host_name();
    if (const config::Node* node = config.node(name); node != nullptr) return node;
    std::vector<std::string_view> names;
    names.reserve(config.nodes.size());
    for (const config::Node& node : config.nodes) names.push_back(node.name);
    const std::string what =
        given ? "no node is called \"" + name + "\"" : "no node is called like this machine, \"" + name + "\"";
    return fail(ErrorCode::kNotFound, what,
                (given ? "" : "say which one it is with --node; ") + config::nearest(name, names, "nodes"));
}

void advise_profile(const Session& session, const config::Config& config) {
    const auto cpus = read_file("/proc/cpuinfo", kMaxCpuInfoBytes);
    const bool virtual_machine = cpus && cpus->find(" hypervisor") != std::string::npos;
    if (!virtual_machine || config.profile == "vm" || config.profile == "test") return;
    session.console.err
        << "This machine is a virtual machine; its host may pause it. profile = \"vm\" bears longer pauses than \""
        << config.profile << "\".\n";
}

void say_next_steps(const Session& session, const config::Config& config, const config::Node& self,
                    const Uuid& cluster) {
    std::ostream& err = session.console.err;
    err << "Cluster " << config.cluster_name << " (" << to_string(cluster) << ") is made; this machine is " << self.name
        << ".\n"
        << "Next:\n  systemctl enable --now kagamid\n";
    for (const config::Node& node : config.nodes) {
        if (node.id != self.id)
            err << "  kagami token " << node.name << "    and hand the text to this on " << node.name
                << ": kagami join -\n";
    }
    if (!config.arbitration.witness_address.empty()) {
        err << "  kagami token witness    and hand the text to this on the witness: kagami join -\n";
    }
}

Result<std::string> read_token(const Session& session, const std::string& source) {
    if (source != "-") return read_file(source, kMaxTokenBytes, FileAccess::kOwnerOnly);
    if (session.console.terminal_in) session.console.err << "Paste the token, then press Ctrl-D:\n";
    std::string text;
    char block[4096];
    while (text.size() <= kMaxTokenBytes &&
           (session.console.in.read(block, sizeof(block)), session.console.in.gcount() > 0)) {
        text.append(block, static_cast<size_t>(session.console.in.gcount()));
    }
    if (text.empty())
        return fail(ErrorCode::kUsage, "there is no token on standard input", "run: kagami join - < FILE");
    if (text.size() > kMaxTokenBytes)
        return fail(ErrorCode::kUsage, "what stands on standard input is too long for a token", "");
    return text;
}

}  // namespace

int run_init(Session& session, const Arguments& arguments) {
    const std::string path = arguments.has("config") ? arguments.text("config") : default_config_path(session.places);
    const auto loaded = load_config(session, path);
    if (!loaded) return report(session.console, loaded.error());
    const auto self = own_node(loaded->config, arguments);
    if (!self) return report(session.console, self.error());
    const auto packed = config::pack(loaded->bundle);
    if (!packed) return report(session.console, packed.error());
    const NewCluster cluster{new_uuid(), loaded->config, *packed, **self};
    if (const Status done = initialise(session.places, cluster); !done) return report(session.console, done.error());
    session.console.out << to_string(cluster.cluster) << '\n';
    advise_profile(session, loaded->config);
    say_next_steps(session, loaded->config, **self, cluster.cluster);
    return 0;
}

int run_token(Session& session, const Arguments& arguments) {
    const Duration valid = arguments.duration("valid", kLongestToken);
    if (valid < 1s || valid > kLongestToken) {
        return report(session.console,
                      {ErrorCode::kUsage, "--valid: a token lives 1s to 1h", "make it shortly before it is used"});
    }
    const auto client = Client::connect(session.places.socket);
    if (!client) return report(session.console, client.error());
    pb::TokenRequest request;
    request.set_node(arguments.positional);
    request.set_valid_seconds(static_cast<uint32_t>(milliseconds(valid) / 1000));
    const auto token = (*client)->create_token(request);
    if (!token) return report(session.console, token.error());
    session.console.out << token->text() << '\n';
    session.console.err << "For " << token->node() << ", once, until " << time_text(token->expires_unix_ms())
                        << ". It is a secret. On that machine: kagami join -\n";
    return 0;
}

int run_join(Session& session, const Arguments& arguments) {
    const auto text = read_token(session, arguments.positional);
    if (!text) return report(session.console, text.error());
    const auto joined = join(session.places, *text);
    if (!joined) return report(session.console, joined.error());
    const bool witness = joined->name == "witness";
    session.console.err << "This machine is " << joined->name << " of cluster " << to_string(joined->cluster)
                        << ".\nNext:\n";
    if (witness) session.console.err << "  chown -R kagami-witness: /etc/kagami /var/lib/kagami\n";
    session.console.err << "  systemctl enable --now " << (witness ? "kagami-witness" : "kagamid") << '\n';
    return 0;
}

}  // namespace kagami::cli
