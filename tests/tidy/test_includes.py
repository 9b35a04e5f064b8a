"""The direction of dependencies (docs/architecture.md): who may include whom, and what engines may not include at all."""

import re

import pytest
import source

RUNTIME = ["cluster-daemon", "resources", "monitors", "proto", "common", "mirror-driver/link"]
MIRROR_IO = ["mirror-driver/io", "mirror-driver/engine", "mirror-driver/link", "common"]
ALLOWED = {
    "common": ["common"],
    "cluster-daemon/engine": ["cluster-daemon/engine", "common"],
    "cluster-daemon/guard": ["cluster-daemon/guard", "common"],
    "cluster-daemon/script-helper": ["cluster-daemon/script-helper", "common"],
    "cluster-daemon/runtime": RUNTIME,
    "cluster-daemon/witness": RUNTIME,
    "resources": ["resources", "common"],
    "monitors": ["monitors", "common"],
    "mirror-driver/engine": ["mirror-driver/engine", "common"],
    "mirror-driver/link": ["mirror-driver/link", "common"],
    "mirror-driver/io": MIRROR_IO,
    "mirror-driver/frontends": ["mirror-driver/frontends", *MIRROR_IO],
    "mirror-driver/driver": ["mirror-driver", "common"],
    "mirror-driver/tools": ["mirror-driver/tools", *MIRROR_IO],
    "cli": ["cli", "proto", "common", "resources", "monitors"],  # the registries' parameter tables, for `config check`
}
# Files that may reach further, and why.
EXCEPTIONS = {
    # `mirror init`, `dump` and `check` work on a replica's devices without its driver
    "cli/render_metadata.h": ["mirror-driver/tools/offline.h"],
    "cli/verbs_metadata.h": ["mirror-driver/tools/offline.h"],
    "cluster-daemon/runtime/daemon/device_signature.cc": ["mirror-driver/engine/signature.h"],  # what lies on a device
    # The peer channel uses the node's keys and addresses as the daemon does.
    "mirror-driver/io/channel/tls_context.h": ["cluster-daemon/runtime/pki.h"],
    "mirror-driver/io/channel/dialler.cc": ["cluster-daemon/runtime/socket_address.h"],
    "mirror-driver/io/channel/acceptor.cc": ["cluster-daemon/runtime/socket_address.h"],
    "mirror-driver/io/channel/channel.cc": ["cluster-daemon/runtime/socket_address.h"],
    # The lease is the guard's page.
    "mirror-driver/driver/lease_reader.cc": ["cluster-daemon/guard/guard_page.h"],
    "mirror-driver/driver/main.cc": ["cluster-daemon/guard/guard_page.h"],
    "cli/types.cc": ["cluster-daemon/engine/message_catalogue.h"],  # what [[alerts.route]] may name
    "cli/verbs_explain.cc": ["cluster-daemon/engine/message_catalogue.h"],  # the table of messages, as the daemon has it
    # `simulate --status`: the daemon's pure what_if(), without a daemon
    "cli/saved_scene.h": ["cluster-daemon/engine/engine.h"],
    "cli/saved_scene.cc": ["cluster-daemon/engine/timing.h"],
    "cli/saved_status.cc": ["cluster-daemon/engine/what_if.h"],
    "cli/setup.cc": ["cluster-daemon/engine/", "cluster-daemon/runtime/"],  # init and join write what a daemon reads later
}

# Threads, clocks, files and heavy libraries: an engine is a function from events to outputs.
FORBIDDEN_IN_ENGINES = re.compile(
    r"boost/|asio|grpc|google/protobuf|proto/|\.pb\.h|sqlite3|openssl/|spdlog|toml|nlohmann|common/host"
    r"|^(thread|mutex|shared_mutex|condition_variable|atomic|future|semaphore|latch|barrier|stop_token"
    r"|chrono|ctime|time\.h|fstream|iostream|cstdio|stdio\.h|filesystem|random|unistd\.h|fcntl\.h|sys/.*|linux/.*|netinet/.*|poll\.h|pthread\.h)$")
HEAVY = re.compile(r"^(boost/asio|grpc|toml\+\+|sqlite3\.h|spdlog|nlohmann/json\.hpp|CLI/)|\.grpc\.pb\.h$")
HEAVY_DEBT = set()  # paths of headers; may only shrink
GLOBAL_CLOCKS = re.compile(r"\b(steady_clock|system_clock|high_resolution_clock|clock_gettime|gettimeofday|random_device|time\(nullptr\))")


def includes(path):
    text = source.code_with_strings(path)
    return [(text.count("\n", 0, m.start()) + 1, m.group(1)) for m in re.finditer(r'^#include [<"]([^>"]+)[>"]', text, re.M)]


def breaches(path, wrong):
    return [f"{source.relative(path)}:{line}: {header}" for line, header in includes(path) if wrong(header)]


@pytest.mark.parametrize("layer", ALLOWED)
def test_a_layer_includes_only_what_is_below_it(layer):
    allowed = tuple(f"{folder}/" for folder in ALLOWED[layer])

    def found_in(path):
        further = allowed + tuple(EXCEPTIONS.get(source.relative(path), ()))
        return breaches(path, lambda header: header.split("/")[0] in source.FOLDERS and not header.startswith(further))

    found = [line for path in source.cpp(under=layer) for line in found_in(path)]
    assert not found, f"{layer} may include only {', '.join(ALLOWED[layer])}:\n" + "\n".join(found)


def test_every_cpp_folder_has_a_layer():
    product = [p for p in source.cpp() if source.relative(p).split("/")[0] not in ("tests", "scripts", "webui")]
    homeless = [source.relative(p) for p in product if not source.relative(p).startswith(tuple(f"{f}/" for f in ALLOWED))]
    assert not homeless, "no layer in tests/tidy/test_includes.py:\n" + "\n".join(homeless)


@pytest.mark.parametrize("engine", source.ENGINES)
def test_engines_include_neither_machine_nor_libraries(engine):
    found = [line for path in source.cpp(under=engine) for line in breaches(path, FORBIDDEN_IN_ENGINES.search)]
    assert not found, "forbidden in an engine:\n" + "\n".join(found)


@pytest.mark.parametrize("engine", source.ENGINES)
def test_engines_read_no_clock_and_draw_no_randomness(engine):
    found = [f"{source.relative(p)}: {m.group()}" for p in source.cpp(under=engine) for m in GLOBAL_CLOCKS.finditer(source.code(p))]
    assert not found, "\n".join(found)


def test_heavy_headers_only_in_cc_files():
    heavy = {source.relative(p): breaches(p, HEAVY.search) for p in source.cpp() if p.suffix == ".h"}
    found = [line for path, lines in heavy.items() if path not in HEAVY_DEBT for line in lines]
    assert not found, "heavy headers belong into .cc files:\n" + "\n".join(found)
    paid = [path for path in HEAVY_DEBT if not heavy.get(path)]
    assert not paid, f"no longer heavy; remove from HEAVY_DEBT: {paid}"


def test_includes_are_written_from_the_top_of_the_tree():
    quoted = re.compile(r'^#include "([^"/]+|\.[^"]*)"', re.M)
    found = [f"{source.relative(p)}: {m.group()}" for p in source.cpp() for m in quoted.finditer(source.code_with_strings(p))]
    assert not found, "\n".join(found)
