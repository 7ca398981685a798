"""Merged wishes: carried out once each, through gates and rollouts as always, whoever dies in between."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from loopline.platform_core import alarms, environment, promotions
from loopline.platform_core.environment import Promotions
from loopline.platform_core.errors import (
    CommitConflict,
    InvalidEnvironment,
    InvalidSpec,
    NotFound,
    Refused,
    StoreUnavailable,
)
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop import freezes
from loopline.platform_core.loop.cycles import gates
from loopline.platform_core.loop.cycles.gates import GateReading, Verdict
from loopline.platform_core.loop.deployments import deployments, promotion_requests
from loopline.platform_core.loop.history import story
from loopline.platform_core.loop.rollouts import rollback, rollouts
from loopline.platform_core.specs import Team
from tests.platform_core.ledgers import new_ledger
from tests.platform_core.loop.conftest import PASSED, REF, Loop, platform_on

FAILED = Verdict((GateReading("AtLeast(roc_auc)", 1, 0.5, 0.65, passed=False, detail=""),))


@pytest.fixture
def loop(request: pytest.FixtureRequest, tmp_path: Path):
    """Give a platform to drive, on SQLite; on PostgreSQL where a test uses a new database."""
    there = "new_database" in request.fixturenames
    url = request.getfixturevalue("new_database")() if there else new_ledger(tmp_path)
    platform = platform_on(url, tmp_path)
    yield Loop(platform, tmp_path)
    platform.close()


def wish(version: str, reason: str = "better on weekends", *, hold: bool = False) -> promotion_requests.Wish:
    """Wish a version."""
    text = promotion_requests.text_of(REF, version, "anna", reason, hold=hold)
    return promotion_requests.Wish(REF, version, "anna", reason, hold, promotion_requests.digest(text))


def meet(loop: Loop, wished: promotion_requests.Wish, commit: str = "") -> str:
    """Carry a wish out now."""
    return promotions.meet(loop.platform, loop.model, wished, loop.now, commit)


def live(loop: Loop) -> str | None:
    """Return the version that is live."""
    found = deployments.deployment(loop.ledger, REF)
    return found.stable.version if found and found.stable else None


def through(loop: Loop, record: rollouts.RolloutRecord) -> None:
    """Let a rollout go to its end."""
    while rollouts.rollout(loop.ledger, record.rollout_id).state == "running":
        loop.ask(60)
        loop.later(11)
        loop.step(record)
    assert rollouts.rollout(loop.ledger, record.rollout_id).state == "promoted"


def under_way(loop: Loop) -> None:
    """Make version 1 live, and begin the rollout of version 2."""
    loop.roll_out("first")
    loop.later(1)
    loop.roll_out("second")


def two_versions(loop: Loop) -> None:
    """Make version 1 live, then version 2."""
    loop.roll_out("first")
    loop.later(60)
    through(loop, loop.roll_out("second"))
    assert live(loop) == "2"


def kinds(loop: Loop) -> list[str]:
    """Return the kinds of the model's entries in order."""
    return [entry.kind for entry in loop.ledger.entries(REF)]


@pytest.mark.usefixtures("new_database")
def test_a_wished_version_is_rolled_out_once(loop):
    """Its rollout begins as always; looked at again nothing is due, and the ledger names who, why and the commit."""
    loop.roll_out("first")
    version, _ = loop.candidate("second")
    wished = wish(version)
    assert promotions.stand(loop.ledger, wished).due.does == "start"
    meet(loop, wished, "c0ffee" * 6)
    running = rollouts.running(loop.ledger, REF)
    assert (running.version, running.state) == (version, "running")
    assert promotions.stand(loop.ledger, wished) == promotions.Stand(True)
    assert meet(loop, wished).startswith("was carried out before")
    assert kinds(loop).count("rollout.started") == 2
    told = [one.text for one in story(loop.ledger, REF)]
    assert any("anna wished version 2 by commit c0ffeec0ffee: better on weekends" in text for text in told)


def test_a_version_that_failed_its_gates_is_never_rolled_out(loop):
    """Not by a merged change either: it says what failed, and is carried out when a person overrode the gate."""
    loop.roll_out("first")
    version, _ = loop.candidate("second", FAILED)
    wished = wish(version)
    with pytest.raises(Refused, match=r"failed AtLeast"):
        meet(loop, wished)
    assert "AtLeast" in promotions.stand(loop.ledger, wished).error.problem
    assert promotions.WISHED not in kinds(loop)
    gates.override(loop.ledger, REF, version, "AtLeast(roc_auc)", "bert", "known bias of the sample", loop.now)
    meet(loop, wished)
    assert rollouts.running(loop.ledger, REF).version == version


def test_a_version_that_nobody_judged_is_not_found(loop):
    """The message lists what was judged here."""
    loop.roll_out("first")
    with pytest.raises(NotFound) as caught:
        meet(loop, wish("99"))
    assert "judged were 1" in caught.value.fix


def test_another_rollout_is_waited_for(loop):
    """While one runs the wish cannot be met; when it is over, it is."""
    under_way(loop)
    version = loop.publish("third")
    gates.record_verdict(loop.ledger, REF, "by-hand", version, PASSED, loop.now)
    with pytest.raises(Refused, match="while version 2 is being rolled out"):
        meet(loop, wish(version))
    rollback.roll_back(loop.platform, REF, "anna", "not this one", loop.now)
    meet(loop, wish(version))
    assert rollouts.running(loop.ledger, REF).version == version


def test_a_reverted_commit_takes_a_version_back(loop):
    """Git says the version before again: a rollback, in the name of the change; no wish undoes it."""
    two_versions(loop)
    meet(loop, wish("1", "double charges since Tuesday"))
    assert live(loop) == "1"
    (changed,) = [e for e in loop.ledger.entries(REF, [deployments.CHANGED]) if e.details.get("back")]
    assert changed.actor == "anna"
    assert "double charges" in changed.reason
    with pytest.raises(Refused, match="was rolled out before and is promoted since"):
        meet(loop, wish("2"))
    assert live(loop) == "1"


def test_wishing_the_live_version_ends_the_rollout_of_another(loop):
    """The candidate goes, the stable version stays."""
    under_way(loop)
    meet(loop, wish("1"))
    assert rollouts.running(loop.ledger, REF) is None
    assert live(loop) == "1"


@pytest.mark.usefixtures("new_database")
def test_a_rollout_is_held_and_let_go_on_by_a_merged_change(loop):
    """Two changes of one file, each carried out once; what a person does between them is not undone."""
    under_way(loop)
    held = wish("2", "month's end", hold=True)
    meet(loop, held)
    assert rollouts.running(loop.ledger, REF).state == "held"
    rollouts.resume(loop.ledger, REF, "bert", "it is over", loop.now)
    assert promotions.stand(loop.ledger, held).differs == "its rollout is running, at 20 percent"
    meet(loop, held)
    assert rollouts.running(loop.ledger, REF).state == "running"
    rollouts.hold(loop.ledger, REF, "bert", "look first", loop.now)
    meet(loop, wish("2", "month is over"))
    assert rollouts.running(loop.ledger, REF).state == "running"


def test_the_same_text_again_after_another_is_a_new_wish(loop):
    """A, then B, then A again: a reverted revert is carried out, or says why it cannot be."""
    under_way(loop)
    first, second = wish("2", "hold it", hold=True), wish("2", "go on")
    for number, wished in enumerate([first, second, first]):
        meet(loop, wished)
        assert rollouts.running(loop.ledger, REF).state == ("running" if number == 1 else "held")


@pytest.mark.usefixtures("new_database")
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_wish_survives_a_death_between_its_note_and_its_end(loop, monkeypatch, moment):
    """Killed before or after the rollback itself, the next look ends it; a version promoted meanwhile stays."""
    two_versions(loop)
    real = rollback.roll_back

    def dies(*given):
        if moment == "after":
            real(*given)
        raise StoreUnavailable("the process is gone", "look again")

    monkeypatch.setattr(rollback, "roll_back", dies)
    wished = wish("1")
    with pytest.raises(StoreUnavailable):
        meet(loop, wished)
    monkeypatch.setattr(rollback, "roll_back", real)
    if moment == "after":
        loop.later(60)
        through(loop, loop.roll_out("third"))
        assert live(loop) == "3"
    assert promotions.stand(loop.ledger, wished).due.does == "roll_back"
    meet(loop, wished)
    assert live(loop) == ("3" if moment == "after" else "1")
    assert promotions.stand(loop.ledger, wished).met


@pytest.mark.usefixtures("new_database")
def test_two_at_once_carry_a_wish_out_once(loop):
    """Several processes see the same merged change: one rollback, one word of it."""
    two_versions(loop)
    wished, failed = wish("1"), []

    def one():
        try:
            meet(loop, wished)
        except (Refused, CommitConflict) as error:  # lost the race within the rollback itself: the next look ends it
            failed.append(error)

    threads = [Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    meet(loop, wished)
    assert live(loop) == "1"
    assert [kinds(loop).count(kind) for kind in (promotions.WISHED, promotions.MET)] == [1, 1]
    assert len([e for e in loop.ledger.entries(REF, [deployments.CHANGED]) if e.details.get("back")]) == 1


def test_a_frozen_model_waits(loop):
    """A merged change goes around no freeze: the rollout waits at 0 percent until the thaw."""
    loop.roll_out("first")
    version, _ = loop.candidate("second")
    freezes.freeze(loop.ledger, REF, "bert", "stock taking", loop.now)
    meet(loop, wish(version))
    assert rollouts.running(loop.ledger, REF).percent == 0


def test_where_promotions_are_required_nobody_meets_a_version_before(loop):
    """A version that passed its gates waits at 0 percent, also the very first one; the merged wish lets it go on."""
    rule = Promotions(loop.home, required=True)
    loop.platform.environment = replace(loop.platform.environment, promotions=rule)
    record = loop.roll_out("first")
    assert (record.state, live(loop)) == ("held", None)
    assert loop.step(record).action == "wait"
    assert any("waits for its promotion to 1 to be merged" in one.text for one in story(loop.ledger, REF))
    meet(loop, wish("1"))
    loop.step(record)
    assert live(loop) == "1"


def test_files_are_read_and_told(loop):
    """Good, broken, misplaced, undeclared and no text at all: each is told by itself; alarms end when the file does."""
    team, folder = Team("retail", __file__, models=(loop.model,)), loop.home / "promotions"
    file = folder / promotion_requests.place(REF)
    file.parent.mkdir(parents=True)
    loop.roll_out("first")
    file.write_text(promotion_requests.text_of(REF, "1", "anna", "it is good", hold=False))
    (folder / "retail" / "churn.yaml").write_text("model: retail/churn\nversion: 1\nby: anna\n")
    (folder / "retail" / "other.yaml").write_text(file.read_text())
    (folder / "retail" / "odd.yaml").write_bytes("by: Jörg\n".encode("latin-1"))
    looked = {one.ref.model: one for one in promotions.look(loop.platform, team, folder)}
    assert looked["cancellations"].stand.due.does == "nothing"
    assert isinstance(looked["churn"].stand.error, InvalidSpec)
    assert "churn.yaml:1: reason: Field required" in looked["churn"].stand.error.problem
    assert "other.yaml:1: it is about retail/cancellations" in looked["other"].stand.error.problem
    assert "odd.yaml: no valid YAML" in looked["odd"].stand.error.problem
    promotions.update_alarms(loop.platform, team, list(looked.values()))
    told = {f"promotion:retail/{name}" for name in ("churn", "other", "odd")}
    assert {s.alarm.cause for s in alarms.standing(loop.ledger)} == told
    meet(loop, looked["cancellations"].wish)
    loop.later(60)
    through(loop, loop.roll_out("second"))
    for name in ("churn", "other", "odd"):
        (folder / "retail" / f"{name}.yaml").unlink()
    promotions.update_alarms(loop.platform, team, promotions.look(loop.platform, team, folder))
    (left,) = alarms.standing(loop.ledger)
    assert left.alarm.problem == "Git says version 1 of retail/cancellations, and version 2 is live"
    file.unlink()
    promotions.update_alarms(loop.platform, team, promotions.look(loop.platform, team, folder))
    assert alarms.standing(loop.ledger) == []


def test_a_wish_is_named_by_the_text_that_was_read(tmp_path, monkeypatch):
    """A folder that is mounted anew between two reads: what was wished then keeps its own name, the new text is due."""
    file = tmp_path / "cancellations.yaml"
    before, after = (
        promotion_requests.text_of(REF, version, "anna", "it is good", hold=False) for version in ("1", "2")
    )
    file.write_text(before)
    real = promotion_requests.load

    def mounted_anew(path):
        found = real(path)
        file.write_text(after)
        return found

    monkeypatch.setattr(promotion_requests, "load", mounted_anew)
    read = promotion_requests.read(file, REF)
    assert (read.version, read.digest) == ("1", promotion_requests.digest(before))


@pytest.mark.parametrize("field", ["by", "reason"])
def test_a_wish_of_nobody_and_for_nothing_is_refused_before_it_is_written_down(tmp_path, field):
    """Blanks name nobody: a rollback would refuse them for ever, once the ledger holds the wish."""
    file = tmp_path / "cancellations.yaml"
    said = {"model": str(REF), "version": "1", "by": "anna", "reason": "it is good"} | {field: " "}
    file.write_text("".join(f"{name}: '{text}'\n" for name, text in said.items()))
    with pytest.raises(InvalidSpec, match=rf"cancellations\.yaml:\d: {field}: "):
        promotion_requests.read(file, REF)


@pytest.mark.parametrize("folder", ["''", "' '", "${NOBODY_SETS_THIS:-}"])
def test_an_environment_that_names_an_empty_folder_is_refused(tmp_path, folder):
    """It would be the folder that a process happens to begin in: with ``required`` every version would wait."""
    file = tmp_path / "environment.yaml"
    file.write_text(f"name: here\npromotions:\n  folder: {folder}\n  required: true\n")
    with pytest.raises(InvalidEnvironment, match=r"environment\.yaml:2: promotions name no folder"):
        environment.read(file, only=())


def test_the_commit_is_git_s_word(tmp_path):
    """In a clone it is the last one that changed the file; in a folder that is none there is no word."""
    folder, plain = tmp_path / "clone", tmp_path / "plain"
    plain.mkdir()
    (plain / "a.yaml").write_text("x")
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    named = ["-c", "user.name=Anna", "-c", "user.email=anna@example.com"]
    for name in ("a.yaml", "b.yaml"):
        (folder / name).write_text("x")
        subprocess.run(["git", *named, "add", "."], cwd=folder, check=True)
        subprocess.run(["git", *named, "commit", "--quiet", "-m", name], cwd=folder, check=True)
    first = subprocess.run(["git", "rev-parse", "HEAD~"], cwd=folder, check=True, capture_output=True, text=True)
    assert promotion_requests.commit_of(folder / "a.yaml") == first.stdout.strip()
    assert promotion_requests.commit_of(plain / "a.yaml") == ""
    assert promotion_requests.place(ModelRef("a", "b")) == Path("a/b.yaml")
