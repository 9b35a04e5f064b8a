// Rules that join several tables: one owner of each name and address, and an order of start without cycles. Internal to
// the reader.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/config/table_reader.h"

namespace kagami::config {

// Reports the second object of one name. Names are unique within their kind.
class NameBook {
 public:
    explicit NameBook(std::string kind) : kind_(std::move(kind)) {}
    void claim(const std::string& name, Position at, Problems& problems);

 private:
    std::string kind_;
    std::map<std::string, Position> first_;
};

// Reports the second owner of an IP address; the same owner may claim one address again.
class AddressBook {
 public:
    void claim(const std::string& address, const std::string& owner, Position at, Problems& problems);

 private:
    struct Claim {
        std::string owner;
        Position at;
    };
    std::map<std::string, Claim> first_;
};

// Mirror disks (type md): two nodes each; ports, devices and mount points of their own; the same on both nodes where that
// matters; on a node, nothing below another mirror's mount point.
class MirrorBook {
 public:
    void claim(const Item& table, const Group& group, const Resource& resource, Problems& problems);

 private:
    void once(const std::string& book, const std::string& text, const Item& table, const char* key,
              const Resource& resource, Problems& problems);
    struct Place {
        NodeId node;
        std::string path;
        const char* key;  // "mount", "data", "metadata"
        std::string owner;
    };
    void place_at(const Place& place, const Item& table, Problems& problems);
    std::map<std::string, std::string> first_;  // what -> whose
    std::vector<Place> places_;
    size_t count_ = 0;
};
void check_mirror_count(const Item& table, const Group& group, Problems& problems);

// mtw combines monitors that exist, and neither itself nor another mtw. `tables` are in the order of `monitors`.
void check_combined(const std::vector<const Item*>& tables, const std::vector<Monitor>& monitors, Problems& problems);

// Reports each cycle of `after` once, at the place of one of its resources. `places` are in the order of
// group.resources.
void check_order(const Group& group, const std::vector<Position>& places, Problems& problems);

}  // namespace kagami::config
