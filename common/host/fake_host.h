// A machine made of plain values, for unit tests: what it holds is public, what was asked of it is recorded, and time
// stands still until it is moved. One thread.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/host/host.h"

namespace kagami::host {

// A set of callbacks that end with their handles.
class FakeCallbacks {
 public:
    std::shared_ptr<void> add(std::function<void()> callback) {
        const int id = ++last_id_;
        callbacks_[id] = std::move(callback);
        return {this, [this, id](void*) { callbacks_.erase(id); }};
    }
    void call() {
        const auto now = callbacks_;
        for (const auto& [id, callback] : now) callback();
    }
    size_t size() const { return callbacks_.size(); }

 private:
    int last_id_ = 0;
    std::map<int, std::function<void()>> callbacks_;
};

class FakeScripts : public Scripts {
 public:
    using Name = std::pair<std::string, std::string>;  // group, resource
    struct Run {
        ScriptRequest request;
        Instant deadline;
    };
    // What a program does; its default is to end well.
    std::function<Result<ScriptResult>(const ScriptRequest&)> program = [](const ScriptRequest&) {
        return ScriptResult{};
    };
    Status kill_answer;
    std::vector<Run> runs;
    std::vector<Instant> kill_deadlines;
    std::map<Name, std::vector<int>> living;
    std::map<Name, Started> starts;
    std::optional<Error> broken;  // every call fails with it

    Result<ScriptResult> run(const ScriptRequest& request, Instant deadline) override {
        runs.push_back({request, deadline});
        if (broken) return tl::unexpected(*broken);
        auto result = program(request);
        const bool good = result && !result->timed_out && result->exit_code == 0;
        const Name name{request.group, request.resource};
        if (good && request.mark == Mark::kActive)
            starts[name] = {true, living[name].empty() ? 0 : living[name].front(), false};
        if (good && request.mark == Mark::kInactive) starts.erase(name);
        return result;
    }
    Result<std::vector<int>> processes(const std::string& group, const std::string& resource) override {
        if (broken) return tl::unexpected(*broken);
        return living[{group, resource}];
    }
    Status kill_all(const std::string& group, const std::string& resource, Instant deadline) override {
        kill_deadlines.push_back(deadline);
        if (broken) return tl::unexpected(*broken);
        if (kill_answer) living[{group, resource}].clear();
        return kill_answer;
    }
    Result<Started> started(const std::string& group, const std::string& resource) override {
        if (broken) return tl::unexpected(*broken);
        Started known = starts[{group, resource}];
        const auto& alive = living[{group, resource}];
        known.main_alive = std::find(alive.begin(), alive.end(), known.main) != alive.end();
        return known;
    }
};

class FakeNetwork : public Network {
 public:
    std::vector<Link> known_links = {{"eth0", 2, true, true}};
    std::vector<Address> known_addresses;
    std::map<std::string, std::string> networks;    // address text -> interface on whose subnet it lies
    std::map<std::string, std::string> duplicates;  // address text -> MAC that answers for it
    std::set<std::string> answering;                // addresses that answer a ping
    std::map<std::string, bool> ethtool;            // interface -> what its driver tells
    std::vector<std::string> calls;                 // "probe 10.0.0.1", "add 10.0.0.1/24 eth0" ...
    std::vector<Duration> waits;                    // of probes and pings
    std::optional<Error> broken;                    // every call fails with it
    FakeCallbacks changed;

    Result<std::vector<Link>> links() override { return answer(known_links); }
    Result<std::vector<Address>> addresses() override { return answer(known_addresses); }
    Result<std::string> interface_for(const Address& address) override {
        if (broken) return tl::unexpected(*broken);
        const auto found = networks.find(address.text);
        if (found == networks.end())
            return fail(ErrorCode::kNotFound,
                        address.text + ": no interface of this node has an address in its network");
        return found->second;
    }
    Status add_address(const Address& address) override {
        if (Status recorded = record("add", address); !recorded) return recorded;
        if (std::find(known_addresses.begin(), known_addresses.end(), address) == known_addresses.end())
            known_addresses.push_back(address);
        return {};
    }
    Status remove_address(const Address& address) override {
        if (Status recorded = record("remove", address); !recorded) return recorded;
        std::erase(known_addresses, address);
        return {};
    }
    Result<std::optional<std::string>> probe_duplicate(const Address& address, Duration wait) override {
        waits.push_back(wait);
        if (Status recorded = record("probe", address); !recorded) return tl::unexpected(recorded.error());
        const auto found = duplicates.find(address.text);
        return found == duplicates.end() ? std::optional<std::string>() : std::optional(found->second);
    }
    Status announce(const Address& address) override { return record("announce", address); }
    Result<bool> announce_again(const Address& address) override {
        if (Status recorded = record("announce again", address); !recorded) return tl::unexpected(recorded.error());
        return std::find(known_addresses.begin(), known_addresses.end(), address) != known_addresses.end();
    }
    Result<std::optional<bool>> ethtool_link(const std::string& interface) override {
        if (broken) return tl::unexpected(*broken);
        const auto found = ethtool.find(interface);
        return found == ethtool.end() ? std::optional<bool>() : std::optional(found->second);
    }
    Result<bool> ping(const std::string& address, Duration wait) override {
        waits.push_back(wait);
        calls.push_back("ping " + address);
        if (broken) return tl::unexpected(*broken);
        return answering.contains(address);
    }
    std::shared_ptr<void> on_change(std::function<void()> callback) override {
        return changed.add(std::move(callback));
    }

 private:
    template <typename T>
    Result<T> answer(const T& value) const {
        if (broken) return tl::unexpected(*broken);
        return value;
    }
    Status record(const std::string& call, const Address& address) {
        calls.push_back(call + " " + address.text + "/" + std::to_string(address.prefix_bits) + " " +
                        address.interface);
        if (broken) return tl::unexpected(*broken);
        return {};
    }
};

class FakeProcesses : public Processes {
 public:
    std::map<int, FakeCallbacks> watched;
    void end(int pid) { watched[pid].call(); }
    std::shared_ptr<void> on_exit(int pid, std::function<void()> callback) override {
        return watched[pid].add(std::move(callback));
    }
};

class FakeMirrors : public Mirrors {
 public:
    std::map<std::string, mirror::Report> reports;
    std::map<std::string, MirrorDevice> promoted;
    mirror::Generation generation{1, {}};  // of what is promoted
    std::optional<Error> promote_error, demote_error;
    std::optional<Error> broken;     // every call fails with it
    std::vector<std::string> calls;  // "promote md1" ...
    FakeCallbacks changed;

    Result<MirrorDevice> promote(const std::string& mirror, Instant) override {
        calls.push_back("promote " + mirror);
        if (broken) return tl::unexpected(*broken);
        if (promote_error) return tl::unexpected(*promote_error);
        return promoted[mirror] = MirrorDevice{"/dev/loop3", "fuse-loop", generation};
    }
    Status demote(const std::string& mirror, Instant) override {
        calls.push_back("demote " + mirror);
        if (broken) return tl::unexpected(*broken);
        if (demote_error) return tl::unexpected(*demote_error);
        promoted.erase(mirror);
        return {};
    }
    Result<mirror::Report> report(const std::string& mirror) override {
        if (broken) return tl::unexpected(*broken);
        const auto at = reports.find(mirror);
        if (at == reports.end()) return fail(ErrorCode::kNotFound, "mirror " + mirror + ": is not known");
        return at->second;
    }
    Result<std::optional<MirrorDevice>> device(const std::string& mirror) override {
        if (broken) return tl::unexpected(*broken);
        const auto at = promoted.find(mirror);
        return at == promoted.end() ? std::optional<MirrorDevice>() : std::optional(at->second);
    }
    std::shared_ptr<void> on_change(const std::string&, std::function<void()> callback) override {
        return changed.add(std::move(callback));
    }
};

class FakeMounts : public Mounts {
 public:
    std::vector<Mount> mounted;
    std::map<std::string, std::vector<Holder>> holding;    // target -> who
    std::map<std::string, std::string> signatures;         // device -> what lies there
    std::vector<std::pair<std::string, int>> signalled;    // target, signal
    std::function<void(const std::string& target, int signal)> on_signal = [](const std::string&, int) {};
    std::optional<Error> broken;                           // every call fails with it

    Result<std::vector<Mount>> mounts() override {
        if (broken) return tl::unexpected(*broken);
        return mounted;
    }
    Result<std::vector<Holder>> holders(const std::string& target) override {
        if (broken) return tl::unexpected(*broken);
        return holding[target];
    }
    Result<std::vector<Holder>> signal_holders(const std::string& target, int signal) override {
        signalled.emplace_back(target, signal);
        if (broken) return tl::unexpected(*broken);
        const auto told = holding[target];
        on_signal(target, signal);
        return told;
    }
    Result<std::string> signature(const std::string& device) override {
        if (broken) return tl::unexpected(*broken);
        return signatures[device];
    }
};

class FakeChecks : public Checks {
 public:
    Result<bool> disk = true;
    Result<uint64_t> space = uint64_t{1} << 40U;
    Result<uint64_t> memory = uint64_t{1} << 34U;
    std::map<std::string, int> counts;  // pattern -> processes
    std::optional<Error> broken;        // count_processes and carry fail with it
    std::function<void()> on_carry = [] {};
    std::vector<DiskTest> disk_tests;
    std::vector<std::string> paths;  // whose space was asked for
    std::vector<Load> loads;

    Result<bool> test_disk(const DiskTest& test, Instant) override {
        disk_tests.push_back(test);
        return disk;
    }
    Result<uint64_t> free_bytes(const std::string& path, Instant) override {
        paths.push_back(path);
        return space;
    }
    Result<int> count_processes(const std::string& pattern, Instant) override {
        if (broken) return tl::unexpected(*broken);
        return counts[pattern];
    }
    Status carry(const Load& load, Instant) override {
        loads.push_back(load);
        on_carry();
        if (broken) return tl::unexpected(*broken);
        return {};
    }
    Result<uint64_t> available_memory() override { return memory; }
};

class FakeHttp : public Http {
 public:
    Result<int> answer = 200;
    std::vector<HttpRequest> requests;
    std::vector<Instant> deadlines;
    Result<int> ask(const HttpRequest& request, Instant deadline) override {
        requests.push_back(request);
        deadlines.push_back(deadline);
        return answer;
    }
};

struct FakeHost {
    FakeScripts scripts;
    FakeNetwork network;
    FakeProcesses processes;
    FakeMirrors mirrors;
    FakeMounts mounts;
    FakeChecks checks;
    FakeHttp http;
    std::vector<std::string> notes;
    Instant time{1h};
    Duration lateness{};  // what oversleep adds
    Host host;

    FakeHost() {
        host.now = [this] { return time; };
        host.oversleep = [this](Duration pause) {
            time += pause + lateness;
            return lateness;
        };
        host.scripts = &scripts;
        host.network = &network;
        host.processes = &processes;
        host.mirrors = &mirrors;
        host.mounts = &mounts;
        host.checks = &checks;
        host.http = &http;
        host.note = [this](const std::string& line) { notes.push_back(line); };
    }
    FakeHost(const FakeHost&) = delete;
};

}  // namespace kagami::host
