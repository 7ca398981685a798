"""The feature registry on the command line: what there is, who reads it, what may go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.features.registry.registry import FeatureRegistry
from loopline.platform_core.foundation.names import ModelRef, view_table
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.ledger.entry_kinds import PINNED, REGISTERED
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.platform import Platform

REF = ModelRef("corner", "returns")


@pytest.fixture
def register(world) -> Callable[..., None]:
    """Give a function that registers the corner's view as another release declared it, and lets a model read it."""

    def before(*, live: bool = True, **changes: object) -> None:
        from corner_shop import customer_sales, returns, team

        world.later(0)
        platform, view = Platform.open(), replace(customer_sales, **changes)
        FeatureRegistry(platform).register(replace(team, models=(replace(returns, features=(view,)),)), "ann")
        if live:
            tables = {"tables": {view_table("corner", view): 0}}
            platform.ledger.record(Entry(PINNED, world.now, *REF, "c1", details=tables))
            platform.ledger.record(Entry(REGISTERED, world.now, *REF, "c1", "1"))
            with platform.ledger.writing(REF) as connection:
                wanted = deployments.Deployment(REF, 0, Served("1", world.home, "c1"), None, 0)
                deployments.write(connection, wanted, Entry(deployments.CHANGED, world.now, *REF, "c1", "1"))
        platform.close()

    return before


def test_views_are_listed_with_their_readers(world, register):
    """A line a version; the filters of the registry apply."""
    register()
    assert world.run("features", "list").stdout.splitlines()[1].split() == [
        "corner/customer_sales@1", "active", "customer_id", "sales", "-", "2"]  # fmt: skip
    (view,) = world.json("features", "list", "country", "--team", "corner", "--state", "active")["views"]
    assert view["features"] == {"amount": "double", "country": "string"}
    assert world.json("features", "list", "colour") == {"views": []}


def test_a_view_is_shown_with_all_that_is_known(world, register):
    """Readers, freshness and history, as text and as JSON."""
    register()
    text = world.run("features", "show", "customer_sales").stdout
    assert "read by       corner/returns version 1 (stable); model corner/returns" in text
    assert "2011-03-01 12:00:00 by ann: corner/customer_sales@1: declared" in text
    (told,) = world.json("features", "show", "corner/customer_sales")["versions"]
    assert (told["newest_event"], told["readers"][0]) == (None, "corner/returns version 1 (stable)")
    said = world.json("features", "show", "weather", code=1)
    assert said["problem"] == "no team has registered a feature view 'weather'"


def test_what_is_read_or_declared_is_not_retired(world, register):
    """Nor what was never registered; the name must be that of a version."""
    register(live=False, version=2)
    retire = ("features", "retire", "corner/customer_sales@2", "--reason", "old")
    assert world.json(*retire)["state"] == "retired"
    register(version=3)
    said = world.json("features", "retire", "corner/customer_sales@3", "--reason", "old", code=1)
    assert (said["error"], said["fix"]) == ("Refused", "move its readers to another version first")
    assert world.json("features", "retire", "corner/customer_sales@9", "--reason", "x", code=1)["error"] == "NotFound"
    assert world.json("features", "retire", "customer_sales", "--reason", "x", code=1)["error"] == "BadRequest"


def test_plugin_check_finds_what_the_registry_would_refuse(world, register):
    """A changed meaning is found at the view's function, before the release runs anywhere; nothing is written."""
    assert world.json("plugin", "check", "corner")["valid"]
    assert not world.home.joinpath("ledger.db").exists()
    register(ttl_days=7)
    (problem,) = world.json("plugin", "check", "corner", code=1)["problems"]
    assert problem["where"].partition(".py:")[0].endswith("corner_shop/__init__")
    assert problem["message"] == (
        "feature view corner/customer_sales@1 is read by corner/returns version 1 (stable) and would mean something "
        "else: ttl_days changed from 7.0 to 30.0"
    )
    assert problem["fix"].startswith("declare the change as version=2 of 'customer_sales'; keep version 1")
    (view,) = world.json("features", "list")["views"]
    assert view["ttl_days"] == 7


def test_plugin_check_finds_what_would_be_dropped(world, register):
    """What the package no longer declares is told at its other version."""
    register(version=2)
    (problem,) = world.json("plugin", "check", "corner", code=1)["problems"]
    assert problem["message"].startswith("feature view corner/customer_sales@2 is read by corner/returns version 1")
    assert problem["message"].endswith("is no longer declared")
