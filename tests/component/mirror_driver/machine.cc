#include "tests/component/mirror_driver/machine.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>
#include <stdexcept>

#include "tests/support/wait_until.h"

namespace kagami::testing {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& words) {
    std::vector<char*> found;
    for (const auto& word : words) found.push_back(const_cast<char*>(word.c_str()));
    found.push_back(nullptr);
    return found;
}

}  // namespace

int start_program(const std::vector<std::string>& argv, const std::vector<std::string>& environment) {
    std::vector<std::string> variables = environment;
    variables.push_back("PATH=/usr/sbin:/usr/bin:/sbin:/bin");
    pid_t pid = -1;
    auto arguments = pointers(argv);
    auto values = pointers(variables);
    if (posix_spawn(&pid, argv.front().c_str(), nullptr, nullptr, arguments.data(), values.data()) != 0) {
        throw std::runtime_error("cannot start " + argv.front());
    }
    return pid;
}

int wait_for_program(int pid, Duration limit) {
    int status = 0;
    const bool ended = wait_until([&] { return waitpid(pid, &status, WNOHANG) == pid; }, limit);
    if (!ended) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int run_program(const std::vector<std::string>& argv, Duration limit) {
    const int pid = start_program(argv);
    const int status = wait_for_program(pid, limit);
    if (status == -1) {
        kill(pid, SIGKILL);
        wait_for_program(pid, 5s);
    }
    return status;
}

UniqueFd make_sized_file(const std::string& path, uint64_t size_bytes) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd.valid() || ftruncate(fd.get(), static_cast<off_t>(size_bytes)) != 0)
        throw std::runtime_error("cannot make " + path);
    return fd;
}

OwnLoop::OwnLoop(const std::string& file, bool read_only) {
    const UniqueFd backing(::open(file.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC));
    const UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    for (int attempt = 0; attempt < 100; ++attempt) {
        const int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
        device_ = "/dev/loop" + std::to_string(number);
        fd_ = UniqueFd(::open(device_.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC));
        loop_config config{};
        config.fd = static_cast<uint32_t>(backing.get());
        config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
        if (read_only) config.info.lo_flags |= LO_FLAGS_READ_ONLY;
        if (fd_.valid() && ioctl(fd_.get(), LOOP_CONFIGURE, &config) == 0) return;
    }
    throw std::runtime_error("no loop device for " + file);
}

OwnLoop::~OwnLoop() {
    ioctl(fd_.get(), LOOP_CLR_FD);
}

OwnMount::OwnMount(const std::string& device, std::string point, const char* type, const char* options)
    : point_(std::move(point)) {
    mkdir(point_.c_str(), 0700);
    ok_ = mount(device.c_str(), point_.c_str(), type, 0, options) == 0;
}

OwnMount::~OwnMount() {
    if (ok_) umount2(point_.c_str(), MNT_DETACH);
}

int OwnMount::unmount() {
    if (umount2(point_.c_str(), 0) != 0) return errno;
    ok_ = false;
    return 0;
}

void skipped(const std::string& reason) {
    std::cerr << "SKIPPED: " << reason << "\n";
}

}  // namespace kagami::testing
