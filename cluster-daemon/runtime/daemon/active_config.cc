#include "cluster-daemon/runtime/daemon/active_config.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <set>

#include "cluster-daemon/engine/message_catalogue.h"
#include "common/config/bundle.h"
#include "common/config/reader.h"
#include "common/files.h"
#include "common/hash.h"
#include "monitors/monitor.h"
#include "resources/resource.h"

namespace kagami::runtime {
namespace {

namespace fs = std::filesystem;

Status make_directories(const std::string& top, const std::string& relative) {
    std::string path = top;
    size_t from = 0;
    while (true) {
        if (Status made = make_private_directory(path); !made) return made;
        const size_t slash = relative.find('/', from);
        if (slash == std::string::npos) return {};
        path.append("/").append(relative, from, slash - from);
        from = slash + 1;
    }
}

constexpr const char* kHashFile = "/hash";  // sha256 of the packed bundle, written last

std::string hash_text(const Bytes& packed) {
    const Hash hash = sha256(packed);
    return to_hex(hash.data(), hash.size());
}

Status write_bundle(const std::string& directory, const config::Bundle& bundle, const std::string& hash) {
    if (Status made = make_private_directory(directory); !made) return made;
    if (Status done = write_file_atomically(directory + "/cluster.toml", bundle.text); !done) return done;
    const std::string scripts = directory + "/scripts";
    if (Status made = make_private_directory(scripts); !made) return made;
    for (const auto& [name, content] : bundle.scripts) {
        if (Status made = make_directories(scripts, name); !made) return made;
        if (Status done = write_file_atomically(scripts + "/" + name, content, 0700); !done) return done;
    }
    return write_file_atomically(directory + kHashFile, hash);
}

// Puts `fresh` in the place of `active`; what stood there is removed. A script that runs from the old directory keeps its open file.
Status swap_in(const std::string& fresh, const std::string& active) {
    std::error_code ignored;
    const bool first = !fs::exists(active, ignored);
    const unsigned flags = first ? 0U : static_cast<unsigned>(RENAME_EXCHANGE);
    if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, active.c_str(), flags) != 0) {
        return fail(fmt::format("{}: cannot put the new configuration in force: {}", active, errno_text(errno)),
                    errno_remedy(errno, active));
    }
    fs::remove_all(fresh, ignored);
    return {};
}

}  // namespace

config::TypeCatalogue type_catalogue() {
    config::TypeCatalogue catalogue;
    for (const auto& type : resources::registry()) catalogue.resources.push_back(type.description);
    for (const auto& type : monitors::registry()) catalogue.monitors.push_back(type.description);
    catalogue.messages = engine::message_words();
    return catalogue;
}

std::shared_ptr<const config::Config> parse_packed(const Bytes& packed) {
    const auto bundle = config::unpack(packed);
    if (!bundle) return nullptr;
    auto parsed = parse_bundle(*bundle);
    if (!parsed.config) return nullptr;
    return std::make_shared<const config::Config>(std::move(*parsed.config));
}

config::Parsed parse_bundle(const config::Bundle& bundle) {
    std::set<std::string> scripts;
    for (const auto& [name, content] : bundle.scripts) scripts.insert(name);
    return config::parse(bundle.text, "cluster.toml", type_catalogue(), &scripts);
}

std::vector<std::string> problems_of(const Bytes& packed) {
    const auto bundle = config::unpack(packed);
    if (!bundle) return {bundle.error().message};
    std::vector<std::string> lines;
    for (const auto& problem : parse_bundle(*bundle).problems) lines.push_back(fmt::format("{}:{}: {}", problem.file, problem.line, problem.message));
    return lines;
}

Status store_active_config(const std::string& state_directory, const Bytes& packed) {
    const auto bundle = config::unpack(packed);
    if (!bundle) return tl::unexpected<Error>(bundle.error());
    const std::string hash = hash_text(packed);
    const auto present = read_file(state_directory + "/active" + kHashFile, 2 * hash.size());
    if (present && *present == hash) return {};  // a node whose disk is full can still start what it knew before
    const std::string fresh = state_directory + "/active.new";
    std::error_code ignored;
    fs::remove_all(fresh, ignored);
    if (Status written = write_bundle(fresh, *bundle, hash); !written) return written;
    return swap_in(fresh, state_directory + "/active");
}

std::string active_script_directory(const std::string& state_directory) { return state_directory + "/active/scripts"; }

}  // namespace kagami::runtime
