"""The feature service behind keys."""

from __future__ import annotations

import pytest

from loopline.features_api.app import create_app
from loopline.gateway import api_keys
from loopline.stories.feature_shop import team
from tests.loopline.features_api.conftest import ONLINE, asked


@pytest.fixture
def keys(tmp_path, monkeypatch):
    """Name the file of keys, into which the service looks again at each request."""
    monkeypatch.setattr(api_keys, "LOOK_SECONDS", 0)
    return tmp_path / "keys.json"


@pytest.fixture
def ask(empty_shop, keys):
    """Return what asks the service for features, with or without a key, and gives the answer."""
    app = create_app(empty_shop, [team], keys=keys)

    def ask(path="/features/online", key=""):
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        online = {"json": ONLINE} if path == "/features/online" else {}
        return asked(app, "POST" if online else "GET", path, raised=True, headers=headers, **online)

    return ask


def test_a_key_for_features_is_answered(keys, ask):
    """One for the service, and one for everything; one for models alone is told which key would do."""
    for models in (("features",), ("*",)):
        key = api_keys.create(keys, f"shop{len(models[0])}", api_keys.Tenant(models))
        assert ask(key=key).status_code == 200
    refused = ask(key=api_keys.create(keys, "shop", api_keys.Tenant(("shop.*",))))
    assert refused.status_code == 403
    assert "www-authenticate" not in refused.headers
    assert "--model features" in refused.json()["error"]["fix"]


def test_without_a_key_nothing_is_told(ask):
    """Neither values nor names; the answer says what to send. Kubelet and Prometheus look without a key."""
    for path in ("/features/online", "/features", "/docs", "/openapi.json", "/nowhere", "/health/"):
        refused = ask(path)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert "Authorization: Bearer" in refused.json()["error"]["fix"]
    assert ask(key="ll_000000000000_no").status_code == 401
    assert ask("/health").status_code == ask("/metrics").status_code == 200
