"""boto3's clients, with the credentials that its own chain finds: workload identity first of all."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from loopline.platform_core.errors import InvalidEnvironment
from loopline.resources.aws.failure import translated_errors

T = TypeVar("T")


@dataclass(frozen=True)
class Reach:
    """How a service is reached.

    ``region`` and ``endpoint_url`` are the chain's where they are None. A connection, and what comes over it, are
    waited for ``timeout_seconds``; ``connections`` stay open. botocore asks up to ``tries`` times, with backoff in
    between, in the ``retry_mode`` of that name; a vendor that has to end in time sets one and asks again by itself.
    """

    region: str | None = None
    endpoint_url: str | None = None
    timeout_seconds: float = 10.0
    connections: int = 10
    tries: int = 4
    retry_mode: str = "standard"


def make_client(service: str, reach: Reach, what: str) -> Any:
    """Make the client of a service, such as ``dynamodb``, for ``what``; threads may share it, forks may not.

    Raises:
        InvalidEnvironment: boto3 is not installed, no region is known, or the endpoint is no URL.
    """
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise InvalidEnvironment(f"{what}: boto3 is not installed ({error})", "install the extra 'aws'") from error
    config = Config(
        connect_timeout=reach.timeout_seconds,
        read_timeout=reach.timeout_seconds,
        max_pool_connections=reach.connections,
        retries={"total_max_attempts": reach.tries, "mode": reach.retry_mode},
        user_agent_extra="loopline",
    )
    with translated_errors(what):
        session = boto3.session.Session(region_name=reach.region)
        return session.client(service, endpoint_url=reach.endpoint_url, config=config)


class OneAProcess(Generic[T]):
    """What a process makes once, for all its threads, and a fork makes anew."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[int, T] = {}
        self._locks: dict[int, threading.Lock] = {}

    def get(self) -> T:
        """Return this process's."""
        pid = os.getpid()
        if pid not in self._made:
            with self._locks.setdefault(pid, threading.Lock()):  # one that was held when it forked stays held
                if pid not in self._made:
                    self._made[pid] = self._make()
        return self._made[pid]

    def taken(self) -> T | None:
        """Return this process's, if it was made, and forget it."""
        return self._made.pop(os.getpid(), None)
