"""CPU and memory use of a server worker's process, from the kernel."""

from __future__ import annotations

from loopline.platform_core.contracts.serving import ServerUse


def used(worker: str) -> ServerUse | None:
    """Ask about the process whose id ends a worker's name; None when it is no more."""
    import time

    import psutil

    try:
        process = psutil.Process(int(worker.rpartition("-")[2]))
        with process.oneshot():
            times, seconds = process.cpu_times(), time.time() - process.create_time()
            return ServerUse(worker, times.user + times.system, process.memory_info().rss / 2**30, seconds)
    except psutil.NoSuchProcess:  # it ended since it was listed
        return None
