"""Limits of a server worker; beyond them it refuses (backpressure), so that memory and waiting stay bounded."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

MEBIBYTE = 1024 * 1024


class Limits(BaseModel):
    """Limits of one worker; an environment file sets them under ``serving.limits``.

    A request has at most ``body_bytes`` (unpacked too) and ``rows``, and a head of ``header_bytes``. At most
    ``requests`` are underway at once, and ``held_bytes`` of bodies that are still coming in. There are at most
    ``connections``; a request must have come whole within ``receive_seconds``, an answer must be taken within
    ``send_seconds``, and an idle connection is kept for ``idle_seconds``. Over gRPC ``requests`` count apart.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    body_bytes: int = Field(16 * MEBIBYTE, gt=0)
    rows: int = Field(10_000, gt=0)
    header_bytes: int = Field(32 * 1024, gt=0)
    requests: int = Field(256, gt=0)
    held_bytes: int = Field(64 * MEBIBYTE, gt=0)
    connections: int = Field(1_000, gt=0)
    receive_seconds: float = Field(30.0, gt=0)
    send_seconds: float = Field(30.0, gt=0)
    idle_seconds: int = Field(75, gt=0)
