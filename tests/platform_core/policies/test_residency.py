"""Rows that a contract keeps in a region are trained on there alone; of which none says so, anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core import environment, turn
from loopline.platform_core.audit.reading import Wanted, newest
from loopline.platform_core.errors import Denied, InvalidEnvironment, InvalidSpec
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.platform import Platform
from loopline.platform_core.policies import asking
from loopline.platform_core.specs import Drift, Model, Source, Team, labels
from loopline.platform_core.specs.contracts import residency
from loopline.platform_core.testing.engines.engine_tables import put_contract

ORDERS, RETURNS = Source("orders", contract="orders.yaml"), Source("returns", contract="returns.yaml")


class View:
    """What a model reads of a source, as far as regions go."""

    name, version = "history", 1

    def __init__(self, source: Source) -> None:
        self.source = source


@pytest.fixture
def team(tmp_path: Path) -> Team:
    """A team whose model learns from two sources."""
    said = labels(ORDERS, entities=("order",), time="t", label="l", known_at="k")(lambda rows: rows)
    model = Model("returns", (), said, fit=None)  # type: ignore[arg-type]
    object.__setattr__(model, "features", (View(RETURNS),))
    for name in ("orders", "returns"):
        put_contract(tmp_path / f"{name}.yaml", order="integer", t="timestamp")
    return Team("shop", tmp_path, (model,))


def stay(team: Team, source: str, regions: Any) -> None:
    """Let a contract say where rows may be."""
    file = team.folder / f"{source}.yaml"
    text = file.read_text().partition("customProperties")[0]
    file.write_text(f"{text}customProperties:\n  - {{property: regions, value: {regions}}}\n")


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """A platform that says who may decide, and binds nothing: whatever is asked of a vendor fails."""
    (tmp_path / "roles.yaml").write_text("platform: {platform_admin: [root]}\n")
    file = tmp_path / "e.yaml"
    file.write_text(f'access: {{roles: roles.yaml}}\nledger: "sqlite:///{tmp_path}/l.db"\nregion: us\n')
    opened = Platform(environment.read(file, only=()))
    yield opened
    opened.close()


def test_what_must_stay_elsewhere_is_not_trained_on(platform: Platform, team: Team):
    """Before a training set is built, and before anything is fitted; the attempt is written down with the policy."""
    stay(team, "orders", "[eu]")
    model = team.models[0]
    cycle = cycles.open_cycle(platform.ledger, ModelRef("shop", "returns"), Drift(), "x", "x", platform.clock.now())
    step = turn.Turn(platform, team, model, cycle)
    for begun in (turn.pin, turn.fit):
        with pytest.raises(Denied, match=r"may not train model of shop/returns: policy data-stays-in-its-region"):
            begun(step)
    with platform.ledger.reading() as connection:
        found, _ = newest(connection, Wanted(what="attempt.denied"), 10)
    assert {(one.who, one.policy, one.outcome) for _, one in found} == {("loop", "data-stays-in-its-region", "denied")}
    assert platform.ledger.entries(kinds=[turn.PINNED, turn.REGISTERED]) == []


def test_where_they_may_be_they_are(platform: Platform, team: Team):
    """In one of the regions that all contracts name; without a word of the environment's nowhere."""
    model = team.models[0]
    asking.refuse_training(platform, team, model)
    stay(team, "orders", "[eu, us]")
    asking.refuse_training(platform, team, model)
    stay(team, "returns", "[us]")
    asking.refuse_training(platform, team, model)
    assert residency.regions(team, model) == {"us"}
    stay(team, "returns", "[eu, ch]")
    assert residency.regions(team, model) == {"eu"}
    nowhere = Platform(replace(platform.environment, region=""))
    stay(team, "orders", "[ch]")
    stay(team, "returns", "[eu]")
    for one in (platform, nowhere, Platform(replace(platform.environment, region="ch"))):
        with pytest.raises(Denied):
            asking.refuse_training(one, team, model)
    open_to_all = Platform(replace(platform.environment, access=None))
    asking.refuse_training(open_to_all, team, model)


@pytest.mark.parametrize("wrong", ["eu", "[]", "[eu, 5]", "[' eu']", "['']", "{eu: yes}", "null", "[[eu]]"])
def test_a_list_that_cannot_be_read_is_refused(team: Team, wrong: str):
    """It would let rows be anywhere."""
    stay(team, "orders", wrong)
    with pytest.raises(InvalidSpec, match=r"orders\.yaml:\d+: .*names no regions"):
        residency.regions(team, team.models[0])


def test_a_site_has_a_region_of_its_own(tmp_path: Path):
    """The control plane's is not the site's; one that does not say where it is, is nowhere."""
    names = ("lake", "online_store", "event_source", "registry", "compute", "serving", "drift_report")
    sites = "".join(
        f"  {site}:\n    {said}bindings:\n" + "".join(f"      {name}: {{vendor: v{site}}}\n" for name in names)
        for site, said in (("one", "region: eu\n    "), ("two", ""))
    )
    file = tmp_path / "e.yaml"
    file.write_text(f"region: us\nsites:\n{sites}")
    known = [environment.read(file, only=(), site=site).region for site in ("", "one", "two")]
    assert known == ["us", "eu", ""]
    for wrong in ("[eu]", "' eu'", "5"):
        file.write_text(f"region: {wrong}\n")
        with pytest.raises(InvalidEnvironment, match="is no region"):
            environment.read(file, only=())
