"""Settings of deferred (asynchronous) requests, under ``serving.deferred``."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class DeferredSettings(BaseModel):
    """What an environment file says under ``serving.deferred``.

    At most ``requests`` wait at once; an answer, and a request that cannot be answered, is kept for ``keep_hours``.
    Callers are told at ``callback_hosts`` only (``host`` or ``host:port``), in at most ``callback_attempts``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: int = Field(1_000, gt=0)
    keep_hours: float = Field(24.0, gt=0)
    callback_hosts: tuple[str, ...] = ()
    callback_attempts: int = Field(6, gt=0)
