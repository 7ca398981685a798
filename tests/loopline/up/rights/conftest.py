"""The web server of two teams, started once for all files here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.loopline.up.rights.two_teams import World
from tests.loopline.up.rights.two_teams import world as two_teams


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Start it."""
    with two_teams(tmp_path_factory.mktemp("two teams")) as made:
        yield made
