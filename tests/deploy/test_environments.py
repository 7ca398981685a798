"""Every environment file that we ship binds every contract to a vendor that is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from platform_core import environment
from platform_core.contracts import CONTRACTS

FILES = sorted(Path(__file__).parents[2].joinpath("deploy", "environments").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_environment_binds_every_contract(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No server is asked: binding checks vendors and settings only."""
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path))
    bound = environment.read(file)
    assert set(bound.bindings) == set(CONTRACTS)
    assert bound.name == file.stem
    assert "$" not in repr(bound)
