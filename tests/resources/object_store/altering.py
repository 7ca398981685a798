"""What the kit of states is to be told of an object store: how a package is changed there, and a server silenced."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from loopline.platform_core.testing.state_store import StateStoreKit
from loopline.resources.object_store import packages, states
from loopline.resources.object_store.objects import Objects


class ObjectStatesKit(StateStoreKit):
    """Subclass it, and give ``objects``, where ``store`` and ``feed`` meet."""

    @pytest.fixture
    def altered(self, objects: Objects) -> Callable[[str], None]:
        """Swap a byte of every package that is there."""

        def alter(_: str) -> None:
            for one in objects.listed(packages.FOLDER):
                found = objects.read(one.key)
                assert found
                objects.write(one.key, found[0].replace(b"1111", b"1211"))

        return alter

    @pytest.fixture
    def silence(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
        """Let no time at all be too long."""
        return lambda _: monkeypatch.setattr(states, "SILENT_SECONDS", -1)
