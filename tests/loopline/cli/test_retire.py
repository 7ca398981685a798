"""The end of a model's endpoint, asked for by hand."""

from __future__ import annotations

import pytest

from loopline.platform_core import plugins
from loopline.platform_core.plugins import Installed, Quarantined


def test_a_model_of_no_team_is_retired(world, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot end endpoints says that they go on; of a team that does not load nothing is known, and all stays.

    Of one that still has it the next cycle would bring the endpoint back: the message says what to do first.
    """
    world.roll_out("first")
    said = world.json("model", "retire", "returns", "--reason", "gone", code=1)
    assert "team corner declares corner/returns" in said["problem"]
    assert "take the model out" in said["fix"]
    (team,) = [one for one in plugins.installed().teams if one.name == "corner"]
    broken = Quarantined(team.name, "defs.py", 3, "no such name")
    monkeypatch.setattr(plugins, "installed", lambda *_: Installed((), (broken,)))
    assert "defs.py" in world.json("model", "retire", "corner/returns", "--reason", "gone", code=1)["problem"]
    monkeypatch.setattr(plugins, "installed", lambda *_: Installed((), ()))
    said = world.json("model", "retire", "corner/returns", "--reason", "gone")
    assert said["model"] == "corner/returns"
    assert world.json("model", "status", "corner/returns")["models"][0]["stable"] is None
