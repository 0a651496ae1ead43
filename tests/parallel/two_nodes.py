"""A Ray cluster of two nodes of one core each, for `test_cluster`.

Prints its address. A line on stdin: waits until the second node is at work, kills all of it, and prints the
number of the actors it had. The end of stdin is the end of the cluster.
"""

import sys
import time
from pathlib import Path

from ray.cluster_utils import Cluster

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


def actors(raylet: int) -> int:
    """How many of the processes that a node began have become actors of ours (by /proc)."""
    found = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            found += parent == raylet and b"_Actor" in (process / "cmdline").read_bytes()
        except OSError:  # it has ended
            continue
    return found


if __name__ == "__main__":
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    second = cluster.add_node(**NODE)
    print(cluster.address, flush=True)
    for _ in sys.stdin:
        raylet = second.all_processes["raylet"][0].process.pid
        while not (at_work := actors(raylet)):
            time.sleep(0.05)
        cluster.remove_node(second, allow_graceful=False)
        print(at_work, flush=True)
    cluster.shutdown()
