"""The feature service behind keys."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from loopline.features_api.app import create_app
from loopline.gateway import api_keys
from loopline.platform_core.environment import Environment
from loopline.platform_core.platform import Platform
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.polars.engine import PolarsEngine
from loopline.resources.sqlite.online_store import SqliteOnlineStore
from loopline.stories.feature_shop import team

ONLINE = {"team": "shop", "features": ["history:spend"], "entities": {"customer_id": [1]}}


@pytest.fixture
def keys(tmp_path):
    """Name the file of keys."""
    return tmp_path / "keys.json"


@pytest.fixture
def ask(tmp_path, keys):
    """Return what asks the service for features, with or without a key, and gives the answer."""
    bindings = {
        "lake": DeltaLake(root=str(tmp_path / "lake")),
        "engine": PolarsEngine(),
        "online_store": SqliteOnlineStore(path=str(tmp_path / "online.db")),
    }
    ledger = f"sqlite:///{tmp_path}/ledger.db"
    platform = Platform(Environment("test", tmp_path / "e.yaml", bindings, ledger, None, tmp_path))
    app = create_app(platform, [team], keys=keys)

    async def asked(path, key):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            if path == "/features/online":
                return await client.post(path, json=ONLINE, headers=headers)
            return await client.get(path, headers=headers)

    yield lambda path="/features/online", key="": asyncio.run(asked(path, key))
    platform.close()


def test_a_key_for_features_is_answered(keys, ask):
    """One for the service, and one for everything."""
    for models in (("features",), ("*",)):
        key = api_keys.create(keys, f"shop{len(models[0])}", api_keys.Tenant(models))
        keys_known(ask)
        assert ask(key=key).status_code == 200


def test_without_a_key_nothing_is_told(ask):
    """Neither values nor names; the answer says what to send."""
    for path in ("/features/online", "/features", "/docs", "/openapi.json", "/nowhere", "/health/"):
        refused = ask(path)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert "Authorization: Bearer" in refused.json()["error"]["fix"]
    assert ask(key="ll_000000000000_no").status_code == 401


def test_a_key_for_models_alone_is_not_for_features(keys, ask):
    """The answer says which key would do."""
    key = api_keys.create(keys, "shop", api_keys.Tenant(("shop.*",)))
    keys_known(ask)
    refused = ask(key=key)
    assert refused.status_code == 403
    assert "www-authenticate" not in refused.headers
    assert "--model features" in refused.json()["error"]["fix"]


def test_probes_and_prometheus_need_none(ask):
    """Kubelet and Prometheus look without a key."""
    assert ask("/health").status_code == ask("/metrics").status_code == 200


def keys_known(ask):
    """Wait until the service has looked into its file again."""
    time.sleep(api_keys.LOOK_SECONDS + 0.1)
    ask("/health")
