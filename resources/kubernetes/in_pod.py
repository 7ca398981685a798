"""Program of a compute pod: runs the task that its Job carries.

``python -m loopline.resources.kubernetes.in_pod`` needs nothing but the kernel: no token, no client, no store.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from loopline.platform_core import worker
from loopline.platform_core.specs.gang import Gang
from loopline.platform_core.worker import Failure
from loopline.resources.kubernetes.task_payload import Answer, pack_answer, unpack_task

TASK = Path("/etc/loopline/task/task")
"""Where the Job's annotation is mounted."""
ADDRESSES = TASK.with_name("gang")
"""Where the addresses of all workers come to stand, once all are there."""
WORKERS = "LOOPLINE_WORKERS"
"""The variable that says that there are several."""
_INDEX = "JOB_COMPLETION_INDEX"
_LOOK_SECONDS = 0.2
MESSAGE = Path("/dev/termination-log")


def main(task: Path = TASK, message: Path = MESSAGE) -> None:
    """Run the task and leave its answer; the exit code says nothing, for the answer may be a failure told well."""
    signal.signal(signal.SIGTERM, _end)
    if WORKERS in os.environ:
        os.environ.update(_together(task.with_name(ADDRESSES.name)).variables())
    job = unpack_task(task.read_text(encoding="ascii"))
    outcome = worker.attempt(job.task, job.args)
    if isinstance(outcome, Failure):
        sys.stderr.write(f"{outcome.problem}\n{outcome.trace}\n")
    words, lines = pack_answer(Answer(outcome))
    sys.stderr.flush()
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
    message.write_text(words, encoding="ascii")
    sys.exit(isinstance(outcome, Failure))


def _together(file: Path) -> Gang:
    """Wait for the others: nothing is done before every one has its place."""
    while not (said := file.read_text(encoding="ascii")):
        time.sleep(_LOOK_SECONDS)
    return Gang(int(os.environ[_INDEX]), tuple(json.loads(said)))


def _end(*_: object) -> None:
    """End when the kubelet asks: the first process of a container is not ended by a signal that it does not handle."""
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main()
