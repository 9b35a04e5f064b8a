#include "cli/bundle_files.h"

#include <filesystem>
#include <system_error>

#include "common/files.h"

namespace kagami::cli {
namespace {

namespace fs = std::filesystem;

tl::unexpected<Error> cannot_read(const fs::path& path, const std::error_code& error) {
    return fail(ErrorCode::kFailed, path.string() + ": " + error.message(), "");
}

bool left_out(const fs::path& path) {
    const std::string name = path.filename().string();
    return name.starts_with('.') || name.ends_with('~');
}

Status add_script(const fs::path& root, const fs::path& path, config::Bundle& bundle) {
    const std::string name = path.lexically_relative(root).generic_string();
    if (!config::valid_script_path(name)) {
        return fail(ErrorCode::kUsage, path.string() + ": not of the form scripts/GROUP/RESOURCE/FILE",
                    "move or remove it");
    }
    auto content = read_file(path.string(), config::kMaxBundleBytes);
    if (!content) return tl::unexpected(content.error());
    bundle.scripts.emplace(name, std::move(*content));
    return {};
}

Status add_scripts(const fs::path& root, config::Bundle& bundle) {
    std::error_code error;
    if (!fs::exists(root, error)) return {};
    fs::recursive_directory_iterator walk(root, error);
    for (; !error && walk != fs::recursive_directory_iterator(); walk.increment(error)) {
        const bool directory = fs::is_directory(walk->symlink_status());
        if (left_out(walk->path())) {
            if (directory) walk.disable_recursion_pending();
        } else if (!directory) {
            if (const Status added = add_script(root, walk->path(), bundle); !added) return added;
        }
    }
    if (error) return cannot_read(root, error);
    return {};
}

}  // namespace

std::string active_config_path(const Places& places) {
    return places.state + "/active/cluster.toml";
}
std::string default_config_path(const Places& places) {
    return places.etc + "/cluster.toml";
}

Result<config::Bundle> load_bundle(const std::string& toml_path) {
    auto text = read_file(toml_path, config::kMaxBundleBytes);
    if (!text) return tl::unexpected(text.error());
    config::Bundle bundle{std::move(*text), {}};
    if (const Status added = add_scripts(fs::path(toml_path).parent_path() / "scripts", bundle); !added)
        return tl::unexpected(added.error());
    return bundle;
}

Result<LoadedConfig> load_config(Session& session, const std::string& toml_path) {
    auto bundle = load_bundle(toml_path);
    if (!bundle) return tl::unexpected(bundle.error());
    std::set<std::string> scripts;
    for (const auto& [name, content] : bundle->scripts) scripts.insert(name);
    auto parsed = config::parse(bundle->text, toml_path, session.types, &scripts);
    for (const config::Problem& problem : parsed.problems) session.console.err << config::to_string(problem) << '\n';
    if (!parsed.config) {
        const size_t count = parsed.problems.size();
        return fail(ErrorCode::kUsage,
                    toml_path + ": " + std::to_string(count) + (count == 1 ? " problem" : " problems"), "");
    }
    return LoadedConfig{std::move(*bundle), std::move(*parsed.config)};
}

}  // namespace kagami::cli
