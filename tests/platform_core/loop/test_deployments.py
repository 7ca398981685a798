"""A deployment is written down first, then asked for; what dies in between is made up for."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pyarrow as pa
import pytest
from pydantic import PrivateAttr

from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.errors import NotFound, Refused, StoreUnavailable, Unsupported
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop import freezes
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.deployments.deployments import Deployment, change, deployment, reapply
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.rollouts import rollouts
from loopline.platform_core.loop.rollouts.rollback import roll_back, stable_before
from loopline.platform_core.platform import Platform
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.platform_core.testing.fakes.serving_vendors import OneVersionServing
from loopline.platform_core.turn import start_rollout


class DyingServing(InMemoryServing):
    """An endpoint that cannot be asked while ``alive`` is false, as if the caller were killed right there."""

    alive: bool = True

    def apply(self, state: DesiredState) -> None:
        """Take a state, or die."""
        if not self.alive:
            raise StoreUnavailable("killed", "start again")
        super().apply(state)


class DyingRegistry(InMemoryRegistry):
    """A registry whose aliases cannot be set while ``alive`` is false; it dies with ``dies_after`` as the champion."""

    alive: bool = True
    dies_after: str | None = None

    def set_alias(self, model: str, alias: str, version: str | None) -> None:
        """Set an alias, or die."""
        if not self.alive:
            raise StoreUnavailable("killed", "start again")
        super().set_alias(model, alias, version)
        if self.dies_after is not None and self.dies_after == version:
            self.dies_after = None
            raise StoreUnavailable("killed", "start again")


@pytest.fixture
def live(loop, ref):
    """Make versions 1 to 3 live one after the other; gives them as served."""
    made = []
    for name in ("first", "second", "third"):
        version = loop.publish(name)
        made.append(Served(version, deployments.packages.fetched(loop.platform, ref, version), f"cycle-{name}"))
        put(loop, ref, made[-1])
    return made


def put(loop, ref, stable, candidate=None, percent=0):
    """Change a deployment."""
    cycle = (candidate or stable).cycle
    return change(
        loop.platform, ref, stable, candidate, percent, actor="ada", reason="test", cycle=cycle, now=loop.later(60)
    )


def champion(loop, ref, alias="champion"):
    """Return the version that an alias points at."""
    found = loop.platform.registry.by_alias(ref.dotted, alias)
    return found and found.version


def test_a_change_is_a_generation_an_entry_a_state_and_an_alias(loop, ref, live):
    """Database, endpoint and registry say the same."""
    made = put(loop, ref, live[2], live[0], 25)
    assert (made.generation, made.applied, made.percent) == (4, 4, 25)
    assert deployment(loop.ledger, ref) == made
    assert loop.serving._states[ref.dotted] == DesiredState(ref.dotted, 4, live[2], live[0], 25, paired=True)
    assert (champion(loop, ref), champion(loop, ref, "candidate")) == ("3", "1")
    entry = loop.ledger.entries(ref, ["deployment.changed"])[-1]
    assert (entry.actor, entry.reason, entry.version, entry.at) == ("ada", "test", "1", loop.now)
    assert entry.details["generation"] == 4
    assert put(loop, ref, live[2]).candidate is None
    assert champion(loop, ref, "candidate") is None


def test_what_is_so_already_makes_no_generation(loop, ref, live):
    """A repeated change is no change."""
    put(loop, ref, live[2])
    assert deployment(loop.ledger, ref).generation == 3
    assert len(loop.ledger.entries(ref, ["deployment.changed"])) == 3


def test_a_candidate_needs_a_serving_that_can_canary(loop, ref, live):
    """It is refused before anything is written."""
    loop.platform.environment.bindings["serving"] = OneVersionServing()
    with pytest.raises(Unsupported, match="one version at a time"):
        put(loop, ref, live[2], live[0], 25)
    assert deployment(loop.ledger, ref).generation == 3


@pytest.mark.parametrize(("contract", "vendor"), [("serving", DyingServing), ("registry", DyingRegistry)])
def test_a_change_that_was_killed_half_way_is_carried_out_later(loop, ref, contract, vendor):
    """The database knows; repair and reapply bring endpoint and aliases after it."""
    dying = loop.platform.environment.bindings[contract] = vendor()
    served = [Served(loop.publish(name), loop.home / "built" / name, "c") for name in ("first", "second")]
    put(loop, ref, served[0])
    for mend in (deployments.repair, lambda platform, ref: reapply(platform)):
        dying.alive = False
        with pytest.raises(StoreUnavailable):
            put(loop, ref, served[1])
        left = deployment(loop.ledger, ref)
        assert left.generation == left.applied + 1
        dying.alive = True
        mend(loop.platform, ref)
        left = deployment(loop.ledger, ref)
        assert left.generation == left.applied == loop.serving.observe(ref.dotted).generation
        assert champion(loop, ref) == "2"
        put(loop, ref, served[0])


class LateRegistry(InMemoryRegistry):
    """A registry that takes its time over an alias: what stands in ``_meanwhile`` happens before it is set."""

    _meanwhile: list = PrivateAttr(default_factory=list)

    def set_alias(self, model: str, alias: str, version: str | None) -> None:
        """Set an alias late, once."""
        if self._meanwhile:
            self._meanwhile.pop()()
        super().set_alias(model, alias, version)


def test_a_rollback_takes_back_the_alias_of_a_change_that_died_half_way(loop, ref):
    """The registry heard of version 2, the database not that it did; who takes 2 back has 1 as the champion again."""
    registry = loop.platform.environment.bindings["registry"] = DyingRegistry()
    served = [Served(loop.publish(name), loop.home / "built" / name, "c") for name in ("first", "second")]
    put(loop, ref, served[0])
    registry.dies_after = "2"
    with pytest.raises(StoreUnavailable):
        put(loop, ref, served[1])
    assert champion(loop, ref) == "2"
    roll_back(loop.platform, ref, "bob", "complaints", loop.later(1))
    assert champion(loop, ref) == deployment(loop.ledger, ref).stable.version == "1"


def test_an_alias_that_comes_late_does_not_stay(loop, ref):
    """While the registry takes its time over version 2, a person takes it back; at the end 1 is the champion."""
    registry = loop.platform.environment.bindings["registry"] = LateRegistry()
    served = [Served(loop.publish(name), loop.home / "built" / name, "c") for name in ("first", "second")]
    put(loop, ref, served[0])
    registry._meanwhile.append(lambda: roll_back(loop.platform, ref, "bob", "complaints", loop.later(1)))
    put(loop, ref, served[1])
    assert champion(loop, ref) == deployment(loop.ledger, ref).stable.version == "1"


def test_a_restart_asks_for_everything_again(loop, ref, live):
    """An endpoint that forgot, and a package folder that was lost, are made up for."""
    loop.platform.environment.bindings["serving"] = InMemoryServing()
    shutil.rmtree(live[2].package)
    assert reapply(loop.platform) == {}
    assert loop.serving._states[ref.dotted].stable == live[2]
    assert loop.serving.observe(ref.dotted).generation == 3
    assert live[2].package.joinpath("manifest.json").is_file()


def test_a_restart_in_a_home_that_moved_asks_for_packages_that_are_there(loop, ref, live):
    """The row names a folder of the old home; what is asked for is the one that was fetched into the new home."""
    loop.platform.environment.bindings["serving"] = InMemoryServing()
    shutil.rmtree(live[2].package)
    moved = Platform(replace(loop.platform.environment, home=loop.home / "moved"))
    assert reapply(moved) == {}
    package = loop.serving._states[ref.dotted].stable.package
    assert package == loop.home / "moved" / "packages" / ref.dotted / "3"
    assert package.joinpath("manifest.json").is_file()


def test_at_a_restart_one_model_that_is_lost_keeps_no_other_back(loop, ref):
    """Neither its package nor its version in the registry is there any more: it is named, and the rest is served."""
    refs = [ModelRef("old", "gone"), ref]
    for each in refs:
        package = loop.home / "built" / each.dotted
        package.mkdir(parents=True)
        package.joinpath("manifest.json").write_text("{}")
        version = loop.platform.registry.publish(Publication(each.dotted, package, None, pa.table({}))).version
        put(loop, each, Served(version, package, "c"))
    shutil.rmtree(loop.home / "built" / "old.gone")
    loop.platform.registry._versions.pop("old.gone")
    loop.platform.environment.bindings["serving"] = InMemoryServing()
    failed = reapply(loop.platform)
    assert {each: type(error) for each, error in failed.items()} == {refs[0]: NotFound}
    assert [loop.serving.observe(each.dotted).ready for each in refs] == [False, True]


def test_a_rollback_goes_one_version_back_at_each_call(loop, ref, live):
    """Not to and fro between the last two; at the first version there is nothing left."""
    for expected, generation in (("2", 4), ("1", 5)):
        back = roll_back(loop.platform, ref, "bob", "complaints", loop.later(1))
        assert (back.stable.version, back.generation, back.percent) == (expected, generation, 0)
        assert champion(loop, ref) == expected
        assert loop.serving._states[ref.dotted].stable.version == expected
    with pytest.raises(NotFound, match="no earlier stable version"):
        roll_back(loop.platform, ref, "bob", "complaints", loop.now)
    entry = loop.ledger.entries(ref, ["deployment.changed"])[-1]
    assert (entry.actor, entry.reason, entry.details["back"], entry.cycle) == ("bob", "complaints", True, "cycle-first")


def test_a_version_that_was_taken_back_is_not_gone_back_to(loop, ref, live):
    """1, 2, 3, back to 2, then 4: one step back from 4 is 2."""
    roll_back(loop.platform, ref, "bob", "complaints", loop.later(1))
    put(loop, ref, Served(loop.publish("fourth"), loop.home / "built" / "fourth", "c"))
    assert roll_back(loop.platform, ref, "bob", "again", loop.later(1)).stable == live[1]


def test_nothing_goes_back_in_nobodys_name(loop, ref, live):
    """The ledger must say who and why."""
    with pytest.raises(Refused, match="no person"):
        roll_back(loop.platform, ref, "", "complaints", loop.now)


def test_who_names_a_version_takes_that_one_back_once(loop, ref, live):
    """Two people who both see version 3 live and take it back go one step, not two."""
    roll_back(loop.platform, ref, "ada", "too many complaints", loop.now, live[2].version)
    with pytest.raises(Refused, match=r"version 3 of .* is not the one to take back now: that is version 2"):
        roll_back(loop.platform, ref, "bob", "too many complaints", loop.now, live[2].version)
    assert deployment(loop.ledger, ref).stable == live[1]


def test_who_names_the_stable_version_does_not_end_a_rollout(loop, ref):
    """While a candidate is on its way that is what goes back first, and only if it is meant."""
    first, second = loop.roll_out("first"), loop.roll_out("second")
    with pytest.raises(Refused, match="that is version 2"):
        roll_back(loop.platform, ref, "ada", "slow", loop.now, first.version)
    assert deployment(loop.ledger, ref).candidate is not None
    roll_back(loop.platform, ref, "ada", "slow", loop.now, second.version)
    assert deployment(loop.ledger, ref).candidate is None


def test_before_anything_is_live_there_is_nothing_to_go_back_to(loop, ref):
    """Neither a deployment nor an earlier one."""
    assert deployment(loop.ledger, ref) is None
    with pytest.raises(NotFound):
        roll_back(loop.platform, ref, "bob", "complaints", loop.now)
    with pytest.raises(NotFound, match="no deployment"):
        deployments.carry_out(loop.platform, ref)


def test_the_first_rollout_is_taken_back_before_anything_is_live(loop, ref):
    """Frozen at 0 percent it waits; who takes it back is told that nothing is live, and the next version may come."""
    version, cycle = loop.candidate("first")
    freezes.freeze(loop.ledger, ref, "ada", "stock taking", loop.now)
    waiting = start_rollout(loop.platform, ref, loop.model, version, cycle, loop.now)
    back = roll_back(loop.platform, ref, "bob", "not this one", loop.later(1), version)
    assert (back, deployment(loop.ledger, ref)) == (Deployment(ref, 0, None, None, 0), None)
    assert rollouts.rollout(loop.ledger, waiting.rollout_id).state == "rolled_back"
    with pytest.raises(NotFound, match="no earlier stable version"):
        roll_back(loop.platform, ref, "bob", "once more", loop.later(1))
    freezes.thaw(loop.ledger, ref, "ada", "it is over", loop.now)
    assert loop.roll_out("second").state == "promoted"


def test_the_version_before_is_read_from_the_entries_alone(ref, loop):
    """Changes of candidate and percent are no new stable version."""

    def changed(stable: str, back: bool = False) -> Entry:
        state = {"version": stable, "package": "/p", "cycle": "c"}
        return Entry("deployment.changed", loop.now, *ref, details={"stable": state, "back": back})

    assert stable_before([]) is None
    assert stable_before([changed("1"), changed("1")]) is None
    assert stable_before([changed("1"), changed("2"), changed("2")]).version == "1"
    assert stable_before([changed("1"), changed("2"), changed("1", back=True)]) is None
