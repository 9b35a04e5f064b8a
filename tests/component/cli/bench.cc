#include "tests/component/cli/bench.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace kagami::cli {
namespace {

constexpr config::Parameter kDummy[] = {{"path", config::ParameterKind::kPath, false, "", 0, 0, "A file."},
                                        {"start", config::ParameterKind::kScript, false, "", 0, 0, "A script."}};

constexpr config::Parameter kMirror[] = {
    {"data", config::ParameterKind::kPath, true, "", 0, 0, "A disk."},
    {"metadata", config::ParameterKind::kPath, true, "", 0, 0, "A small one."},
    {"mount", config::ParameterKind::kPath, false, "", 0, 0, "A place."},
    {"filesystem", config::ParameterKind::kString, false, "ext4", 0, 0, "A kind."},
    {"mkfs", config::ParameterKind::kBoolean, false, "true", 0, 0, "Yes or no."},
    {"initial_copy", config::ParameterKind::kBoolean, false, "true", 0, 0, "Yes or no."},
    {"automatic_resync", config::ParameterKind::kBoolean, false, "true", 0, 0, "Yes or no."},
    {"mode", config::ParameterKind::kString, false, "sync", 0, 0, "A mode."},
    {"port", config::ParameterKind::kInteger, false, "29011", 1, 65535, "A port."}};

}  // namespace

const config::TypeCatalogue& bench_types() {
    static const config::TypeCatalogue all{
        {{"dummy", "Does nothing.", kDummy, {}, false, {}}, {"md", "A mirror disk.", kMirror, {}, false, {}}},
        {{"userw", "Stall.", {}, {}, false, {}}}};
    return all;
}

const std::string kValidToml = R"([cluster]
name = "demo"
[[network]]
name = "net1"
[[node]]
name = "node1"
address = { net1 = "10.77.1.1" }
[[node]]
name = "node2"
address = { net1 = "10.77.1.2" }
[arbitration]
witness = [{ address = "10.77.1.9" }]
[[group]]
name = "web"
[[group.resource]]
type = "dummy"
name = "thing"
comment = "a thing"
[[monitor]]
type = "userw"
name = "userw"
)";

Bench::Bench() {
    std::string directory = "/tmp/kagami-cli-XXXXXX";
    root = ::mkdtemp(directory.data());
    places = {root / "etc", root / "state", root / "control.sock"};
}

Bench::~Bench() {
    std::error_code ignored;
    std::filesystem::remove_all(root, ignored);
}

int Bench::run_with(const Program& program, const std::vector<std::string>& arguments, const std::string& input,
                    bool terminal) {
    std::ostringstream out_stream;
    std::ostringstream err_stream;
    std::istringstream in_stream(input);
    Session session{{out_stream, err_stream, in_stream, false, terminal, false}, places, bench_types()};
    const int code = program(session, arguments);
    out = out_stream.str();
    err = err_stream.str();
    return code;
}

int Bench::run(const std::vector<std::string>& arguments) {
    return run_with(cli::run, arguments, "", false);
}
int Bench::run_typing(const std::vector<std::string>& arguments, const std::string& typed) {
    return run_with(cli::run, arguments, typed, true);
}
int Bench::run_piping(const std::vector<std::string>& arguments, const std::string& input) {
    return run_with(cli::run, arguments, input, false);
}
int Bench::clpstat(const std::vector<std::string>& arguments) {
    return run_with(run_clpstat, arguments, "", false);
}
int Bench::run_as(const Program& program, const std::vector<std::string>& arguments, const std::string& input) {
    return run_with(program, arguments, input, false);
}

std::string Bench::write(const std::string& name, const std::string& content) const {
    const std::filesystem::path path = root / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << content;
    std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    return path;
}

}  // namespace kagami::cli
