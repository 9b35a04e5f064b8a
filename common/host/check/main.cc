// kagami-check: puts one question that may wait in the kernel for ever, and prints the answer (answer.h). The daemon
// starts it for a monitor and kills it at the monitor's deadline; it ends by itself soon after that, should the daemon
// be gone by then.
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>

#include "common/host/check/answer.h"
#include "common/host/check/disk_test.h"
#include "common/host/check/load.h"
#include "common/host/check/process_pattern.h"

using namespace kagami;
using namespace kagami::host;

namespace {

constexpr const char* kUsageText =
    "usage: kagami-check SECONDS QUESTION...\n"
    "Asks what may wait for ever, and ends after SECONDS. The daemon starts it for monitors; by hand it tells what a\n"
    "monitor would see.\n"
    "  disk tur|read|read-direct|write OBJECT BYTES   diskw\n"
    "  space PATH                                     resw: free bytes\n"
    "  processes PATTERN                              psw: how many\n"
    "  load DIRECTORY BYTES file|thread|both          userw\n";

using Words = std::span<char*>;

int tell(std::string_view word, const std::string& second = {}, const std::string& third = {}) {
    std::printf("%.*s\n%s\n%s\n", static_cast<int>(word.size()), word.data(), second.c_str(), third.c_str());
    return word == answer::kOk || word == answer::kFull ? 0 : 1;
}

int tell_error(const Error& error) {
    if (error.code == ErrorCode::kUsage) return tell(answer::kUsage, error.message, error.remedy);
    if (error.code == ErrorCode::kNotFound) return tell(answer::kNotFound, error.message, error.remedy);
    return tell(answer::kFailed, error.message, error.remedy);
}

uint64_t number(std::string_view text) {
    uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

int disk(Words words) {
    const std::string_view method = words[1];
    DiskTest test{DiskMethod::kRead, words[2], number(words[3])};
    if (method == "tur") test.method = DiskMethod::kTestUnitReady;
    if (method == "read-direct") test.method = DiskMethod::kReadDirect;
    if (method == "write") test.method = DiskMethod::kWrite;
    const auto done = test_disk(test);
    if (!done) return tell_error(done.error());
    return tell(*done ? answer::kOk : answer::kFull, "0");
}

int load(Words words) {
    const std::string_view parts = words[3];
    const Status done = carry_load({parts == "thread" ? "" : words[1], number(words[2]), parts != "file"});
    return done ? tell(answer::kOk, "0") : tell_error(done.error());
}

template <typename Number>
int tell_number(const Result<Number>& value) {
    return value ? tell(answer::kOk, std::to_string(*value)) : tell_error(value.error());
}

}  // namespace

int main(int argc, char** argv) {
    const Words words = Words(argv, static_cast<size_t>(argc)).subspan(argc > 2 ? 2 : static_cast<size_t>(argc));
    const std::string_view question = words.empty() ? "" : words[0];
    if (argc > 1) ::alarm(static_cast<unsigned>(number(argv[1])));
    if (question == "disk" && words.size() == 4) return disk(words);
    if (question == "space" && words.size() == 2) return tell_number(free_bytes(words[1]));
    if (question == "processes" && words.size() == 2) return tell_number(count_processes(words[1]));
    if (question == "load" && words.size() == 4) return load(words);
    const bool asked = argc == 2 && std::string_view(argv[1]) == "--help";
    std::fputs(kUsageText, asked ? stdout : stderr);
    return asked ? 0 : 2;
}
