#include "cli/render_clpmd.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "cli/console.h"

namespace kagami::cli {
namespace {

constexpr size_t kColumn = 20;
constexpr const char* kUnknown = "--";

// Places in `copies`, in the order of the columns.
std::vector<int> columns(const pb::Mirror& mirror, const std::string& own_node) {
    std::vector<int> order;
    for (int i = 0; i < mirror.copies_size(); ++i) order.push_back(i);
    const std::string& first = mirror.primary().empty() ? own_node : mirror.primary();
    std::stable_partition(order.begin(), order.end(), [&](int i) { return mirror.copies(i).node() == first; });
    return order;
}

class Page {
 public:
    Page(const pb::Mirror& mirror, const std::string& own_node) : mirror_(mirror), order_(columns(mirror, own_node)) {}

    using CellOf = std::function<std::string(const pb::MirrorCopy&)>;
    void row(const std::string& label, const CellOf& cell) {
        line(label, [&](int i) { return cell(mirror_.copies(i)); });
    }
    void line(const std::string& label, const std::function<std::string(int place)>& cell) {
        std::string text = fmt::format("    {:<{}}", label, kColumn);
        for (const int i : order_) text += fmt::format("{:<{}}", cell(i), kColumn);
        add(text);
    }
    void head() {
        row(mirror_.name(), [](const auto& copy) { return copy.node(); });
        rule();
    }
    void rule() { add("    " + std::string(3 * kColumn, '-')); }
    void value(const std::string& label, const std::string& text) {
        add(fmt::format("    {:<{}}{}", label + ":", kColumn, text));
    }
    void add(std::string text) {
        text.erase(text.find_last_not_of(' ') + 1);
        text_ += text + "\n";
    }
    std::string text() const { return text_; }

 private:
    const pb::Mirror& mirror_;
    std::vector<int> order_;
    std::string text_;
};

// Both sides of a recovery show it.
std::string colour_of(const pb::Mirror& mirror, const pb::MirrorCopy& copy) {
    const bool takes_part = copy.node() == mirror.resync().from() || copy.node() == mirror.resync().to();
    if (mirror.state() == "Recovering" && takes_part) return "YELLOW";
    return copy.colour().empty() ? kUnknown : copy.colour();
}

std::string difference_of(const pb::Mirror& mirror, const pb::MirrorCopy& copy) {
    if (copy.role().empty() || mirror.size_bytes() == 0) return kUnknown;
    const uint64_t percent = (copy.dirty_bytes() * 100 + mirror.size_bytes() - 1) / mirror.size_bytes();
    return fmt::format("{}%", std::min<uint64_t>(percent, 100));
}

std::string clock_text(int64_t milliseconds) {
    if (milliseconds < 0) return "--:--:--";
    const int64_t seconds = milliseconds / 1000;
    return fmt::format("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

void add_recovery(const pb::Mirror& mirror, Page& page) {
    const pb::MirrorResync& resync = mirror.resync();
    page.add("");
    page.add(fmt::format("    {:<{}}Recovery Status", mirror.name(), kColumn));
    page.rule();
    page.value("Status", resync.stall().empty() ? "Recovering" : "Waiting: " + resync.stall());
    page.value("Direction", resync.from() + " -> " + resync.to());
    page.value("Percent", fmt::format("{}%", resync.percent()));
    page.value("Used Time", clock_text(resync.elapsed_ms()));
    page.value("Remain Time", clock_text(resync.remaining_ms()));
    page.value("Iteration Times", "1/1");
}

std::string active_of(const pb::MirrorCopy& copy) {
    if (copy.state() == "Unknown") return "Uncertain";
    return copy.role() == "primary" ? "Active" : "Inactive";
}

std::string connect_state(const pb::Mirror& mirror, const pb::MirrorConnect& connect) {
    if (connect.state() == "Unknown") return "Unknown";
    if (!mirror.connected()) return "Error";
    return connect.state() == "in use" ? "In use" : "Standby";
}

}  // namespace

std::string render_clpmdstat_list(const pb::Status& status) {
    std::string text;
    for (const pb::Mirror& mirror : status.mirrors()) text += "<" + mirror.name() + ">\n";
    return text;
}

std::string render_clpmdstat_mirror(const pb::Mirror& mirror, const std::string& own_node) {
    Page page(mirror, own_node);
    page.add(" Mirror Status: " + mirror.state());
    page.add("");
    page.head();
    page.row("Mirror Color", [&](const auto& copy) { return colour_of(mirror, copy); });
    if (mirror.state() == "Abnormal") {
        page.add("");
        page.row("Lastupdate Time", [](const auto&) { return kUnknown; });
        page.row("Break Time", [](const auto&) { return kUnknown; });
        page.row("Disk Error", [](const auto& copy) {
            return copy.disk() == "failed" ? "YES" : copy.state() == "Unknown" ? kUnknown : "NO";
        });
        page.row("Difference Percent", [&](const auto& copy) { return difference_of(mirror, copy); });
    }
    if (mirror.state() == "Recovering" && mirror.has_resync()) add_recovery(mirror, page);
    return page.text();
}

std::string render_clpmdstat_active(const pb::Mirror& mirror, const std::string& own_node) {
    Page page(mirror, own_node);
    page.head();
    page.row("Active Status", active_of);
    return page.text();
}

std::string render_clpmdstat_connect(const pb::Mirror& mirror, const std::string& own_node) {
    Page page(mirror, own_node);
    page.add(" Mirror Disk Connect: " + std::string(mirror.connected() ? "Connected" : "Disconnected"));
    page.add("");
    page.head();
    for (int i = 0; i < mirror.connects_size(); ++i) {
        const pb::MirrorConnect& connect = mirror.connects(i);
        page.line(fmt::format("{}  {}", i + 1, connect.network()),
                  [&](int place) { return place < connect.addresses_size() ? connect.addresses(place) : kUnknown; });
        page.value("   Status", connect_state(mirror, connect));
    }
    return page.text();
}

std::string render_clpmdstat_detail(const pb::Mirror& mirror, const std::string& own_node) {
    const auto or_unknown = [](const std::string& text) { return text.empty() ? std::string(kUnknown) : text; };
    Page page(mirror, own_node);
    page.head();
    page.row("Data Partition", [&](const auto& copy) { return or_unknown(copy.data()); });
    page.row("Cluster Part.", [&](const auto& copy) { return or_unknown(copy.metadata()); });
    page.row("Device", [&](const auto& copy) { return or_unknown(copy.device()); });
    page.row("Front End", [&](const auto& copy) { return or_unknown(copy.front_end()); });
    page.add("");
    page.value("Mount Point", mirror.mount().empty() ? "none" : mirror.mount());
    page.value("File System", mirror.mount().empty() ? "none" : mirror.filesystem());
    page.value("Size", mirror.size_bytes() == 0 ? kUnknown : bytes_text(mirror.size_bytes()));
    page.value("Mode", mirror.mode() == "sync" ? "Synchronous" : mirror.mode());
    page.value("Encryption", "ON");
    return page.text();
}

}  // namespace kagami::cli
