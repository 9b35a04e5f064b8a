// The command line's texts for canned answers, each kept as a file beside this one. KAGAMI_UPDATE=1 rewrites them; read
// the diff.
#include <google/protobuf/text_format.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "cli/json.h"
#include "cli/render.h"
#include "cli/render_clpmd.h"
#include "cli/render_metadata.h"

using namespace kagami::cli;

namespace {

std::string path_of(const std::string& name) {
    return KAGAMI_GOLDEN_DIRECTORY "/" + name;
}

std::string content_of(const std::string& name) {
    std::ifstream in(path_of(name));
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

template <typename Message>
Message canned(const std::string& name) {
    Message message;
    REQUIRE(google::protobuf::TextFormat::ParseFromString(content_of(name + ".textproto"), &message));
    return message;
}

void expect(const std::string& name, const std::string& text) {
    INFO(name << "; KAGAMI_UPDATE=1 rewrites it");
    if (std::getenv("KAGAMI_UPDATE") != nullptr) std::ofstream(path_of(name)) << text;
    CHECK(content_of(name) == text);
}

}  // namespace

TEST_CASE("the status is a page for a person") {
    for (const std::string name : {"two_nodes", "node_lost", "long_names"}) {
        const auto status = canned<pb::Status>(name);
        expect(name + ".status.txt", render_status(status, false));
        expect(name + ".json", json_document("status", status));
        std::string lines;
        for (const std::string& line : shortcomings(status)) lines += line + "\n";
        expect(name + ".check.txt", lines);
    }
}

TEST_CASE("colour adds to the words and never replaces them") {
    const auto status = canned<pb::Status>("node_lost");
    std::string text = render_status(status, true);
    CHECK(text.find("\033[31m") != std::string::npos);
    for (size_t at = text.find('\033'); at != std::string::npos; at = text.find('\033'))
        text.erase(at, text.find('m', at) - at + 1);
    CHECK(text == render_status(status, false));
}

namespace {

std::string without_colour(std::string text) {
    for (size_t at = text.find('\033'); at != std::string::npos; at = text.find('\033'))
        text.erase(at, text.find('m', at) - at + 1);
    return text;
}

template <typename Answer>
void check_colour(const Answer& answer, std::string (*render)(const Answer&, bool)) {
    const std::string coloured = render(answer, true);
    CHECK(coloured.find('\033') != std::string::npos);
    CHECK(without_colour(coloured) == render(answer, false));
}

}  // namespace

TEST_CASE("no page of the everyday verbs says anything by colour alone") {
    const auto status = canned<pb::Status>("everyday");
    check_colour(status, render_status);
    check_colour(status, render_switches);
    check_colour(status, render_failover);
    check_colour(status, render_leader);
    pb::DoctorAnswer doctor;
    doctor.add_findings()->set_severity("ERROR");
    doctor.mutable_findings(0)->set_message("a sentence that is so long that it does not fit into one line of a "
                                            "terminal of eighty columns");
    doctor.mutable_findings(0)->set_remedy("a remedy");
    check_colour(doctor, render_doctor);
    pb::SimulateAnswer simulated;
    simulated.set_data_risk(true);
    simulated.set_data_sentence("what was written is lost");
    simulated.add_groups()->set_gap_ms(-1);
    simulated.add_unmet("a condition");
    check_colour(simulated, render_simulate);
    pb::Statistics statistics;
    statistics.add_monitors()->set_timeouts(2);
    check_colour(statistics, render_statistics);
    pb::ConfigCheckAnswer plan;
    plan.set_hash("a");
    plan.add_changes()->set_restarts("group");
    check_colour(plan, render_plan);
}

TEST_CASE("mirror disks: a column for each node, words beside the colours") {
    const auto status = canned<pb::Status>("mirrors");
    std::string text;
    pb::Mirrors all;
    for (const pb::Mirror& mirror : status.mirrors()) {
        text += render_mirror(mirror, status.answering_node(), false) + "\n";
        *all.add_mirrors() = mirror;
    }
    expect("mirrors.txt", text);
    expect("mirrors.status.txt", render_status(status, false));
    expect("mirrors.json", json_document("mirror-status", all));
    std::string lines;
    for (const std::string& line : shortcomings(status)) lines += line + "\n";
    expect("mirrors.check.txt", lines);
}

TEST_CASE("clpmdstat keeps the words that scripts look for") {
    const auto status = canned<pb::Status>("mirrors");
    expect("mirrors.clpmdstat-list.txt", render_clpmdstat_list(status));
    const std::string& own = status.answering_node();
    for (const pb::Mirror& mirror : status.mirrors()) {
        const std::string name = "mirrors." + mirror.name() + ".clpmdstat";
        expect(name + "-mirror.txt", render_clpmdstat_mirror(mirror, own));
        expect(name + "-active.txt", render_clpmdstat_active(mirror, own));
        expect(name + "-connect.txt", render_clpmdstat_connect(mirror, own));
        expect(name + "-detail.txt", render_clpmdstat_detail(mirror, own));
    }
}

TEST_CASE("the metadata of a copy as text, sound and with remarks") {
    using namespace kagami;
    mirror::Inspection seen;
    seen.device_bytes = 32 << 20;
    seen.identified.kind = mirror::MetadataKind::kOurs;
    mirror::Loaded loaded;
    mirror::Context& context = loaded.context;
    context.cluster = Uuid{1};
    context.mirror = Uuid{2};
    context.self = NodeId{1};
    context.peer = NodeId{2};
    context.size_bytes = 1 << 30;
    context.device_identity = "partuuid=5f0c";
    context.nonce = Nonce{0xd3f6};
    context.current = {9, Uuid{0xc0}};
    context.base = {8, Uuid{0xb0}};
    context.history[0] = {{8, Uuid{0xb0}}, mirror::Cause::kSolo};
    context.history[1] = {{1, Uuid{0xa0}}, mirror::Cause::kTakeover};
    context.flags.constructed = context.flags.primary_indicated = true;
    loaded.slots = {7, mirror::kFreeSlot, 9};
    loaded.bitmap = mirror::Bitmap(context.size_bytes);
    loaded.bitmap.set({0, 4096});
    loaded.bitmap.set({1 << 20, 1 << 16});
    seen.loaded = loaded;
    expect("metadata.txt", render_metadata("/dev/sdb2", seen));
    CHECK(metadata_findings(seen).empty());
    seen.loaded->findings = {"1 superblock of 4 cannot be read; the others are used"};
    seen.loaded->log_incomplete = true;
    seen.loaded->context.flags.failed = seen.loaded->context.flags.inconsistent = true;
    expect("metadata-remarks.txt", render_metadata("/dev/sdb2", seen));
    std::string lines;
    for (const std::string& line : metadata_findings(seen)) lines += line + "\n";
    expect("metadata-remarks.check.txt", lines);
    mirror::Inspection blank;
    blank.device_bytes = 1 << 20;
    blank.error = {ErrorCode::kFailed, "no superblock is valid", "make new metadata"};
    expect("metadata-blank.txt", render_metadata("/dev/sdb2", blank) + metadata_findings(blank).front() + "\n");
}

TEST_CASE("clpstat keeps the text that scripts parse") {
    for (const std::string name : {"two_nodes", "node_lost", "long_names"}) {
        expect(name + ".clpstat.txt", render_clpstat(canned<pb::Status>(name), false));
        expect(name + ".clpstat-long.txt", render_clpstat(canned<pb::Status>(name), true));
    }
}

TEST_CASE("paths, reasons, history and log are aligned lines") {
    REQUIRE(setenv("TZ", "UTC", 1) == 0);
    tzset();
    expect("paths.txt", render_paths(canned<pb::Paths>("paths"), false));
    expect("why.txt", render_why(canned<pb::WhyAnswer>("why"), false));
    expect("why_mirror.txt", render_why(canned<pb::WhyAnswer>("why_mirror"), false));
    pb::WhyAnswer bare;  // without a sentence: no empty line
    bare.set_subject("node node1");
    bare.set_state("Online");
    CHECK(render_why(bare, false) == "node node1: Online\n");
    expect("history.txt", render_history(canned<pb::ConfigHistoryAnswer>("history"), false));
    pb::LogEntry entry;
    entry.set_time_unix_ms(1795294801123);
    entry.set_node("node2");
    entry.set_level("WARN");
    entry.set_subject("node node1");
    entry.set_message("is lost");
    CHECK(render_log(entry, false) == "2026-11-21 21:00:01.123  node2  WARN   node node1: is lost\n");
}
