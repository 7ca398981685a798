"""Program of a managed job's container: runs a task from a file, and leaves the answer in a folder.

It needs no client, no credentials and no network of its own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from loopline.platform_core import worker
from loopline.platform_core.specs.gang import Gang
from loopline.platform_core.worker import Failure
from loopline.resources.managed_jobs.log_pieces import kept
from loopline.resources.managed_jobs.task_files import Outcome, unpack_task, write_answer


def done(task: Path, folder: Path, gang: Gang) -> Outcome:
    """Run a task and leave its answer; of a gang's workers the first one's, and each failure."""
    if gang.size > 1:
        os.environ.update(gang.variables())
    job = unpack_task(task.read_bytes())
    outcome = worker.attempt(job.task, job.args)
    if isinstance(outcome, Failure):
        sys.stderr.write(f"{outcome.problem}\n{outcome.trace}\n")
    if isinstance(outcome, Failure) or gang.leads:
        write_answer(folder, gang.rank, outcome)
    return outcome


def main(task: Path, folder: Path, gang: Gang) -> NoReturn:
    """Run a task whose log is left beside its answer; the exit code says whether it failed."""
    kept(lambda: isinstance(done(task, folder, gang), Failure), folder, gang.rank)
