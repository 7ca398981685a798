"""Program of an Azure ML command job: runs the task that was mounted as a file.

``python -m loopline.resources.azure_ml.in_job <task> <folder>`` reads the one and leaves answer and log in the other.
Who the workers are stands in ``TF_CONFIG``, as Azure ML writes it for jobs on several nodes that ask for it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from loopline.platform_core.specs.gang import PORT, Gang
from loopline.resources.managed_jobs.in_job import main


def gang(said: str) -> Gang:
    """Return which worker this is; one that is told of no others is alone."""
    known = json.loads(said) if said else {}
    workers = known.get("cluster", {}).get("worker", [])
    if len(workers) < 2:  # noqa: PLR2004 - a gang of one needs no addresses
        return Gang()
    hosts = [one.rpartition(":")[0] or one for one in workers]
    return Gang(int(known["task"]["index"]), tuple(f"{host}:{PORT}" for host in hosts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), gang(os.environ.get("TF_CONFIG", "")))
