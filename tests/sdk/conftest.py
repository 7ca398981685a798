"""The shop of fixed features behind a real server, on each online store, and the vectors that it must answer with."""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import uvicorn
from httpx._transports import default

from loopline.features_api.app import create_app
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Team
from loopline.stories import feature_shop
from tests.machine import needs
from tests.waiting import until

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "sdk" / "vectors"


def entries(file: str) -> list[Any]:
    """Read one file of vectors, each named in the test's id."""
    found = json.loads(VECTORS.joinpath(file).read_text(encoding="utf-8"))
    return [pytest.param(each, id=each["name"].replace(" ", "-")) for each in found]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give ``online``, ``online_call`` and ``training`` every vector; a call is what an SDK can send."""
    if "online" in metafunc.fixturenames:
        metafunc.parametrize("online", entries("online.json"))
    if "online_call" in metafunc.fixturenames:
        metafunc.parametrize("online_call", [each for each in entries("online.json") if each.values[0]["call"]])
    if "training" in metafunc.fixturenames:
        metafunc.parametrize("training", entries("training.json"))


@pytest.fixture(scope="session", autouse=True)
def _one_tls_context() -> Iterator[None]:
    """Read this machine's authorities once, not for each client: none here speaks TLS."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(default, "create_ssl_context", cache(default.create_ssl_context))
        yield


@pytest.fixture(scope="session")
def feature_vectors() -> ModuleType:
    """Load the script that writes the vectors."""
    spec = importlib.util.spec_from_file_location("feature_vectors", ROOT / "scripts" / "feature_vectors.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session", params=["sqlite", "redis"])
def shop(
    request: pytest.FixtureRequest, feature_vectors: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """Open the shop with its features in each online store."""
    store = None
    if request.param == "redis":
        store = {"vendor": "redis", "url": request.getfixturevalue("redis_server").url, "prefix": "sdk-vectors:"}
    with feature_vectors.shop(tmp_path_factory.mktemp("shop"), store) as platform:
        yield platform


@pytest.fixture(scope="session")
def server(shop: Platform) -> Iterator[str]:
    """Serve the shop over HTTP; gives the URL."""
    with _serving(shop, feature_shop.team) as url:
        yield url


@pytest.fixture
def serving() -> Callable[[Platform, Team], AbstractContextManager[str]]:
    """Give what serves a team over HTTP while a block lasts, and gives the URL."""
    return _serving


@pytest.fixture(scope="session")
def java_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the Java SDK; gives the folder of its classes."""
    compiler = needs("javac")
    folder = tmp_path_factory.mktemp("classes")
    sources = ROOT.joinpath("sdk", "java", "src", "main", "java").rglob("*.java")
    subprocess.run([compiler, "--release", "17", "-d", folder, *sources], check=True, timeout=120)
    return folder


@contextmanager
def _serving(platform: Platform, team: Team) -> Iterator[str]:
    """Run uvicorn as it runs in production, in a thread."""
    listening = socket.create_server(("127.0.0.1", 0))
    app = create_app(platform, [team])
    uvicorn_server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = threading.Thread(target=uvicorn_server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        until(lambda: uvicorn_server.started or not thread.is_alive())
        assert uvicorn_server.started
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        uvicorn_server.should_exit = True
        thread.join(30)
        listening.close()
