"""What a name means, also while the team that it belongs to does not load."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from loopline.cli.subject import referenced, remembered
from loopline.platform_core import plugins
from loopline.platform_core.errors import NotFound
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.platform import Platform


@pytest.fixture
def broken(world):
    """Give the platform of a team that rolled a model out, and does not load any more."""
    world.roll_out("first")
    world.break_team()
    platform = Platform.open()
    yield platform
    platform.close()


def test_a_model_whose_team_does_not_load_is_found_by_name_alone(broken):
    """Whoever is on call does not wait for years of entries: no figure of any entry is read to know a name."""
    asked: list[str] = []
    event.listen(broken.ledger.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    assert [referenced(broken, name) for name in ("returns", "corner/returns")] == [ModelRef("corner", "returns")] * 2
    for name in ("elsewhere", "elsewhere/returns", "corner/", ""):
        with pytest.raises(NotFound, match="no team has a model"):
            referenced(broken, name)
    read = [statement for statement in asked if statement.startswith("SELECT")]
    assert read
    assert not [statement for statement in read if "details" in statement or "model = ?" not in statement]


def test_a_name_that_two_teams_had_wants_its_team(broken):
    """Which one is meant is not guessed."""
    broken.ledger.record(Entry("model.frozen", broken.clock.now(), "kiosk", "returns"))
    with pytest.raises(NotFound, match="no team has a model"):
        referenced(broken, "returns")
    assert referenced(broken, "kiosk/returns") == ModelRef("kiosk", "returns")


def test_a_past_is_told_without_any_team_s_package(broken, monkeypatch):
    """One model of this name is in the ledger: nobody asks what teams declare, until two are or none is."""

    def asked() -> None:
        raise AssertionError("teams are loaded")

    monkeypatch.setattr(plugins, "installed", asked)
    assert [remembered(broken, name) for name in ("returns", "corner/returns")] == [ModelRef("corner", "returns")] * 2
    assert referenced(broken, "corner/returns") == ModelRef("corner", "returns")
    broken.ledger.record(Entry("model.frozen", broken.clock.now(), "kiosk", "returns"))
    for name in ("returns", "elsewhere"):
        with pytest.raises(AssertionError, match="teams are loaded"):
            remembered(broken, name)
