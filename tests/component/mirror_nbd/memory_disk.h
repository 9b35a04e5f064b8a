// An NBD front end with memory behind it, on a thread of its own: what the engine and the devices do in the driver.
// Answers come in another order than the requests.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "mirror-driver/frontends/frontend.h"
#include "tests/support/temporary_directory.h"

namespace kagami::testing {

class MemoryDisk {
 public:
    explicit MemoryDisk(uint64_t size_bytes, uint32_t small_buffers = 64, uint32_t large_buffers = 8);
    ~MemoryDisk();
    std::string socket() const { return directory_.path() + "/nbd.sock"; }
    std::string uri() const { return "nbd+unix:///?socket=" + socket(); }

    uint64_t flushes() const { return flushes_; }
    uint64_t zeroed_bytes() const { return zeroed_bytes_; }
    uint64_t under_way() const { return under_way_; }
    void hold(bool answers) { held_ = answers; }  // true: nothing is answered
    void fail_with(int error) { error_ = error; }
    Status idle();
    Status close();
    mirror::FrontEndState state();
    bool buffers_free();  // for a client's largest request

 private:
    void serve();
    void answer_all();
    mirror::Completion carry_out(const mirror::ClientRequest& request);

    TemporaryDirectory directory_;
    Bytes disk_;
    mirror::Buffers buffers_;
    std::unique_ptr<mirror::FrontEnd> front_;
    std::mutex mutex_;  // of the front end
    std::vector<mirror::ClientRequest> waiting_;
    std::atomic<uint64_t> flushes_{0}, zeroed_bytes_{0}, under_way_{0};
    std::atomic<bool> held_{false}, stop_{false};
    std::atomic<int> error_{0};
    std::thread thread_;
};

}  // namespace kagami::testing
