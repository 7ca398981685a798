"""Endpoints that answer for models."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from platform_core.contracts.base import Vendor

if TYPE_CHECKING:
    import pyarrow as pa

CANARY = "canary"
SHADOW = "shadow"
SCALE_TO_ZERO = "scale_to_zero"
GRPC = "grpc"


@dataclass(frozen=True)
class Served:
    """A model version as served: the folder of its package, and the cycle that made it."""

    version: str
    package: Path
    cycle: str


@dataclass(frozen=True)
class DesiredState:
    """What an endpoint should be. ``percent`` of entities go to the candidate; ``generation`` counts changes."""

    model: str
    generation: int
    stable: Served
    candidate: Served | None = None
    percent: int = 0


@dataclass(frozen=True)
class ObservedState:
    """What an endpoint is: the generation every worker has loaded (None before the first), and any trouble."""

    generation: int | None
    ready: bool
    problem: str = ""


class Serving(Vendor):
    """Endpoints that answer for models.

    Promises, each with a test in ``platform_core.testing.serving``:
      1. After ``apply`` the endpoint comes to that generation; requests during the change are answered.
      2. An older generation never replaces a newer one.
      3. With a candidate, about ``percent`` of the entities are answered by it, always the same ones, and those
         of a smaller percent are among those of a larger.
      4. A version that cannot be loaded leaves the one before it answering, and ``observe`` says what is wrong.
      5. Every answered request is in ``predictions`` once, with features as served, version, role and cycle.
      6. ``predictions`` after a cursor gives only what came later; the cursor may be kept for ever.
      7. A candidate asked of a vendor without ``canary`` raises ``Unsupported``.
    """

    @abc.abstractmethod
    def apply(self, state: DesiredState) -> None:
        """Ask for a state; returns at once."""

    @abc.abstractmethod
    def observe(self, model: str) -> ObservedState:
        """Say what the endpoint is now."""

    @abc.abstractmethod
    def endpoint(self, model: str) -> str:
        """Return the URL to which ``/infer`` is appended: ``http://host:port/v2/models/<model>``."""

    @abc.abstractmethod
    def predictions(self, model: str, after: str | None = None) -> tuple[pa.Table, str]:
        """Read the prediction log after a cursor (None: from the start).

        Returns:
            Rows and the next cursor. One row per entity asked: ``request_id``, ``row`` (int32), ``event_time`` and
            ``logged_at`` (UTC, µs), ``version``, ``cycle``, ``role`` (``stable`` or ``candidate``), ``status`` (HTTP
            code), ``latency_ms`` (float64), ``score`` (float64, null when failed), ``keys`` and ``features``
            (JSON objects as text), ``missing`` (list of online views without a row of the entity, or with one of
            another width), ``stale`` (list of those whose row was older than their TTL), ``asked_at`` (UTC, µs).

            ``logged_at`` and ``asked_at`` are the platform's time: what was looked up online was looked up between
            ``asked_at`` and ``logged_at``. ``stale`` and ``asked_at`` are null in logs of before they were kept.
        """
