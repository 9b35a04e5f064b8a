// A mail server or web server of a test (receivers.py), as a process of its own.
#pragma once

#include <sys/types.h>

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace kagami::testing {

class Receiver {
 public:
    // `kind`: smtp or http; further arguments as receivers.py takes them. Returns once it listens.
    Receiver(const std::string& directory, const std::string& kind, std::vector<std::string> arguments = {});
    ~Receiver() { stop(); }
    Receiver(const Receiver&) = delete;
    Receiver& operator=(const Receiver&) = delete;
    void stop();

    uint16_t port() const { return port_; }
    std::string url(const std::string& path) const { return "http://127.0.0.1:" + std::to_string(port_) + path; }
    // What it took and refused, in order.
    std::vector<nlohmann::json> all() const;
    std::vector<nlohmann::json> taken() const;
    size_t refused() const;
    // Waits until it took so many.
    bool took(size_t count) const;

 private:
    pid_t process_ = 0;
    std::string out_;
    uint16_t port_ = 0;
};

uint16_t free_port();  // on 127.0.0.1; nobody listens there

}  // namespace kagami::testing
