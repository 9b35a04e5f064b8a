"""Clusters of node containers on one machine, for scripts/devcluster, scripts/demo, scripts/bench and tests/system.

    from devcluster import DevCluster, wait_until
    with DevCluster("/var/tmp/kagami-x", nodes=2) as cluster:     # up() ... down()
        cluster.cut("node1", "node2")
        cluster.exec("node1", ["kagami", "status"])

What a container is made of stands in container.py, the networks in network.py, addresses in layout.py.
"""

from .cluster import DevCluster
from .errors import DevClusterError
from .wait import wait_until

__all__ = ["DevCluster", "DevClusterError", "wait_until"]
