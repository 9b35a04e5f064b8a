"""What scripts/demo, scripts/bench and the system tests do with a running cluster, beside its own operations (devcluster):
prober.py the client that asks all the time, watch.py what the cluster says about itself, web.py the demo's service,
figures.py numbers and their JSON, demo.py and bench.py the two programs.
"""
