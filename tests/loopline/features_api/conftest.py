"""The feature service over the shop of fixed features, asked in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from loopline.platform_core.environment import Environment
from loopline.platform_core.platform import Platform
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.polars.engine import PolarsEngine
from loopline.resources.sqlite.online_store import SqliteOnlineStore

ONLINE = {"team": "shop", "features": ["history:spend"], "entities": {"customer_id": [1]}}


@pytest.fixture
def empty_shop(tmp_path: Path) -> Iterator[Platform]:
    """Open the shop's platform, in which nothing has happened yet."""
    bindings = {
        "lake": DeltaLake(root=str(tmp_path / "lake")),
        "engine": PolarsEngine(),
        "online_store": SqliteOnlineStore(path=str(tmp_path / "online.db")),
    }
    ledger, clock = f"sqlite:///{tmp_path}/ledger.db", tmp_path / "clock"
    platform = Platform(Environment("test", tmp_path / "e.yaml", bindings, ledger, clock, tmp_path))
    yield platform
    platform.close()


def asked(app: FastAPI, method: str, path: str, *, raised: bool = False, **more: Any) -> httpx.Response:
    """Send a request to the application; unless ``raised``, its defects are answers as well."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=raised)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, **more)

    return asyncio.run(send())
