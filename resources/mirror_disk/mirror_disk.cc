#include "resources/mirror_disk/mirror_disk.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <csignal>

namespace kagami::resources {
namespace {

using config::ParameterKind;

constexpr const char* kMount = "/usr/bin/mount";
constexpr const char* kUnmount = "/usr/bin/umount";
constexpr const char* kMakeExt4 = "/usr/sbin/mke2fs";  // mkfs.ext4 is a link, and links are not run
constexpr const char* kMakeXfs = "/usr/sbin/mkfs.xfs";
constexpr const char* kCheckExt = "/usr/sbin/e2fsck";
constexpr const char* kRepairXfs = "/usr/sbin/xfs_repair";

constexpr int kFsckCorrected = 3;           // bits 1 and 2 of e2fsck's exit status: corrected; all others are failures
constexpr Duration kFirstPause = 50ms;      // between attempts to unmount, doubled each time ...
constexpr Duration kLongestPause = 1s;      // ... up to this
constexpr Duration kLongestTermWait = 5s;   // for holders to end after SIGTERM, then they are killed
constexpr Duration kCloseWait = 5s;         // for who still looks at the device after the unmount (udev does)
constexpr uint64_t kLastNewGeneration = 3;  // a node or two may be lost between construction and the first mkfs
constexpr Duration kSettleWait = 3s;        // for a mirror driver that has just been restarted to take its device up again
constexpr size_t kMaxPathBytes = 255;       // as the guard's page and the driver's messages hold them

Status check_path(std::string_view text) {
    const bool good = text.size() > 1 && text.size() <= kMaxPathBytes && text.front() == '/' && text.back() != '/' &&
                      text.find("//") == text.npos && (std::string(text) + "/").find("/../") == std::string::npos &&
                      (std::string(text) + "/").find("/./") == std::string::npos &&
                      std::none_of(text.begin(), text.end(), [](char c) { return c >= 0 && (c < ' ' || c == 127); });
    if (good) return {};
    return fail(ErrorCode::kUsage, "is not a plain absolute path of at most 255 characters",
                "write it from / on, without \"//\", \".\", \"..\" and a trailing \"/\"");
}

Status check_mount(std::string_view text) {
    if (text.empty()) return {};
    if (Status plain = check_path(text); !plain) return plain;
    // What hides Kagami's own files, or what the system runs from.
    constexpr std::array<std::string_view, 15> kWhole = {"/home", "/media", "/mnt", "/opt",       "/root",
                                                         "/run",  "/tmp",   "/usr", "/usr/local", "/var",
                                                         "/var/cache", "/var/lib", "/var/log", "/var/run", "/var/tmp"};
    constexpr std::array<std::string_view, 18> kWithBelow = {
        "/bin",  "/boot", "/dev",  "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/sbin", "/sys",
        "/usr/local/bin", "/usr/local/lib", "/usr/local/libexec", "/usr/local/sbin",
        "/run/kagami", "/var/lib/kagami", "/var/run/kagami"};
    const auto lies_below = [&](std::string_view path) {
        return text.starts_with(path) && (text.size() == path.size() || text[path.size()] == '/');
    };
    const bool system = std::find(kWhole.begin(), kWhole.end(), text) != kWhole.end() ||
                        std::any_of(kWithBelow.begin(), kWithBelow.end(), lies_below) ||
                        (lies_below("/usr") && !lies_below("/usr/local"));
    if (!system) return {};
    return fail(ErrorCode::kUsage, "is a directory of the system itself, or hides files of Kagami",
                "mount the mirror on a directory of its own, for example \"/srv/data\"");
}

Status check_word(std::string_view text, std::initializer_list<std::string_view> words) {
    if (std::find(words.begin(), words.end(), text) != words.end()) return {};
    std::string known;
    for (const std::string_view each : words) known += (known.empty() ? "\"" : "\", \"") + std::string(each);
    return fail(ErrorCode::kUsage, "is unknown", "write one of " + known + "\"");
}

Status check_filesystem(std::string_view text) {
    return check_word(text, {"ext4", "xfs", "none"});
}

Status check_fsck(std::string_view text) {
    return check_word(text, {"auto", "repair", "never"});
}

Status check_mode(std::string_view text) {
    if (text == "async")
        return fail(ErrorCode::kUsage, "is not possible yet: asynchronous mirrors come later", "write \"sync\"");
    return check_word(text, {"sync"});
}

Status check_port(std::string_view text) {
    if (text != "29001" && text != "29002") return {};
    return fail(ErrorCode::kUsage, "is the cluster daemon's own port", "choose another, for example 29012");
}

Status check_options(std::string_view text) {
    const bool good = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c != 127; });
    if (good && !text.starts_with('-')) return {};
    return fail(ErrorCode::kUsage, "are not mount options", "write them as after mount -o, for example \"noatime\"");
}

constexpr std::array<config::Parameter, 13> kParameters = {{
    {"data", ParameterKind::kPath, true, "", 0, 0, "The partition (or file of fixed size) that holds the data on a node.",
     check_path},
    {"metadata", ParameterKind::kPath, true, "", 0, 0,
     "The partition (or file of fixed size) for what the mirror keeps beside them: at least 16 MiB (8 MiB and 33 MiB for "
     "each TiB of data).",
     check_path},
    {"mount", ParameterKind::kPath, false, "", 0, 0,
     "Where the file system is mounted while the group is active; without it the disk is used raw.", check_mount},
    {"filesystem", ParameterKind::kString, false, "ext4", 0, 0, "\"ext4\", \"xfs\", or \"none\" for a raw disk.",
     check_filesystem},
    {"mount_options", ParameterKind::kString, false, "", 0, 0,
     "As after mount -o; without them ext4 is mounted with errors=remount-ro, xfs with none.", check_options},
    {"mkfs", ParameterKind::kBoolean, false, "true", 0, 0,
     "Whether the file system is made at the first activation, when the disk is blank."},
    {"fsck", ParameterKind::kString, false, "auto", 0, 0,
     "Before each mount of ext4: \"auto\" repairs what is safe (e2fsck -p) and refuses the rest, \"repair\" repairs "
     "everything (e2fsck -y; xfs_repair when an xfs cannot be mounted), \"never\" checks nothing.",
     check_fsck},
    {"unmount_kill", ParameterKind::kBoolean, false, "true", 0, 0,
     "Whether processes that keep the file system busy at deactivation are ended (SIGTERM, then SIGKILL)."},
    {"mode", ParameterKind::kString, false, "sync", 0, 0,
     "\"sync\": a write is acknowledged when both nodes have it.", check_mode},
    {"port", ParameterKind::kInteger, false, "29011", 1024, 65535,
     "TCP port between the two mirror drivers; each mirror has its own.", check_port},
    {"initial_copy", ParameterKind::kBoolean, false, "true", 0, 0,
     "Whether the first construction copies the whole disk; false declares that both data partitions are identical now."},
    {"automatic_resync", ParameterKind::kBoolean, false, "true", 0, 0,
     "Whether a copy that is behind is brought up to date as soon as its node is back."},
    {"driver_timeout", ParameterKind::kDuration, false, "20s", 5, 300,
     "How long the mirror driver may give no sign of life before the I/O of the mirror is failed; it is killed, and so "
     "started again, after a quarter of that."},
}};
constexpr std::array<std::string_view, 2> kAfter = {"volmgr", "disk"};

std::string name_of(const Context& context) {
    return context.group + "." + context.resource;
}

std::string log_of(const Context& context) {
    return "/var/lib/kagami/log/" + name_of(context) + ".log";
}

bool raw(const Context& context) {
    return context.values.text("mount").empty() || context.values.text("filesystem") == "none";
}

std::string sentence_of(const std::vector<host::Holder>& holders) {
    std::string all;
    for (const host::Holder& holder : holders) {
        if (!all.empty()) all += ", ";
        all += holder.pid == 0 ? holder.command : fmt::format("{} ({})", holder.command, holder.pid);
    }
    return all.empty() ? "nobody that can be seen (a mapped file, a swap file, an NFS export or a loop device perhaps)" : all;
}

class MirrorDisk : public Resource {
 public:
    explicit MirrorDisk(host::Host& host) : host_(host) {}
    Status activate(const Context& context) override;
    Status deactivate(const Context& context) override;
    Result<Probe> probe(const Context& context) override;
    Result<Footprint> footprint(const Context& context) override;

 private:
    Result<host::ScriptResult> run(const Context& context, std::vector<std::string> argv) const;
    Status run_well(const Context& context, std::vector<std::string> argv, const std::string& remedy) const;
    Result<std::optional<host::Mount>> mounted_at(const std::string& target) const;
    Result<bool> still_mounted(const Context& context, const std::optional<host::MirrorDevice>& device) const;
    Result<bool> already_mounted(const Context& context, const std::string& device) const;
    Status check_new(const Context& context, const host::MirrorDevice& mirror) const;
    Status make_file_system(const Context& context, const host::MirrorDevice& mirror) const;
    Status check_file_system(const Context& context, const std::string& device) const;
    Status mount(const Context& context, const std::string& device) const;
    Status unmount(const Context& context) const;
    void make_free(const Context& context, Instant term_until, int& last_signal) const;
    Status still_busy(const Context& context, const std::string& output) const;
    host::Host& host_;
};

// ---- programs ----

Result<host::ScriptResult> MirrorDisk::run(const Context& context, std::vector<std::string> argv) const {
    host::ScriptRequest request;
    request.group = context.group;
    request.resource = context.resource;
    request.argv = std::move(argv);
    request.environment = {{"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"}, {"LC_ALL", "C"}};
    request.log_name = name_of(context);
    return host_.scripts->run(request, context.deadline);
}

// How a program ended badly, or nothing.
std::string failure_of(const host::ScriptResult& result) {
    if (result.timed_out) return "did not end in time";
    if (result.signal != 0) return fmt::format("was ended by signal {}", result.signal);
    if (result.exit_code != 0) return fmt::format("failed with exit status {}", result.exit_code);
    return "";
}

Error program_error(const Context& context, const std::string& program, const host::ScriptResult& result,
                    const std::string& remedy) {
    const std::string output = result.last_output.empty() ? "" : ": \"" + result.last_output + "\"";
    return {result.timed_out ? ErrorCode::kTimedOut : ErrorCode::kFailed,
            fmt::format("{}: {} {}{}", name_of(context), program, failure_of(result), output),
            result.timed_out ? "raise activate_timeout or deactivate_timeout of the resource, see " + log_of(context)
                             : remedy};
}

Status MirrorDisk::run_well(const Context& context, std::vector<std::string> argv, const std::string& remedy) const {
    const std::string program = argv.front();
    const auto result = run(context, std::move(argv));
    if (!result) return tl::unexpected(result.error());
    if (failure_of(*result).empty()) return {};
    return tl::unexpected(program_error(context, program, *result, remedy));
}

// ---- activation ----

// What lies on top there.
Result<std::optional<host::Mount>> MirrorDisk::mounted_at(const std::string& target) const {
    const auto all = host_.mounts->mounts();
    if (!all) return tl::unexpected(all.error());
    const auto top = std::find_if(all->rbegin(), all->rend(), [&](const host::Mount& m) { return m.target == target; });
    return top == all->rend() ? std::optional<host::Mount>() : std::optional(*top);
}

Result<bool> MirrorDisk::already_mounted(const Context& context, const std::string& device) const {
    const std::string& target = context.values.text("mount");
    const auto all = host_.mounts->mounts();
    if (!all) return tl::unexpected(all.error());
    for (auto mount = all->rbegin(); mount != all->rend(); ++mount) {
        if (mount->target == target && mount->source == device) return true;
        if (mount->target == target)
            return fail(ErrorCode::kRefused,
                        fmt::format("{}: {} is mounted at {} already", name_of(context), mount->source, target),
                        "umount " + target);
        if (mount->source == device)
            return fail(ErrorCode::kRefused,
                        fmt::format("{}: its device {} is mounted at {}", name_of(context), device, mount->target),
                        "umount " + mount->target);
    }
    return false;
}

std::string by_hand(const Context& context, const std::string& device) {
    return "set filesystem = \"none\", start the group, mkfs." + context.values.text("filesystem") + " " + device +
           " (or what kagami mirror status names then), and set it back";
}

// A mirror that looks blank later in its life has lost its data: that is told, and not made final.
Status MirrorDisk::check_new(const Context& context, const host::MirrorDevice& mirror) const {
    if (!mirror.generation.none() && mirror.generation.counter <= kLastNewGeneration) return {};
    return fail(ErrorCode::kRefused,
                fmt::format("{}: no file system is recognised on mirror {}, and it has been used before (generation {}): "
                            "nothing is made anew by itself",
                            name_of(context), context.resource, mirror::to_string(mirror.generation)),
                "restore it; or make one by hand: " + by_hand(context, mirror.path));
}

Status MirrorDisk::make_file_system(const Context& context, const host::MirrorDevice& mirror) const {
    const std::string& wanted = context.values.text("filesystem");
    const std::string& device = mirror.path;
    const auto found = host_.mounts->signature(device);
    if (!found) return tl::unexpected(found.error());
    if (*found == fmt::format("an {} file system", wanted)) return {};
    if (!found->empty())
        return fail(ErrorCode::kRefused,
                    fmt::format("{}: the mirror holds {}, and filesystem is \"{}\"; nothing was changed",
                                name_of(context), *found, wanted),
                    "correct filesystem in the configuration, or restore the data; or, if they may be lost: " +
                        by_hand(context, device));
    if (!context.values.boolean("mkfs"))
        return fail(ErrorCode::kRefused, name_of(context) + ": there is no file system on the mirror, and mkfs is false",
                    "set mkfs = true to have it made, or filesystem = \"none\" for a raw disk");
    if (Status fresh = check_new(context, mirror); !fresh) return fresh;
    host_.note(fmt::format("{}: the mirror is blank, {} is made on {}", name_of(context), wanted, device));
    // Discarding everything first would go through the mirror, and may be slow where it must be written as zeroes.
    if (wanted == "xfs") return run_well(context, {kMakeXfs, "-q", "-K", device}, "look into " + log_of(context));
    return run_well(context, {kMakeExt4, "-q", "-t", "ext4", "-E", "nodiscard", device}, "look into " + log_of(context));
}

// e2fsck sees at once when nothing is to be done. xfs has no check before a mount: mounting replays its log.
Status MirrorDisk::check_file_system(const Context& context, const std::string& device) const {
    const std::string& policy = context.values.text("fsck");
    if (policy == "never" || context.values.text("filesystem") != "ext4") return {};
    const auto result = run(context, {kCheckExt, policy == "repair" ? "-y" : "-p", device});
    if (!result) return tl::unexpected(result.error());
    const bool ended = !result->timed_out && result->signal == 0;
    if (ended && (result->exit_code & ~kFsckCorrected) == 0) {
        if (result->exit_code != 0)
            host_.note(fmt::format("{}: e2fsck has corrected the file system, see {}", name_of(context), log_of(context)));
        return {};
    }
    const bool damaged = ended && (result->exit_code & 4) != 0;
    return tl::unexpected(program_error(
        context, kCheckExt, *result,
        damaged ? "the file system is damaged beyond what is repaired without asking: set fsck = \"repair\" to repair "
                  "everything, or restore a backup; details in " + log_of(context)
                : "look into " + log_of(context)));
}

Status MirrorDisk::mount(const Context& context, const std::string& device) const {
    const std::string& type = context.values.text("filesystem");
    const std::string& target = context.values.text("mount");
    std::string options = context.values.text("mount_options");
    if (options.empty()) options = type == "ext4" ? "errors=remount-ro" : "defaults";
    const std::vector<std::string> argv = {kMount, "--mkdir", "-t", type, "-o", options, device, target};
    const std::string remedy = "look into " + log_of(context) + " and the kernel's log (dmesg)";
    Status mounted = run_well(context, argv, remedy);
    if (!mounted && type == "xfs" && context.values.text("fsck") == "repair") {
        host_.note(mounted.error().message + "; xfs_repair is run");
        if (Status repaired = run_well(context, {kRepairXfs, device}, remedy); !repaired) return repaired;
        mounted = run_well(context, argv, remedy);
    }
    return mounted;
}

Status MirrorDisk::activate(const Context& context) {
    const auto promoted = host_.mirrors->promote(context.resource, context.deadline);
    if (!promoted)
        return fail(promoted.error().code, name_of(context) + ": " + promoted.error().message,
                    promoted.error().remedy);
    if (raw(context)) return {};
    const std::string& device = promoted->path;
    const auto there = already_mounted(context, device);
    if (!there) return tl::unexpected(there.error());
    if (*there) return {};
    if (Status made = make_file_system(context, *promoted); !made) return made;
    if (Status checked = check_file_system(context, device); !checked) return checked;
    return mount(context, device);
}

// ---- deactivation ----

// Ends who keeps it busy: SIGTERM once, SIGKILL when that has had its time.
void MirrorDisk::make_free(const Context& context, Instant term_until, int& last_signal) const {
    const int wanted = host_.now() < term_until ? SIGTERM : SIGKILL;
    if (last_signal == wanted && wanted == SIGTERM) return;
    last_signal = wanted;
    const std::string& target = context.values.text("mount");
    const auto told = host_.mounts->signal_holders(target, wanted);
    if (!told) return host_.note(name_of(context) + ": " + told.error().message);
    if (told->empty()) return;
    host_.note(fmt::format("{}: {} is busy; {} sent to {}", name_of(context), target,
                           wanted == SIGTERM ? "SIGTERM" : "SIGKILL", sentence_of(*told)));
}

Status MirrorDisk::still_busy(const Context& context, const std::string& output) const {
    const std::string& target = context.values.text("mount");
    const auto holders = host_.mounts->holders(target);
    const bool kills = context.values.boolean("unmount_kill");
    return fail(ErrorCode::kTimedOut,
                fmt::format("{}: {} cannot be unmounted (\"{}\"); it is used by {}", name_of(context), target, output,
                            holders ? sentence_of(*holders) : holders.error().message),
                kills ? "end them, then stop the group again"
                      : "end them, then stop the group again; or set unmount_kill = true in the resource");
}

// Of a mirror, or of one that is dead: a driver that was restarted exports another loop device than is mounted still.
bool loop_device(std::string_view source) {
    return source.starts_with("/dev/loop");
}

// Where the device is not known (the driver has just been restarted), what lies at the mount point counts as ours.
Result<bool> MirrorDisk::still_mounted(const Context& context, const std::optional<host::MirrorDevice>& device) const {
    const std::string& target = context.values.text("mount");
    const bool known = device && !device->path.empty();
    const auto all = host_.mounts->mounts();
    if (!all) return tl::unexpected(all.error());
    const bool ours = std::any_of(all->begin(), all->end(), [&](const host::Mount& mount) {
        return mount.target == target && (!known || mount.source == device->path || loop_device(mount.source));
    });
    if (!ours || !known) return ours;
    const auto top = std::find_if(all->rbegin(), all->rend(), [&](const auto& mount) { return mount.target == target; });
    if (top->source == device->path || loop_device(top->source)) return true;
    return fail(ErrorCode::kRefused,
                fmt::format("{}: {} is mounted over the mirror at {}", name_of(context), top->source, target),
                "umount " + target + ", then stop the group again");
}

Status MirrorDisk::unmount(const Context& context) const {
    const std::string& target = context.values.text("mount");
    const auto device = host_.mirrors->device(context.resource);
    const Instant begin = host_.now();
    const Instant term_until = begin + std::min(kLongestTermWait, (context.deadline - begin) / 3);
    Duration pause = kFirstPause;
    for (int last_signal = 0;;) {
        const auto there = still_mounted(context, device ? *device : std::nullopt);
        if (!there) return tl::unexpected(there.error());
        if (!*there) return {};
        // Not canonicalised: that would look at the mounted file system, which may not answer.
        const auto result = run(context, {kUnmount, "-c", target});
        if (!result) return tl::unexpected(result.error());
        if (failure_of(*result).empty()) continue;  // another mount may lie below it
        if (result->timed_out || host_.now() + pause >= context.deadline)
            return still_busy(context, result->timed_out ? failure_of(*result) : result->last_output);
        if (context.values.boolean("unmount_kill")) make_free(context, term_until, last_signal);
        host_.oversleep(pause);
        pause = std::min(2 * pause, kLongestPause);
    }
}

Status MirrorDisk::deactivate(const Context& context) {
    if (!raw(context)) {
        if (Status unmounted = unmount(context); !unmounted) return unmounted;
    }
    const Instant refused_until = std::min(host_.now() + kCloseWait, context.deadline);
    Status demoted = host_.mirrors->demote(context.resource, context.deadline);
    while (!demoted && demoted.error().code == ErrorCode::kRefused && host_.now() + kFirstPause < refused_until) {
        host_.oversleep(kFirstPause);
        demoted = host_.mirrors->demote(context.resource, context.deadline);
    }
    if (demoted) return {};
    return fail(demoted.error().code, name_of(context) + ": " + demoted.error().message, demoted.error().remedy);
}

// ---- what is there ----

// A driver that has just been restarted needs a moment to take its device up again: only what stays so is partial.
Result<Probe> MirrorDisk::probe(const Context& context) {
    const Instant settle_until = std::min(host_.now() + kSettleWait, context.deadline - kFirstPause);
    for (;;) {
        const auto device = host_.mirrors->device(context.resource);
        if (!device)
            return fail(device.error().code, name_of(context) + ": " + device.error().message, device.error().remedy);
        const bool promoted = device->has_value();
        const bool open = promoted && !(*device)->path.empty();
        if (raw(context) && open == promoted) return open ? Probe::kActive : Probe::kInactive;
        const auto there = mounted_at(context.values.text("mount"));
        if (!there) return tl::unexpected(there.error());
        const bool mounted = !raw(context) && there->has_value();
        if (mounted && open) return Probe::kActive;
        if (!mounted && open) return Probe::kPartial;
        if (!mounted && !promoted) return Probe::kInactive;
        if (host_.now() >= settle_until) return Probe::kPartial;
        host_.oversleep(kFirstPause);
    }
}

Result<Footprint> MirrorDisk::footprint(const Context& context) {
    Footprint all;
    all.cgroup = true;
    all.mirrors.push_back(context.resource);
    if (!raw(context)) all.mounts.push_back(context.values.text("mount"));
    return all;
}

}  // namespace

const config::TypeDescription& mirror_disk_description() {
    static const config::TypeDescription description = {
        "md", "A disk that two nodes hold alike, with its file system.", kParameters, kAfter};
    return description;
}

std::unique_ptr<Resource> make_mirror_disk(host::Host& host) {
    return std::make_unique<MirrorDisk>(host);
}

}  // namespace kagami::resources
