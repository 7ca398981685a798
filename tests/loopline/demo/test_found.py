"""Stories are found by the entry points of teams' packages."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint

import pytest
import retail.story

from loopline.demo import found
from loopline.demo.client import request_body
from loopline.demo.declared import Request
from loopline.platform_core import plugins
from loopline.platform_core.errors import InvalidSpec, NotFound


def test_a_story_is_what_a_package_declares() -> None:
    """Two are the retailer's own; another name is refused with those that there are."""
    assert found.story("value") is retail.story.value
    assert set(found.SHIPPED) <= set(found.names())
    with pytest.raises(NotFound, match=r"use one of .*cancellations.*value"):
        found.story("reptiles")


def test_what_is_no_story_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name under which it is declared."""
    point = EntryPoint("odd", "retail:team", found.GROUP)
    monkeypatch.setattr(found, "entry_points", lambda group: [point])
    with pytest.raises(InvalidSpec, match="retail:team is a Team, not a Story"):
        found.story("odd")


def test_only_the_team_of_a_story_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others that are installed are left out, in this process and in those that it starts."""
    monkeypatch.setenv(plugins.ONLY, "another, retail")
    assert plugins.names() == ("retail",)
    monkeypatch.setenv(plugins.ONLY, "another")
    assert plugins.names() == ()
    assert plugins.installed().teams == ()


def test_a_vector_is_one_row_of_many_numbers() -> None:
    """Numbers, texts and vectors of a request, as the protocol writes them."""
    request = Request("a", retail.story.value.as_of[0], {"who": 7}, {"seen": [0.5, 1], "said": "lamp", "is_new": True})
    inputs = {one["name"]: one for one in json.loads(request_body(request))["inputs"]}
    assert inputs["seen"] == {"name": "seen", "shape": [1, 2], "datatype": "FP64", "data": [0.5, 1]}
    kinds = {name: (one["shape"], one["datatype"]) for name, one in inputs.items() if name != "seen"}
    assert kinds == {"who": ([1], "INT64"), "said": ([1], "BYTES"), "is_new": ([1], "BOOL")}
