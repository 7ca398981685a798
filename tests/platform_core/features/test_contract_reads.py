"""The contract of a source is read once in a materialization, by whoever asks first."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.growth.home import ORDERS, home, landed, spending
from loopline.platform_core.features.materialize import materialize
from loopline.platform_core.foundation.located_yaml import Located
from loopline.platform_core.specs import odcs


def test_a_materialization_reads_the_contract_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a new process that registers its team as well; what a view means and how its rows are held rest on it."""
    made = home(tmp_path)
    made.deliver(3)
    landed(made)
    read: list[Path] = []
    load = odcs.load

    def loaded(path: Path) -> Located:
        read.append(path)
        return load(path)

    monkeypatch.setattr(odcs, "load", loaded)
    odcs._read.cache_clear()
    platform = made.opened()
    assert materialize(platform, made.team, spending).rows > 0
    platform.close()
    assert read == [tmp_path / ORDERS.contract]
