"""Program of a Vertex AI custom job: runs the task that lies in the mounted bucket.

``python -m loopline.resources.vertex.in_job <task> <folder>`` reads the one and leaves answer and log in the other.
Who the workers are stands in ``CLUSTER_SPEC``, as Vertex AI writes it for every job.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from loopline.platform_core.specs.gang import PORT, Gang
from loopline.resources.managed_jobs.in_job import main

_POOL = "workerpool"


def gang(said: str) -> Gang:
    """Return which worker this is: pools in their order, in each the replicas; one that is told of none is alone."""
    known = json.loads(said) if said else {}
    pools, task = known.get("cluster", {}), known.get("task", {})
    places = [(pool, place) for pool in sorted(pools) if pool.startswith(_POOL) for place in range(len(pools[pool]))]
    if len(places) < 2:  # noqa: PLR2004 - a gang of one needs no addresses
        return Gang()
    hosts = [pools[pool][place].rpartition(":")[0] or pools[pool][place] for pool, place in places]
    return Gang(places.index((task["type"], int(task["index"]))), tuple(f"{host}:{PORT}" for host in hosts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), gang(os.environ.get("CLUSTER_SPEC", "")))
