"""Distributed task on this machine: starts its workers, waits, and answers for all.

``python -m loopline.resources.subprocess.gang <folder> <workers>`` is that process; it leaves ``result.json`` (the
first worker's) or ``error.json`` as a worker that is alone does. ``... rank <folder> <descriptor>`` is one of them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import msgspec

from loopline.platform_core import worker
from loopline.platform_core.foundation.files import write
from loopline.platform_core.foundation.ports import HOST, free_ports
from loopline.platform_core.specs.gang import Gang
from loopline.platform_core.worker import Failure, Job

MODULE = "loopline.resources.subprocess.gang"


def main(folder: Path, workers: int) -> None:
    """Run the folder's job on so many workers, and leave what came of it."""
    job = msgspec.json.decode(folder.joinpath(worker.JOB).read_bytes(), type=Job)
    addresses = tuple(f"{HOST}:{port}" for port in free_ports(workers))
    alive, kept_open = os.pipe()  # its other end closes when this process ends, however it ends
    ranks = [_start(folder, job, Gang(rank, addresses), alive) for rank in range(workers)]
    os.close(alive)
    fallen = first_fallen(ranks)
    if fallen is None:
        write(folder / worker.RESULT, ranks[0].folder.joinpath(worker.RESULT).read_bytes())
    else:
        end(ranks)
        _write_failure(folder, fallen, workers)
    for rank in ranks:
        shutil.rmtree(rank.folder, ignore_errors=True)  # what a worker has left behind may still write there
    os.close(kept_open)
    if fallen is not None:
        end_forked()


class Rank:
    """One worker: its process, and the folder where it leaves its answer."""

    def __init__(self, number: int, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.number, self.folder, self.process = number, folder, process

    @property
    def answered(self) -> bool:
        """Say whether it has returned."""
        return self.folder.joinpath(worker.RESULT).exists()

    @property
    def failed_at(self) -> float:
        """Return when it raised (seconds since 1970); one that said nothing comes last."""
        error = self.folder / worker.ERROR
        return error.stat().st_mtime if error.exists() else float("inf")


def first_fallen(ranks: list[Rank]) -> Rank | None:
    """Wait until all have returned, or until one ends otherwise: the first one that did. None: all have."""
    left = {rank.process.pid: rank for rank in ranks}
    while left:
        pid, _ = os.wait()
        if pid in left and not left.pop(pid).answered:
            fallen = [rank for rank in ranks if rank.failed_at < float("inf")]
            return min(fallen, key=lambda rank: rank.failed_at, default=next(r for r in ranks if r.process.pid == pid))
    return None


def end(ranks: list[Rank]) -> None:
    """End all that are left: what one of them does alone is of no use."""
    for rank in ranks:
        rank.process.kill()
    for rank in ranks:
        rank.process.wait()


def end_forked() -> None:
    """End what killed workers have forked, and this process, whose answer is there: it would hold the key."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)


def _start(folder: Path, job: Job, gang: Gang, alive: int) -> Rank:
    own = folder / f"rank-{gang.rank}"
    shutil.rmtree(own, ignore_errors=True)  # of a run that was killed
    own.mkdir()
    worker.assign(own, job.task, job.args, job.lock)
    kept = (alive,) if job.lock is None else (alive, job.lock)  # the key stays locked until the last of them is gone
    command = [sys.executable, "-m", MODULE, "rank", str(own), str(alive)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=os.environ | gang.variables(), pass_fds=kept)  # noqa: S603 - our own interpreter and module
    return Rank(gang.rank, own, process)


def _write_failure(folder: Path, fallen: Rank, workers: int) -> None:
    """Leave a failure as the gang's; of a worker that was killed there is no answer, which is worth another try."""
    error, who = fallen.folder / worker.ERROR, f"rank {fallen.number} of {workers}"
    if error.exists():
        said = msgspec.json.decode(error.read_bytes(), type=Failure)
        write(folder / worker.ERROR, msgspec.json.encode(Failure(f"{who}: {said.problem}", said.fix, said.trace)))
    else:
        sys.stderr.write(f"{who} was killed; the others were ended\n")


def work(folder: Path, alive: int) -> None:
    """Do one worker's part, and end with whoever started it."""
    threading.Thread(target=_end_with, args=(alive,), daemon=True).start()
    os.set_inheritable(alive, False)
    worker.main(folder)


def _end_with(alive: int) -> None:
    os.read(alive, 1)
    os.killpg(0, signal.SIGKILL)  # with whatever this worker and the others have started


if __name__ == "__main__":
    if sys.argv[1] == "rank":
        work(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main(Path(sys.argv[1]), int(sys.argv[2]))
