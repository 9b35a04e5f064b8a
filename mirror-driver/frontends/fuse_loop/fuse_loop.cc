#include "mirror-driver/frontends/fuse_loop/fuse_loop.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>
#include <thread>
#include <tuple>
#include <utility>

#include "common/host/cgroup.h"
#include "mirror-driver/frontends/fuse_loop/fuse_file.h"
#include "mirror-driver/io/loop_devices.h"
#include "mirror-driver/io/mount_table.h"

namespace kagami::mirror {
namespace {

// A process of this machine, as far as we see it, that has the device open; empty = none.
std::string holder_of(const std::string& device) {
    const std::unique_ptr<DIR, int (*)(DIR*)> processes(opendir("/proc"), closedir);
    while (const dirent* process = processes ? readdir(processes.get()) : nullptr) {
        const int pid = std::atoi(process->d_name);
        if (pid <= 0 || pid == getpid()) continue;
        const std::string folder = std::string("/proc/") + process->d_name + "/fd/";
        const std::unique_ptr<DIR, int (*)(DIR*)> files(opendir(folder.c_str()), closedir);
        while (const dirent* file = files ? readdir(files.get()) : nullptr) {
            char target[PATH_MAX];
            const ssize_t length = readlink((folder + file->d_name).c_str(), target, sizeof target);
            if (length > 0 && device == std::string_view(target, static_cast<size_t>(length))) {
                return host::process_name(pid) + " (process " + std::to_string(pid) + ")";
            }
        }
    }
    return {};
}

class FuseLoop final : public FrontEnd {
 public:
    explicit FuseLoop(FrontEndSettings settings)
        : settings_(std::move(settings)), path_(settings_.directory + "/disk") {}
    ~FuseLoop() override;
    Status begin();

    int descriptor() const override { return file_ && file_->can_receive() ? file_->descriptor() : -1; }
    void advance() override;
    void complete(const Completion& completion) override { file_->complete(completion); }
    void buffers_released() override;
    std::string device() const override { return state_ == FrontEndState::kOpen ? loop_.device : std::string(); }
    Status idle() const override;
    Status close() override;
    FrontEndState state() const override { return state_; }
    std::string trouble() const override { return trouble_; }

 private:
    enum class Task : uint8_t { kNone, kMount, kAttach, kDetach };
    void start(Task task);
    void work();
    Status sweep();
    Status mount();
    Status attach();
    Status detach();
    void task_ended();
    void fail_with(const std::string& why);
    void serve(UniqueFd descriptor, bool kept);

    FrontEndSettings settings_;
    const std::string path_;
    FrontEndState state_ = FrontEndState::kOpening;
    std::string trouble_;
    std::unique_ptr<FuseFile> file_;
    // ---- the helper's, while a task is under way ----
    std::thread helper_;
    std::atomic<bool> task_done_ = false;
    Task task_ = Task::kNone;
    Status outcome_;
    UniqueFd mounted_;
    Loop loop_;
    std::atomic<dev_t> mount_ = 0;
    bool unmount_anyway_ = false;
};

Status FuseLoop::begin() {
    if (settings_.kept_descriptor < 0) {
        start(Task::kMount);
        return {};
    }
    UniqueFd kept(std::exchange(settings_.kept_descriptor, -1));
    mount_ = mounted_at(path_);
    if (mount_ == 0)
        return fail(path_ + " is not mounted any more: its kept descriptor is of no use", "activate the group anew");
    serve(std::move(kept), true);
    if (auto again = file_->ask_again(); !again) return again;
    start(Task::kAttach);
    return {};
}

FuseLoop::~FuseLoop() {
    // Whatever the helper waits for, it ends with the connection.
    if (helper_.joinable()) {
        if (!task_done_ && mount_ != 0) abort_fuse_connection(mount_);
        helper_.join();
    }
}

void FuseLoop::start(Task task) {
    if (helper_.joinable()) helper_.join();
    task_ = task;
    task_done_ = false;
    helper_ = std::thread([this] { work(); });
}

void FuseLoop::work() {
    switch (task_) {
        case Task::kNone: break;
        case Task::kMount: outcome_ = mount(); break;
        case Task::kAttach: outcome_ = attach(); break;
        case Task::kDetach: outcome_ = detach(); break;
    }
    task_done_ = true;
    settings_.wake();
}

Status FuseLoop::sweep() {
    for (int attempt = 0; attempt < 8; ++attempt) {
        const dev_t dead = mounted_at(path_);
        if (dead == 0) return {};
        abort_fuse_connection(dead);
        auto loop = find_loop(path_, dead);
        // Still used: then it stays, without anything behind it, until its users are gone.
        if (loop && loop->fd.valid()) std::ignore = detach_loop(*loop, dead);
        if (umount2(path_.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0) {
            return fail(path_ + ": cannot unmount what an earlier driver left: " + errno_text(errno),
                        "unmount it (umount -l " + path_ + ")");
        }
    }
    return fail(path_ + " is mounted many times over", "unmount it (umount -l " + path_ + ")");
}

Status FuseLoop::mount() {
    if (auto swept = sweep(); !swept) return swept;
    auto fd = mount_fuse_file(path_);
    if (!fd) return tl::unexpected(fd.error());
    mounted_ = std::move(*fd);
    mount_ = mounted_at(path_);
    if (mount_ == 0) return fail(path_ + ": mounted, but not to be seen in /proc/self/mountinfo", "mount /proc");
    return {};
}

Status FuseLoop::attach() {
    auto loop = find_loop(path_, mount_);
    if (loop && !loop->fd.valid()) loop = attach_loop(path_);
    if (!loop) return tl::unexpected(loop.error());
    loop_ = std::move(*loop);
    return {};
}

Status FuseLoop::detach() {
    auto detached = detach_loop(loop_, mount_);
    if (!detached && !unmount_anyway_) return detached;
    loop_.fd.reset();
    if (mounted_at(path_) == mount_) umount2(path_.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
    return {};
}

void FuseLoop::serve(UniqueFd descriptor, bool kept) {
    FuseFile::Settings settings;
    settings.descriptor = std::move(descriptor);
    settings.kept = kept;
    settings.size_bytes = settings_.size_bytes;
    settings.buffers = settings_.buffers;
    settings.submit = settings_.submit;
    settings.resendable = [this] { settings_.keep(file_->descriptor()); };
    file_ = std::make_unique<FuseFile>(std::move(settings));
}

void FuseLoop::advance() {
    if (task_done_ && task_ != Task::kNone) task_ended();
    if (!file_) return;
    if (!file_->gone()) file_->advance();
    if (file_->gone() && (state_ == FrontEndState::kOpening || state_ == FrontEndState::kOpen)) {
        fail_with("the connection of " + path_ + " was aborted or unmounted");
    }
}

void FuseLoop::task_ended() {
    const Task ended = std::exchange(task_, Task::kNone);
    if (helper_.joinable()) helper_.join();
    if (ended == Task::kDetach) {
        if (outcome_ && (!file_ || file_->settled())) {
            if (file_) settings_.keep(-1);
            file_.reset();
            state_ = FrontEndState::kClosed;
        } else if (outcome_) {
            task_ = ended;  // answers are still under way: looked at again with the next one
        } else {
            trouble_ = outcome_.error().message;
            state_ = FrontEndState::kOpen;
        }
        return;
    }
    if (!outcome_)
        return fail_with(outcome_.error().message +
                         (outcome_.error().remedy.empty() ? "" : ": " + outcome_.error().remedy));
    if (ended == Task::kMount) {
        serve(std::move(mounted_), false);
        start(Task::kAttach);
    } else if (state_ == FrontEndState::kOpening) {
        state_ = FrontEndState::kOpen;
    }
}

void FuseLoop::fail_with(const std::string& why) {
    trouble_ = why;
    state_ = FrontEndState::kFailed;
}

void FuseLoop::buffers_released() {
    if (file_) file_->buffers_released();
}

Status FuseLoop::idle() const {
    if (state_ != FrontEndState::kOpen) return {};
    const UniqueFd alone(::open(loop_.device.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
    struct stat found {};
    const bool claimed = !alone.valid() && errno == EBUSY;
    if (claimed && ::stat(loop_.device.c_str(), &found) == 0) {
        if (const std::string point = mount_point_of(found.st_rdev); !point.empty()) {
            return fail(ErrorCode::kRefused, loop_.device + " is mounted on " + point, "unmount it");
        }
    }
    if (const std::string holder = holder_of(loop_.device); !holder.empty()) {
        return fail(ErrorCode::kRefused, loop_.device + " is open in " + holder, "end it");
    }
    if (claimed) {
        return fail(ErrorCode::kRefused,
                    loop_.device + " is in use: mounted in another namespace, swap, or part of another device",
                    "find who uses it (lsblk, findmnt in the containers of this machine)");
    }
    return {};
}

Status FuseLoop::close() {
    if (state_ == FrontEndState::kClosing || state_ == FrontEndState::kClosed) return {};
    unmount_anyway_ = state_ != FrontEndState::kOpen;
    if (unmount_anyway_ && mount_ != 0) abort_fuse_connection(mount_);
    if (helper_.joinable()) helper_.join();  // of an opening that was given up: it fails at once
    trouble_.clear();
    state_ = FrontEndState::kClosing;
    start(Task::kDetach);
    return {};
}

}  // namespace

Status fuse_loop_usable() {
    for (const auto& [device, module] : {std::pair{"/dev/fuse", "fuse"}, std::pair{"/dev/loop-control", "loop"}}) {
        if (access(device, R_OK | W_OK) == 0) continue;
        return fail(ErrorCode::kRefused, std::string(device) + ": " + errno_text(errno),
                    std::string("load the kernel module ") + module + " (modprobe " + module + ")");
    }
    return {};
}

Result<std::unique_ptr<FrontEnd>> open_fuse_loop(FrontEndSettings settings) {
    auto made = std::make_unique<FuseLoop>(std::move(settings));
    if (auto begun = made->begin(); !begun) return tl::unexpected(begun.error());
    return made;
}

void drop_fuse_loop(const std::string& directory) {
    const std::string path = directory + "/disk";
    if (const dev_t device = mounted_at(path); device != 0) {
        abort_fuse_connection(device);
        umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
    }
}

}  // namespace kagami::mirror
