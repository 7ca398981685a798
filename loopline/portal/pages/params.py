"""Validated URL parameters: names of teams and models."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
TeamInPath = Annotated[str, Path(pattern=NAME, max_length=128)]
ModelInPath = Annotated[str, Path(pattern=NAME, max_length=128)]
CycleInPath = Annotated[str, Path(pattern=r"^[\w.-]+$", max_length=256)]
SourceInPath = Annotated[str, Path(pattern=NAME, max_length=128)]
Start = Annotated[int, Query(ge=0, le=10_000_000)]
Size = Annotated[int, Query(ge=1, le=500)]
Before = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
"""The number of an entry; no database knows a larger one."""
Text = Annotated[str, Query(max_length=200)]
