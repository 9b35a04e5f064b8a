// Until when this node may acknowledge writes of a mirror: the deadline on the guard's page, if the page is sound, of
// this boot, and lists the mirror's group under the token that the mirror was promoted with, not condemned. While the
// page says that a person runs this node by hand (unmanaged): as long as it says so. Otherwise never.
#pragma once

#include <memory>
#include <string>

#include "common/ids.h"
#include "common/time.h"

namespace kagami::mirror {

class LeaseReader {
 public:
    LeaseReader(std::string page_path, std::string group, const BootId& boot);
    ~LeaseReader();

    Instant until(Token token, Instant now);                 // zero = no lease
    const std::string& trouble() const { return trouble_; }  // why the page cannot be read; empty = it can

 private:
    struct Reader;
    void open(Instant now);
    std::string path_;
    std::string group_;
    BootId boot_;
    std::unique_ptr<Reader> reader_;
    Instant next_try_;
    std::string trouble_;
};

}  // namespace kagami::mirror
