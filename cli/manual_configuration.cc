#include "cli/manual.h"
#include "cli/roff.h"
#include "common/config/keys.h"

namespace kagami::cli {
namespace {

constexpr const char* kHead = R"(.TH CLUSTER.TOML 5 "November 2026" "Kagami )" KAGAMI_VERSION R"(" "Kagami"
.\" Written by `kagami man` from the tables of keys.
.SH NAME
cluster.toml \- configuration of a Kagami cluster
.SH DESCRIPTION
One TOML file describes the whole cluster, the same on every node.
A person edits
.I /etc/kagami/cluster.toml
and the scripts below
.IR /etc/kagami/scripts/GROUP/RESOURCE/ ;
.B kagami init
and
.B kagami config apply
put both into the cluster's document, from where every node gets them.
.B kagami config check
reports all problems at once, each as
.IR FILE:LINE:COLUMN ;
unknown keys are errors.
.B kagami config plan
asks the cluster what a change would restart: nothing, a monitor, a group, or the whole cluster.
Groups stop and start again for it; a change of timing, networks or voters is refused while the cluster runs.
.PP
Names are a letter or digit, then up to 30 letters, digits,
.B _
or
.BR \- .
Durations are strings with a unit: "300ms", "2s", "5min", "1h".
Addresses are numbers, never names.
Node ids are the order of the
.B [[node]]
tables.
)";
constexpr const char* kTail = R"(.SH EXAMPLE
.EX
[cluster]
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
type = "fip"
name = "fip1"
address = "10.77.1.100/24"
[[group.resource]]
type = "exec"
name = "nginx"
start_mode = "async"
[[monitor]]
type = "pidw"
name = "nginx\-alive"
target = "nginx"
.EE
.SH SEE ALSO
.BR kagami (1),
.BR kagamid (8)
)";

std::string default_of(const config::Key& key) {
    if (key.required) return "required";
    return std::string(key.default_text);
}

std::string about(const config::Key& key) {
    std::string text(key.help);
    const std::string range = config::range_text(key);
    const std::string values = range.empty() ? std::string(config::kind_words(key.kind)) : range;
    if (!text.empty() && !text.ends_with('.')) text += ".";
    return text + (text.empty() ? "" : " ") + "(" + values + ")";
}

// A name that the page sets in a block of its own, so that long lists of words wrap.
std::string key_paragraph(const config::Key& key) {
    const std::string value = default_of(key);
    const std::string shown = value.empty() ? "" : value == "required" ? " (required)" : " = " + value;
    return ".TP\n" + roff_bold(key.name) + roff(shown) + "\n" + roff(about(key)) + "\n";
}

std::string keys_block(std::span<const config::Key> keys) {
    std::string text;
    for (const config::Key& key : keys) text += key_paragraph(key);
    return text;
}

std::string types_block(const std::vector<config::TypeDescription>& types) {
    std::string text;
    for (const config::TypeDescription& type : types) {
        text += ".SS " + std::string(type.word) + "\n" + roff(type.summary) + "\n";
        if (type.needs_target) text += "It needs a\n.BR target .\n";
        const std::vector<config::Key> keys = config::keys_of(type.parameters);
        text += keys_block(keys);
    }
    return text;
}

}  // namespace

std::string configuration_page(const config::TypeCatalogue& types) {
    std::string text = kHead;
    text += ".SH TABLES\n" + keys_block(config::root_keys());
    for (const config::Section* section : config::sections())
        text += ".SH " + roff(section->title) + "\n" + roff(section->help) + "\n" + keys_block(section->keys);
    text += ".SH TYPES OF RESOURCES\n" + types_block(types.resources);
    text += ".SH TYPES OF MONITORS\n" + types_block(types.monitors);
    return text + kTail;
}

}  // namespace kagami::cli
