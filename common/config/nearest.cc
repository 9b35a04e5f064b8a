#include "common/config/nearest.h"

#include <algorithm>

namespace kagami::config {
namespace {

// Optimal string alignment: insertions, deletions, replacements and swaps of neighbours.
size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
    for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
    for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        for (size_t j = 1; j <= b.size(); ++j) {
            const size_t replaced = d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, replaced});
            const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[a.size()][b.size()];
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string_view>& words, std::string_view plural) {
    const std::string_view head = word.substr(0, 64);  // a hostile word must not cost quadratic time
    std::string_view best;
    size_t best_distance = std::max<size_t>(2, head.size() / 3) + 1;
    for (const std::string_view candidate : words) {
        const size_t distance = edit_distance(head, candidate);
        // "x" is not a misspelt "io": a suggestion must share more than it changes.
        if (distance < best_distance && distance < candidate.size()) {
            best = candidate;
            best_distance = distance;
        }
    }
    if (!best.empty()) return "did you mean \"" + std::string(best) + "\"?";
    if (plural.empty() || words.empty()) return "";
    std::string all;
    for (const std::string_view known : words) all += (all.empty() ? "" : ", ") + std::string(known);
    return std::string(plural) + ": " + all;
}

}  // namespace kagami::config
