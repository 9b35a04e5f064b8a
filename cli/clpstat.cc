// clpstat: the status of the cluster and its configuration, in the forms that scripts and runbooks of EXPRESSCLUSTER's
// users know (expresscluster.md 5.2). It only reads.
#include <algorithm>
#include <array>

#include "cli/bundle_files.h"
#include "cli/client.h"
#include "cli/clp.h"
#include "cli/render.h"
#include "cli/render_clpstat.h"

namespace kagami::cli {
namespace {

using V = ClpValue;
constexpr ClpOption kOptions[] = {
    {'s', "", V::kNone},         {'g', "", V::kNone},         {'m', "", V::kNone},         {'n', "", V::kNone},
    {'f', "", V::kNone},         {'p', "", V::kNone},         {'i', "", V::kNone},         {'h', "", V::kRequired},
    {'\0', "long", V::kNone},    {'\0', "local", V::kNone},   {'\0', "detail", V::kNone},  {'\0', "cl", V::kNone},
    {'\0', "sv", V::kOptional},  {'\0', "hb", V::kOptional},  {'\0', "fnc", V::kOptional}, {'\0', "svg", V::kOptional},
    {'\0', "grp", V::kOptional}, {'\0', "rsc", V::kOptional}, {'\0', "mon", V::kOptional}, {'\0', "xcl", V::kOptional}};
constexpr const char* kUsage =
    "Usage: clpstat [-s] [--long] [--local] [-h SERVER]    status of servers, groups and monitors\n"
    "       clpstat -g | -m | -n | -p | -f [-h SERVER]     where groups run | monitors on each server | heartbeats |\n"
    "                                                      network partition resolution | with forced stop\n"
    "       clpstat -i [--detail]                          the configuration of everything\n"
    "       clpstat { --cl | --sv | --hb | --fnc | --svg | --grp | --rsc | --mon | --xcl } [NAME] [--detail]\n\n"
    "--long: names are not cut. --local: only what concerns this server. See also: kagami status\n";

constexpr std::array<std::pair<const char*, ClpPart>, 9> kParts = {{{"cl", ClpPart::kCluster},
                                                                    {"sv", ClpPart::kServers},
                                                                    {"hb", ClpPart::kHeartbeats},
                                                                    {"fnc", ClpPart::kFencing},
                                                                    {"svg", ClpPart::kServerGroups},
                                                                    {"grp", ClpPart::kGroups},
                                                                    {"rsc", ClpPart::kResources},
                                                                    {"mon", ClpPart::kMonitors},
                                                                    {"xcl", ClpPart::kExclusiveRules}}};

struct Question {
    char view = 's';  // a letter of the options, or 'i' for the blocks
    ClpQuestion blocks;
    bool long_names = false;
    bool local = false;
    std::string server;  // -h
};

tl::unexpected<Error> usage(const std::string& message) {
    return fail(ErrorCode::kUsage, "clpstat: " + message, "");
}

void take_parts(const ClpArguments& arguments, ClpQuestion& blocks) {
    for (const auto& [word, part] : kParts)
        if (arguments.has(word) || arguments.has("i")) blocks.parts[part] = arguments.text(word);
    blocks.detail = arguments.has("detail");
}

Result<Question> question_of(const std::vector<std::string>& given) {
    const auto arguments = parse_clp("clpstat", kOptions, given);
    if (!arguments) return tl::unexpected(arguments.error());
    if (!arguments->others.empty()) return usage("\"" + arguments->others.front() + "\" is not expected");
    Question question;
    take_parts(*arguments, question.blocks);
    std::string views = question.blocks.parts.empty() ? "" : "i";
    for (const char view : {'s', 'g', 'm', 'n', 'f', 'p'})
        if (arguments->has(std::string(1, view))) views += view;
    if (views.size() > 1) return usage("one view at a time");
    if (!views.empty()) question.view = views.front();
    if (question.blocks.detail && question.view != 'i') return usage("--detail belongs to -i and to the parts");
    question.long_names = arguments->has("long");
    question.local = arguments->has("local");
    if ((question.long_names || question.local) && question.view != 's')
        return usage("--long and --local belong to -s");
    question.server = arguments->text("h");
    return question;
}

struct Scene {
    pb::Status status;
    pb::Paths paths;
    config::Config config;  // only where the question needs it
};

Result<config::Config> config_in_force(Client& client, const config::TypeCatalogue& types) {
    const auto version = client.config_show(pb::ConfigShowRequest{});
    if (!version) return tl::unexpected(version.error());
    auto parsed = config::parse(version->bundle().text(), "cluster.toml", types);
    if (parsed.config) return std::move(*parsed.config);
    return fail(ErrorCode::kFailed,
                "this program cannot read the configuration in force: " + config::to_string(parsed.problems.front()),
                "the daemon has another version: see kagami doctor");
}

Result<Scene> ask_scene(const Session& session, const Question& question) {
    const auto client = Client::connect(session.places.socket);
    if (!client) return tl::unexpected(client.error());
    auto status = (*client)->status();
    if (!status) return tl::unexpected(status.error());
    Scene scene{std::move(*status), {}, {}};
    if (question.view == 'n') {
        auto paths = (*client)->paths();
        if (!paths) return tl::unexpected(paths.error());
        scene.paths = std::move(*paths);
    }
    if (question.view == 'i') {
        auto config = config_in_force(**client, session.types);
        if (!config) return tl::unexpected(config.error());
        scene.config = std::move(*config);
    }
    return scene;
}

// The configuration alone, when no daemon answers.
std::optional<Scene> scene_without_daemon(const Session& session) {
    for (const std::string& path : {active_config_path(session.places), default_config_path(session.places)}) {
        const auto bundle = load_bundle(path);
        if (!bundle) continue;
        auto parsed = config::parse(bundle->text, path, session.types);
        if (!parsed.config) continue;
        pb::Status status = offline_status(*parsed.config);
        return Scene{std::move(status), {}, std::move(*parsed.config)};
    }
    return std::nullopt;
}

Result<std::string> page(const Question& question, const Scene& scene) {
    switch (question.view) {
        case 'g': return render_clpstat_groups(scene.status);
        case 'm': return render_clpstat_monitors(scene.status);
        case 'n': return render_clpstat_heartbeats(scene.status, scene.paths);
        case 'p': return render_clpstat_partition(scene.status);
        case 'f': return render_clpstat_fencing(scene.status);
        case 'i': return render_clpstat_information(question.blocks, scene.status, scene.config);
        default: return render_clpstat(question.local ? only_local(scene.status) : scene.status, question.long_names);
    }
}

// Another server is not asked: this one's daemon knows what the cluster agrees on, and says so. But a server that is
// not there is an error, as when it had been asked.
Status check_server(const Session& session, const Question& question, const pb::Status& status) {
    if (question.server.empty() || question.server == status.answering_node()) return {};
    for (const pb::Node& node : status.nodes()) {
        if (node.name() != question.server) continue;
        if (node.state() == "Offline" || node.state() == "Unknown")
            return fail(ErrorCode::kUnreachable, "server " + node.name() + " is " + node.state(),
                        "see kagami why " + node.name());
        session.console.err << "clpstat: as " << status.answering_node() << " sees it\n";
        return {};
    }
    return fail(ErrorCode::kNotFound, "there is no server " + question.server, "see kagami status");
}

int show(const Session& session, const Question& question, const Scene& scene) {
    const auto text = page(question, scene);
    if (!text) return report(session.console, text.error());
    session.console.out << *text;
    return 0;
}

}  // namespace

int run_clpstat(Session& session, const std::vector<std::string>& arguments) {
    if (std::find(arguments.begin(), arguments.end(), "--help") != arguments.end())
        return session.console.out << kUsage, 0;
    const auto question = question_of(arguments);
    if (!question) {
        const int code = report(session.console, question.error());
        session.console.err << kUsage;
        return code;
    }
    const auto scene = ask_scene(session, *question);
    if (scene) {
        const Status there = check_server(session, *question, scene->status);
        return there ? show(session, *question, *scene) : report(session.console, there.error());
    }
    const auto stopped = question->server.empty() ? scene_without_daemon(session) : std::nullopt;
    if (stopped) show(session, *question, *stopped);
    return report(session.console, scene.error());
}

}  // namespace kagami::cli
