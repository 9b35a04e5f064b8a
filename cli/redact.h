// A configuration as it may leave the machine: whatever may be a secret is replaced by "(removed)". It works on the
// text, so that a file with errors, a comment or a key that no version knows is treated alike; rather too much goes
// than too little. Scripts are no matter of this.
#pragma once

#include <string>
#include <string_view>

namespace kagami::cli {

// Values of keys that look like secrets (password, secret, token, community, ...), what comes before the @ of an
// address, and the path of a URL.
std::string without_secrets(std::string_view toml);

}  // namespace kagami::cli
