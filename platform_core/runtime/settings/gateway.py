"""Settings of the gateway: API keys, access log, traces."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class GatewaySettings(BaseModel):
    """What is asked and kept of each request; each is off until it is named.

    ``keys`` is the file of API keys (``loopline key create`` writes it), ``access_log`` a file of JSON lines (``-``:
    standard output), ``traces`` where spans go: ``file:<path>``, or ``http(s)://…/v1/traces`` for an OTLP collector.
    Of requests that belong to no trace ``traces_share`` get one; for others their trace has decided.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: Path | None = None
    access_log: str | None = None
    traces: str | None = None
    traces_share: float = Field(1.0, ge=0, le=1)
