#include <algorithm>
#include <set>

#include "common/config/checks.h"

namespace kagami::config {
namespace {

constexpr size_t kMaxMirrors = 64;        // of a cluster, as the document and the driver's messages hold them
constexpr size_t kMaxMirrorsOfGroup = 8;  // what the guard's page holds (guard_page.h)

std::string name_of(const Resource& resource) {
    return "resource " + resource.name;
}

// What both nodes must understand alike.
void check_alike(const Item& table, const Resource& resource, Problems& problems) {
    for (const char* key : {"port", "filesystem", "mode", "initial_copy", "automatic_resync", "mkfs"}) {
        std::set<std::string> texts;
        for (const auto& [node, values] : resource.values) texts.insert(values.text(key));
        if (texts.size() > 1)
            problems.add(place(table, "node"), name_of(resource) + ": " + key + " must be the same on both nodes",
                         std::string("give ") + key + " once, outside of node");
    }
}

bool lies_below(const std::string& path, const std::string& directory) {
    return path.size() > directory.size() && path.starts_with(directory) && path[directory.size()] == '/';
}

}  // namespace

void MirrorBook::claim(const Item& table, const Group& group, const Resource& resource, Problems& problems) {
    if (resource.type != "md") return;
    if (++count_ == kMaxMirrors + 1)
        problems.add(table.at, "more than " + std::to_string(kMaxMirrors) + " mirror disks", "remove some");
    if (group.nodes.size() != 2)
        problems.add(table.at,
                     name_of(resource) + ": a mirror disk joins exactly two nodes, and group " + group.name + " has " +
                         std::to_string(group.nodes.size()),
                     "name two nodes in `nodes` of the group");
    check_alike(table, resource, problems);
    std::set<std::string> ports;
    for (const auto& [node, values] : resource.values) {
        ports.insert(values.text("port"));
        once("data on node " + std::to_string(node.value), values.text("data"), table, "data", resource, problems);
        // The same book: nothing may be the data of one mirror and the metadata of another, or of the same.
        once("data on node " + std::to_string(node.value), values.text("metadata"), table, "metadata", resource,
             problems);
        once("mount on node " + std::to_string(node.value), values.text("mount"), table, "mount", resource, problems);
        for (const char* key : {"mount", "data", "metadata"})
            place_at({node, values.text(key), key, name_of(resource)}, table, problems);
        if (values.text("filesystem") == "none" && !values.text("mount").empty())
            problems.add(place(table, "mount"), name_of(resource) + ": without a file system there is nothing to mount",
                         "remove mount, or name the file system");
    }
    for (const std::string& port : ports) once("port", port, table, "port", resource, problems);
}

void MirrorBook::once(const std::string& book, const std::string& text, const Item& table, const char* key,
                      const Resource& resource, Problems& problems) {
    if (text.empty()) return;  // raw, or reported as missing
    const auto [entry, fresh] = first_.emplace(book + " " + text, name_of(resource) + " (" + key + ")");
    if (fresh) return;
    problems.add(place(table, key), name_of(resource) + ": " + key + " = " + text + " is taken by " + entry->second,
                 std::string("give each mirror disk its own ") + key);
}

// A mount below another one is torn down, and its users are ended, with the other; a disk below one is not there before it.
void MirrorBook::place_at(const Place& claimed, const Item& table, Problems& problems) {
    if (claimed.path.empty()) return;  // raw, or reported as missing
    const auto tell = [&](const Place& inner, const Place& outer) {
        if (std::string_view(outer.key) != "mount" || !lies_below(inner.path, outer.path)) return;
        problems.add(place(table, claimed.key),
                     inner.owner + ": " + inner.key + " = " + inner.path + " lies below " + outer.path + ", the mount point of " +
                         outer.owner,
                     std::string("choose a path outside of ") + outer.path);
    };
    for (const Place& other : places_) {
        if (other.node != claimed.node) continue;
        tell(claimed, other);
        tell(other, claimed);
    }
    places_.push_back(claimed);
}

void check_mirror_count(const Item& table, const Group& group, Problems& problems) {
    const auto count = static_cast<size_t>(std::count_if(group.resources.begin(), group.resources.end(),
                                                         [](const Resource& resource) { return resource.type == "md"; }));
    if (count > kMaxMirrorsOfGroup)
        problems.add(table.at,
                     "group " + group.name + " has " + std::to_string(count) + " mirror disks, more than the limit of " +
                         std::to_string(kMaxMirrorsOfGroup) + " that the guard covers",
                     "divide the group");
}

}  // namespace kagami::config
