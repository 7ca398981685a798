"""Lakes on object stores."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from loopline.resources.delta.lake import DeltaLake
from tests.emulators.stores import StoreServer

HTTP = {"allow_http": "true"}
BOUNDS = {"timeout": "15s", "retry_timeout": "30s"}
"""On a store's answers, where a machine that others use as well may be slow."""


@pytest.fixture
def make_lake(store_server: StoreServer) -> Callable[..., DeltaLake]:
    """Make lakes of the test's store: at one root, with options beyond what leads there."""
    root = f"{store_server.place()}/lake"

    def make(options: dict[str, str] | None = None, at: str = root, **more: object) -> DeltaLake:
        told = {**(options or store_server.options), **HTTP, **BOUNDS}
        return DeltaLake.model_validate({"root": at, "storage_options": told, **more})

    return make
