"""Resource usage meter: CPU, memory and GPU seconds of a task."""

from __future__ import annotations

import resource
import shutil
import subprocess
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loopline.platform_core.specs.model import Requirements

LOOK_SECONDS = 2.0
"""How often the driver is asked how busy the GPUs are."""
_GPU_QUERY = ("--query-gpu=utilization.gpu", "--format=csv,noheader,nounits")
_GB = 2**30
_KB = 1024


@dataclass(frozen=True)
class Usage:
    """What was used between two instants.

    ``cpu_seconds`` are this process's and those of its children that have ended; ``memory_gb`` is the most that this
    process and its largest child held (GiB); ``cores`` and ``gpus`` are what was asked for. ``gpu_share`` is how busy
    the GPUs were, 0..1, None where no driver said so.
    """

    wall_seconds: float
    cpu_seconds: float
    memory_gb: float
    cores: float
    gpus: int
    gpu_share: float | None = None

    @property
    def memory_gb_seconds(self) -> float:
        """Return what memory had to be there, and for how long."""
        return self.memory_gb * self.wall_seconds

    @property
    def gpu_seconds(self) -> float:
        """Return how long GPUs were held, busy or not."""
        return self.gpus * self.wall_seconds

    def to_json(self) -> dict[str, Any]:
        """Turn it into what the ledger keeps."""
        rounded = {name: round(value, 3) for name, value in asdict(self).items() if value is not None}
        return rounded | {"memory_gb_seconds": round(self.memory_gb_seconds, 3), "gpu_seconds": self.gpu_seconds}


@dataclass
class Meter:
    """Runs from when it is made; ``read`` says what was used since. It watches the GPUs if any were asked for.

    Of a task with several workers each counts as this one, for they work in step.
    """

    asked: Requirements
    _began: float = field(default_factory=time.perf_counter)
    _cpu: float = field(default_factory=lambda: _cpu_seconds())  # noqa: PLW0108 - it stands below
    _shares: list[float] = field(default_factory=list)
    _done: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Begin to watch the GPUs."""
        if self.asked.gpu and shutil.which("nvidia-smi"):
            threading.Thread(target=self._watch, daemon=True).start()

    def read(self) -> Usage:
        """Return what was used, and end the watch."""
        self._done.set()
        own, children = (resource.getrusage(who).ru_maxrss for who in _WHO)
        workers = self.asked.workers
        return Usage(
            wall_seconds=time.perf_counter() - self._began,
            cpu_seconds=(_cpu_seconds() - self._cpu) * workers,
            memory_gb=(own + children) * _KB / _GB * workers,
            cores=self.asked.cpu * workers,
            gpus=self.asked.gpu * workers,
            gpu_share=sum(self._shares) / len(self._shares) if self._shares else None,
        )

    def _watch(self) -> None:
        while not self._done.wait(LOOK_SECONDS if self._shares else 0):
            said = subprocess.run(["nvidia-smi", *_GPU_QUERY], capture_output=True, text=True, check=False)  # noqa: S603, S607 - a command of ours, found on PATH
            percents = [float(line) for line in said.stdout.split() if line.replace(".", "", 1).isdigit()]
            if not percents:
                return
            busiest = sorted(percents, reverse=True)[: self.asked.gpu]  # others may work on the machine's other GPUs
            self._shares.append(sum(busiest) / len(busiest) / 100)


_WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in _WHO]
    return sum(each.ru_utime + each.ru_stime for each in used)
