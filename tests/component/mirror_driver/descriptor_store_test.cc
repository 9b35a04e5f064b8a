// What the service manager is told, and what is taken from it.
#include "mirror-driver/driver/descriptor_store.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "tests/support/temporary_directory.h"

using namespace kagami;
using namespace kagami::mirror;

namespace {

struct ServiceManager {
    testing::TemporaryDirectory directory;
    UniqueFd fd{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};

    ServiceManager() {
        const std::string path = directory / "notify";
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        setenv("NOTIFY_SOCKET", path.c_str(), 1);
    }
    ~ServiceManager() { unsetenv("NOTIFY_SOCKET"); }
    std::string told() const {
        char text[512];
        const ssize_t length = recv(fd.get(), text, sizeof text, 0);  // closes what is attached
        return length < 0 ? std::string() : std::string(text, static_cast<size_t>(length));
    }
};

}  // namespace

TEST_CASE("a descriptor takes the place of the one that was kept under its name") {
    const ServiceManager manager;
    const DescriptorStore store = DescriptorStore::from_environment();
    CHECK(std::getenv("NOTIFY_SOCKET") == nullptr);
    REQUIRE(store.keep("md1", manager.fd.get()));
    CHECK(manager.told() == "FDSTOREREMOVE=1\nFDNAME=md1");
    CHECK(manager.told() == "FDSTORE=1\nFDNAME=md1\nFDPOLL=0");
    CHECK(manager.told().empty());
    REQUIRE(store.forget("md1"));
    CHECK(manager.told() == "FDSTOREREMOVE=1\nFDNAME=md1");
}

TEST_CASE("without a service manager nothing is kept, and that is an error with a remedy") {
    const DescriptorStore store = DescriptorStore::from_environment();
    CHECK_FALSE(store.available());
    CHECK(store.ready());
    const auto kept = store.keep("md1", 0);
    REQUIRE_FALSE(kept);
    CHECK_FALSE(kept.error().remedy.empty());
}
