// A resource of one type on a fake host.
#pragma once

#include <catch2/catch.hpp>

#include "common/host/fake_host.h"
#include "resources/resource.h"
#include "tests/support/type_values.h"

namespace kagami::resources {

struct ResourceFixture {
    host::FakeHost fake;
    Context context;
    std::unique_ptr<Resource> resource;

    explicit ResourceFixture(const std::string& word, const testing::Texts& values = {}) {
        const Type* type = find(word);
        REQUIRE(type != nullptr);
        resource = type->make(fake.host);
        context.group = "web";
        context.resource = "nginx";
        context.values = testing::type_values(type->description, values);
        context.environment = {{"CLP_EVENT", "START"}};
        context.script_directory = "/var/lib/kagami/active/scripts";
        context.deadline = fake.time + 70s;
    }
    std::string activation_error() {
        const Status status = resource->activate(context);
        return status ? "" : status.error().message + " | " + status.error().remedy;
    }
    std::string deactivation_error() {
        const Status status = resource->deactivate(context);
        return status ? "" : status.error().message + " | " + status.error().remedy;
    }
};

}  // namespace kagami::resources
