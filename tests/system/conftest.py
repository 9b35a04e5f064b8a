"""Fixtures of the system tests: real processes in node containers (tests/support/devcluster)."""

import os
import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from devcluster import DevCluster  # noqa: E402
from devcluster.cluster import default_bin  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: left out by scripts/test --quick")
    config.addinivalue_line("markers", "alone: looks at the clock closely; no other test runs beside it")


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="node containers need root"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    setattr(item, f"report_{report.when}", report)


@pytest.fixture
def bin_directory():
    return default_bin()


def made_clusters(failed):
    """new_cluster(**DevCluster arguments) -> a cluster that is up. Ends it; after a failure its logs stay and are named.
    prepare(cluster) is called while its machines run and no cluster is made yet; form(cluster) makes it in another way."""
    made = []

    def make(prepare=None, form=None, **arguments):
        directory = tempfile.mkdtemp(prefix="kagami-test-", dir="/var/tmp")
        made.append(DevCluster(directory, **arguments))
        made[-1].up(form=prepare is None)
        if prepare:
            prepare(made[-1])
            (form or DevCluster.form)(made[-1])
        return made[-1]

    yield make
    for cluster in made:
        cluster.down(keep_files=failed())
        if failed():
            print(f"logs are kept in {cluster.paths.top}")
        else:
            shutil.rmtree(cluster.paths.top, ignore_errors=True)


@pytest.fixture
def new_cluster(request):
    yield from made_clusters(lambda: not getattr(request.node, "report_call", None) or request.node.report_call.failed)


@pytest.fixture(scope="module")
def module_cluster(request):
    """As new_cluster, for tests that share a cluster."""
    before = request.session.testsfailed
    yield from made_clusters(lambda: request.session.testsfailed > before)
