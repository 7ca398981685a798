"""Puts the server together from an environment file; uvicorn calls ``create`` in each worker."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from platform_core import clock, environment
from platform_core.clock import Clock, WallClock
from platform_core.contracts.online_store import OnlineStore
from platform_core.errors import InvalidEnvironment
from platform_core.runtime.app import App
from platform_core.runtime.inference import Inference
from platform_core.runtime.lifespan import Lifespan
from platform_core.runtime.log import PredictionLog
from platform_core.runtime.states import Worker
from platform_core.runtime.watcher import Watcher


@dataclass(frozen=True)
class Settings:
    """Where the server keeps its state, where it listens, where online features come from, and the platform's time."""

    root: Path
    host: str
    port: int
    store: OnlineStore
    clock: Clock = field(default_factory=WallClock)


def settings(file: Path | None = None) -> Settings:
    """Read from an environment file what the server needs: the bindings ``serving`` and ``online_store``.

    Raises:
        InvalidEnvironment: the bound serving vendor runs no server of ours.
    """
    bound = environment.read(file, only=("serving", "online_store"))
    vendor = bound.bindings["serving"]
    try:
        root, host, port = (getattr(vendor, name) for name in ("root", "host", "port"))
    except AttributeError as error:
        raise InvalidEnvironment(
            f"{bound.path}: {type(vendor).__name__} does not say where a server of ours listens ({error})",
            "bind serving to a vendor with root, host and port, such as 'local'",
        ) from error
    store = cast("OnlineStore", bound.bindings["online_store"])
    return Settings(Path(root), host, port, store, clock.chosen(bound.clock))


def create() -> App:
    """Make the application of one worker, from the environment file in force."""
    return assemble(settings())


def assemble(chosen: Settings) -> App:
    """Make the application of one worker; its name tells when it started, so that its log files sort by age."""
    worker = Worker(chosen.root, f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{os.getpid()}")
    log = PredictionLog(chosen.root, worker.name)
    inference = Inference(chosen.store, log.write, chosen.clock)
    watcher = Watcher(chosen.root, worker, inference)
    return App(inference, Lifespan(worker, watcher, log, chosen.store), lambda: watcher.ready)
