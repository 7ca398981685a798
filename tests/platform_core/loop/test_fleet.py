"""Reads over all models at once, on each database."""

from __future__ import annotations

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop import fleet, freezes, history
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.rollouts import rollback
from tests.platform_core.loop.conftest import REF


def test_since_is_when_the_version_became_the_stable_one(loop) -> None:
    """Also while a candidate of a later rollout changes the deployment, and after a step back."""

    def live():
        found = fleet.live(loop.ledger)[REF]
        return found.version, found.since

    assert fleet.live(loop.ledger) == {}
    first, record = loop.now, loop.second()
    assert live() == ("1", first)
    for _ in range(3):
        loop.baked(record, 200)
    assert live() == ("2", loop.now)
    rollback.roll_back(loop.platform, REF, "ada", "complaints", loop.later(60))
    assert live() == ("1", loop.now)


def test_the_newest_entry_about_the_live_version(loop) -> None:
    """Of each model its own; one about another version does not count, and what never was is left out."""
    loop.roll_out("first")
    other = ModelRef("bank", "fraud")
    for ref, version, reason in ((REF, "1", "old"), (REF, "1", "new"), (REF, "2", "another"), (other, "1", "not live")):
        loop.ledger.record(Entry("drift.window", loop.now, *ref, version=version, reason=reason, details={"n": 1}))
    loop.ledger.record(Entry("quality.realised", loop.now, *REF, version="1", details={"roc_auc": 0.7}))
    found = fleet.live(loop.ledger)
    assert set(found) == {REF}
    assert (found[REF].drift, found[REF].drift_at, found[REF].quality) == ("new", loop.now, {"roc_auc": 0.7})


def test_freezes_and_newest_cycles(loop) -> None:
    """A thawed model is not frozen; of the cycles of a model the last that opened."""
    loop.candidate("first")
    freezes.freeze(loop.ledger, REF, "ada", "audit", loop.now)
    freezes.freeze(loop.ledger, None, "grace", "holidays", loop.now)
    assert {ref: entry.actor for ref, entry in fleet.freezes(loop.ledger).items()} == {
        REF: "ada",
        freezes.EVERYTHING: "grace",
    }
    freezes.thaw(loop.ledger, REF, "ada", "done", loop.now)
    assert set(fleet.freezes(loop.ledger)) == {freezes.EVERYTHING}
    assert fleet.last_cycles(loop.ledger)[REF] == (*REF, "open", loop.now)


def test_the_last_entries_of_a_model_without_some_kinds(loop) -> None:
    """With the freezes of all among them, newest first, on from an entry."""
    loop.roll_out("first")
    freezes.freeze(loop.ledger, None, "grace", "holidays", loop.now)
    for number in range(4):
        loop.ledger.record(Entry("drift.window", loop.now, *REF, version="1", details={"number": number}))
    newest = history.newest(loop.ledger, REF, 3)
    assert [entry.kind for entry in newest] == ["drift.window"] * 3
    before = history.newest(loop.ledger, REF, 2, before=newest[-1].entry_id)
    assert [entry.kind for entry in before] == ["drift.window", "loop.frozen"]
    assert history.newest(loop.ledger, REF, 1, without=["drift.window"])[0].kind == "loop.frozen"
