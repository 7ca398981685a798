"""Program of a SageMaker training job: runs the task that was mounted as a file.

``python -m loopline.resources.sagemaker.in_job`` needs no client, no credentials and no network of its own: the task
is a file of an input channel, the answer one of the folder that SageMaker takes away when the container ends.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from loopline.platform_core.specs.gang import PORT, Gang
from loopline.platform_core.worker import Failure
from loopline.resources.managed_jobs.in_job import done
from loopline.resources.managed_jobs.task_files import TASK

CHANNEL = "task"
ROOT = "LOOPLINE_SAGEMAKER_ROOT"
"""The variable that says where SageMaker's files are, if not at ``/opt/ml``."""
END = "loopline: nothing follows"
"""A log's last line, by which its reader knows that it has arrived whole."""
MOST_FAILURE_CHARS = 1024
"""So much of the failure's file is told by the service."""


def main(root: Path) -> None:
    """Run the task and leave its answer; whoever looks at the service sees that it failed, and in a sentence why."""
    signal.signal(signal.SIGTERM, _end)
    gang = _gang(json.loads(root.joinpath("input/config/resourceconfig.json").read_text()))
    outcome = done(root.joinpath("input/data", CHANNEL, TASK), root / "output/data", gang)
    if isinstance(outcome, Failure):
        root.joinpath("output/failure").write_text(f"{outcome.problem} → {outcome.fix}"[:MOST_FAILURE_CHARS])
    sys.stderr.write(f"{END}\n")
    sys.stderr.flush()
    sys.exit(isinstance(outcome, Failure))


def _gang(config: dict[str, object]) -> Gang:
    """Return which of the hosts this is: they are one job's, and none begins before all are there."""
    hosts = sorted(str(host) for host in config["hosts"])  # type: ignore[attr-defined]
    return Gang(hosts.index(str(config["current_host"])), tuple(f"{host}:{PORT}" for host in hosts))


def _end(*_: object) -> None:
    """End when the service asks, instead of being killed two minutes later."""
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main(Path(os.environ.get(ROOT, "/opt/ml")))
