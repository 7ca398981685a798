"""What Prometheus scrapes of the feature service."""

from __future__ import annotations

import asyncio
import subprocess

import httpx
import pytest

from loopline.features_api.app import create_app
from loopline.platform_core.environment import Environment
from loopline.platform_core.platform import Platform
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.polars.engine import PolarsEngine
from loopline.resources.sqlite.online_store import SqliteOnlineStore
from loopline.stories.feature_shop import team

ONLINE = {"team": "shop", "features": ["history:spend"], "entities": {"customer_id": [1]}}


@pytest.fixture
def text(tmp_path):
    """Ask rightly and wrongly, and give what is told of it."""
    bindings = {
        "lake": DeltaLake(root=str(tmp_path / "lake")),
        "engine": PolarsEngine(),
        "online_store": SqliteOnlineStore(path=str(tmp_path / "online.db")),
    }
    ledger = f"sqlite:///{tmp_path}/ledger.db"
    platform = Platform(Environment("test", tmp_path / "e.yaml", bindings, ledger, None, tmp_path))
    app = create_app(platform, [team])

    async def asked() -> str:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            for body in (ONLINE, ONLINE, {"team": "nobody"}):
                await client.post("/features/online", json=body)
            await client.get("/features/no%22body/x%0A")
            await client.get("/nowhere%22")
            await client.get("/health")
            app.state.serving = None
            await client.get("/health")
            return (await client.get("/metrics")).text

    yield asyncio.run(asked())
    platform.close()


def test_requests_are_counted_by_route_and_status(text):
    """A route has its path as it is written; whatever else is asked has none, so that no caller can make up series."""
    assert 'loopline_feature_requests_total{route="/features/online",status="200"} 2' in text
    assert 'loopline_feature_requests_total{route="/features/online",status="404"} 1' in text
    assert 'loopline_feature_request_seconds_count{route="/features/online"} 3' in text
    assert 'loopline_feature_requests_total{route="/features/{team}/{view}",status="400"} 1' in text
    assert 'loopline_feature_requests_total{route="/health",status="200"} 1' in text
    assert 'loopline_feature_requests_total{route="/health",status="500"} 1' in text
    assert 'loopline_feature_requests_total{route="",status="404"}' in text
    assert "nowhere" not in text
    assert "body" not in text


def test_promtool_finds_no_fault(text):
    """Names, types, units and help are as Prometheus' own linter wants them."""
    done = subprocess.run(["promtool", "check", "metrics"], input=text.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
