"""Run quota: limits how many Dagster runs are queued or in progress.

What a sensor wants waits where it comes from: an arrival in landing, a cycle in the ledger, answers in the prediction
log; it is asked for again at the next look. A run that somebody else submits, by hand, by a schedule or as a day of a
backfill, fails with the message before it begins. Steps of rollouts are neither counted nor refused: one of them may
take a bad version back.
"""

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import dagster as dg

from loopline.asset_defs.keys import ROLLOUT_JOB
from loopline.platform_core import environment
from loopline.platform_core.errors import InvalidEnvironment, LooplineError, QuotaReached
from loopline.platform_core.platform import Platform

COUNTED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
RETRY_SECONDS = 30.0


class BoundedQueue(dg.QueuedRunCoordinator):
    """Dagster's queue, which takes no more runs than the quota says; that is read at each run, so it can be raised."""

    def submit_run(self, context: dg.SubmitRunContext) -> dg.DagsterRun:
        """Queue the run, or fail it with the message."""
        with submitting(self._instance, context.dagster_run) as refused:
            return refused or super().submit_run(context)


@contextmanager
def submitting(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[dg.DagsterRun | None]:
    """Let one process of this home after the other submit; gives the run as it failed, where it may not."""
    if run.status != dg.DagsterRunStatus.NOT_STARTED or run.job_name == ROLLOUT_JOB:
        yield None
        return
    try:
        limit = environment.quotas().runs
    except InvalidEnvironment as error:  # raised here it would leave the run as not started for ever
        yield _failed(instance, run, error)
        return
    if limit is None:
        yield None
        return
    folder = environment.home() / "quotas"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "runs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        count = used(instance)
        if count < limit:
            yield None
            return
    yield _failed(instance, run, _reached(count, limit))


def _failed(instance: dg.DagsterInstance, run: dg.DagsterRun, why: LooplineError) -> dg.DagsterRun | None:
    instance.report_run_failed(run, str(why))
    return instance.get_run_by_id(run.run_id)


def used(instance: dg.DagsterInstance) -> int:
    """Count the runs that wait or are under way, but for steps of rollouts."""
    every = instance.get_runs_count(dg.RunsFilter(statuses=COUNTED))
    return every - instance.get_runs_count(dg.RunsFilter(statuses=COUNTED, job_name=ROLLOUT_JOB))


def with_room(
    instance: dg.DagsterInstance,
    platform: Platform,
    wanted: Sequence[dg.RunRequest],
    *,
    write: bool = True,
    refuse: Callable[[dg.RunRequest], None] = lambda _: None,
) -> tuple[list[dg.RunRequest], list[str]]:
    """Return those of the runs for which there is room, and why the others wait; ``write`` says that they write.

    ``refuse`` raises ``QuotaReached`` for one that waits for something else: the next one has its room.
    """
    if not wanted:
        return [], []
    limit = environment.quotas(platform.environment.path).runs
    try:
        if write and platform.storage is not None:
            platform.storage.refuse_full("what a run would write")
        count = 0 if limit is None else used(instance)
    except QuotaReached as full:
        return [], [str(full)]
    room: list[dg.RunRequest] = []
    why: list[str] = []
    for request in wanted:
        try:
            if limit is not None and count + len(room) >= limit:
                raise _reached(count, limit)
            refuse(request)
            room.append(request)
        except QuotaReached as full:
            why.append(str(full))
    return room, [*dict.fromkeys(why)]


def _reached(count: int, limit: int) -> QuotaReached:
    problem = f"{count} runs wait or are under way, of {limit} that the environment may have"
    fix = "start it again when some have ended; whoever runs the environment raises quotas.runs"
    return QuotaReached(problem, fix, RETRY_SECONDS)
