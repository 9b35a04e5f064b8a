#include "monitors/disk/disk.h"

#include <fmt/format.h>

#include <array>

#include "monitors/words.h"

namespace kagami::monitors {
namespace {

using config::ParameterKind;

Status check_method(std::string_view text) {
    return one_of(text, "tur", "read", "read-direct", "write");
}

Status check_full(std::string_view text) {
    return one_of(text, "error", "caution", "normal");
}

constexpr std::array<config::Parameter, 4> kParameters = {{
    {"object", ParameterKind::kPath, true, "", 0, 0,
     "The device or a file on it; of method \"write\" a file that does not exist: it is made, synced and removed."},
    {"method", ParameterKind::kString, false, "read-direct", 0, 0,
     "\"tur\" (TEST UNIT READY, SCSI disks only), \"read\", \"read-direct\" (past the page cache) or \"write\".",
     check_method},
    {"size", ParameterKind::kInteger, false, "", 1, 99999999,
     "Bytes read or written; default: 512 of read-direct (whole blocks are read), else 2000000."},
    {"disk_full", ParameterKind::kString, false, "error", 0, 0,
     "What a disk without room is (method \"write\"): \"error\", \"caution\" or \"normal\".", check_full},
}};

constexpr uint64_t kDirectBytes = 512;
constexpr uint64_t kOtherBytes = 2000000;

host::DiskTest test_of(const config::Values& values) {
    const std::string& method = values.text("method");
    host::DiskTest test{host::DiskMethod::kRead, values.text("object"), kOtherBytes};
    if (method == "tur") test.method = host::DiskMethod::kTestUnitReady;
    if (method == "write") test.method = host::DiskMethod::kWrite;
    if (method == "read-direct") {
        test.method = host::DiskMethod::kReadDirect;
        test.bytes = kDirectBytes;
    }
    if (values.has("size")) test.bytes = static_cast<uint64_t>(values.integer("size"));
    return test;
}

std::string_view what_worked(host::DiskMethod method) {
    switch (method) {
        case host::DiskMethod::kTestUnitReady: return "is ready";
        case host::DiskMethod::kRead:
        case host::DiskMethod::kReadDirect: return "can be read";
        case host::DiskMethod::kWrite: return "can be written";
    }
    return "";
}

class Disk : public Monitor {
 public:
    explicit Disk(host::Host& host) : host_(host) {}

    Result<Finding> check(const Context& context) override {
        const host::DiskTest test = test_of(context.values);
        const auto good = host_.checks->test_disk(test, context.deadline);
        if (!good) return tl::unexpected(good.error());
        if (*good) return Finding{Health::kNormal, fmt::format("{} {}", test.object, what_worked(test.method))};
        const std::string& full = context.values.text("disk_full");
        return Finding{
            full == "error"     ? Health::kError
            : full == "caution" ? Health::kCaution
                                : Health::kNormal,
            fmt::format("{}: no room to write {} bytes: delete what is not needed there", test.object, test.bytes)};
    }

 private:
    host::Host& host_;
};

}  // namespace

const config::TypeDescription& disk_description() {
    static const config::TypeDescription description = {
        "diskw", "Tests whether a disk answers; a disk that stalls is noticed by the time-out.", kParameters, {}};
    return description;
}

std::unique_ptr<Monitor> make_disk(host::Host& host) {
    return std::make_unique<Disk>(host);
}

}  // namespace kagami::monitors
