// The descriptor store of process 1 (what systemd's FileDescriptorStoreMax= is): a program hands over open files, and a
// program of the same name that is started again gets them back, so that they outlive it.
//
// Messages, as in sd_notify(3), on the datagram socket $NOTIFY_SOCKET; lines of KEY=VALUE:
//   FDSTORE=1 FDNAME=NAME, descriptors attached   keep them under that name ("stored" without a valid one)
//   FDSTOREREMOVE=1 FDNAME=NAME                   give up those of that name
// Everything else is left alone. The sender is known by the process id that the kernel attaches; only the program itself
// counts, not its children. An open file is kept once; at most kMost of a program, what is more is closed. They are
// never polled (FDPOLL=0), so a dead one stays until it is taken out.
// When a program is started, they are its descriptors 3, 4, ..., told by LISTEN_FDS, LISTEN_FDNAMES and LISTEN_PID.
// When to drop() them is the supervisor's: a program that is not started again.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kagami::node_init {

class DescriptorStore {
 public:
    static constexpr size_t kMost = 64;
    struct Kept {
        std::string name;
        int descriptor = -1;
    };

    DescriptorStore() = default;
    ~DescriptorStore();
    DescriptorStore(const DescriptorStore&) = delete;
    DescriptorStore& operator=(const DescriptorStore&) = delete;

    // Creates the socket, mode 0600. False: errno says why.
    bool open(const std::string& path);
    int descriptor() const { return socket_; }
    // Takes all waiting messages; `program_of` names the program that a process is.
    void receive(const std::function<std::optional<std::string>(pid_t)>& program_of);
    void drop(const std::string& program);
    const std::vector<Kept>& of(const std::string& program) const;

    // In a child that is about to become `program`: puts its descriptors and its environment in place.
    bool hand_over(const std::string& program) const;

 private:
    void handle(const std::string& program, std::string_view message, std::vector<int>& attached);
    void keep(const std::string& program, const std::string& name, std::vector<int>& attached);
    void remove(const std::string& program, const std::string& name);

    std::string path_;
    int socket_ = -1;
    std::map<std::string, std::vector<Kept>> kept_;
};

}  // namespace kagami::node_init
