"""Actions are done once, in a person's name, by our own forms only; what is refused says why, in place."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from loopline.platform_core import alarms
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop import freezes
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.rollouts import rollouts
from loopline.platform_core.plugins import Installed
from loopline.platform_core.policies.question import ACTIONS as RIGHTS
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.portal.actions import ACTIONS, tokens
from loopline.portal.actions.deciding import DECIDING
from loopline.portal.actions.once import Once
from loopline.stories.portal_home import PortalHome
from tests.loopline.portal.conftest import HOST, ROLES, browsing

RETURNS, BASKET, FRAUD = ModelRef("shop", "returns"), ModelRef("shop", "basket"), ModelRef("bank", "card_fraud")


def newest(home: PortalHome, ref: ModelRef, kind: str) -> Entry:
    """Return the newest entry of a kind."""
    return home.platform.ledger.entries(ref, [kind], limit=1, newest_first=True)[0]


def test_a_rollback_ends_the_rollout_in_my_name(told: PortalHome, client: TestClient, form: Any) -> None:
    """The candidate is gone from the ledger and from what is served, and the ledger says who and why."""
    asked = form("roll-back", model=str(RETURNS))
    assert "25 percent" in " ".join(asked.page["proposal"]["says"])
    answer = asked.send("ada", "customers complain")
    assert answer.status_code == 200, answer.text
    assert "taken back" in answer.json()["done"]["message"]
    live = deployments.deployment(told.platform.ledger, RETURNS)
    assert live is not None
    assert live.candidate is None
    assert told.platform.serving._states[RETURNS.dotted].candidate is None  # type: ignore[attr-defined]
    entry = newest(told, RETURNS, "rollout.rolled_back")
    assert (entry.actor, entry.reason) == ("ada", "customers complain")


def test_a_double_click_is_one_step(told: PortalHome, client: TestClient, form: Any) -> None:
    """The same form sent four times at once rolls back once, and each click is told the same."""
    asked, answers = form("roll-back", model=str(RETURNS)), []
    threads = [threading.Thread(target=lambda: answers.append(asked.send())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert len(told.platform.ledger.entries(RETURNS, ["rollout.rolled_back"])) == 1


def test_two_people_who_see_the_same_go_back_one_step(told: PortalHome, client: TestClient, form: Any) -> None:
    """The second one's form is about a version that is gone: it is refused, says so, and keeps what was written."""
    first, second = (form("roll-back", model=str(RETURNS)) for _ in range(2))
    assert first.send("ada").status_code == 200
    answer = second.send("bob", "customers complain")
    assert answer.status_code in {404, 409}
    assert answer.json()["error"]["fix"]
    assert (answer.json()["by"], answer.json()["reason"]) == ("bob", "customers complain")
    assert len(told.platform.ledger.entries(RETURNS, ["rollout.rolled_back"])) == 1


def test_a_rollout_is_held_and_goes_on(told: PortalHome, client: TestClient, form: Any) -> None:
    """Each is in the ledger with its author; a rollout that is held cannot be held again."""
    assert form("hold", model=str(RETURNS)).send("ada", "until Monday").status_code == 200
    record = rollouts.running(told.platform.ledger, RETURNS)
    assert record is not None
    assert record.state == "held"
    again = client.get("/actions/hold.json", params={"model": str(RETURNS)})
    assert (again.status_code, "it is held" in again.json()["error"]["problem"]) == (404, True)
    assert form("resume", model=str(RETURNS)).send("bob", "it is Monday").status_code == 200
    assert newest(told, RETURNS, "rollout.resumed").actor == "bob"


def test_one_model_or_everything_is_frozen_and_thawed(told: PortalHome, client: TestClient, form: Any) -> None:
    """A freeze of everything is another one than a model's own, and each is thawed by itself."""
    ledger = told.platform.ledger
    assert form("freeze", model="everything").send("ada", "a sale begins").status_code == 200
    assert freezes.frozen(ledger, FRAUD) is not None
    answer = form("thaw", model=str(BASKET)).send("ada", "the till is there")
    assert "everything is still frozen by ada" in answer.json()["done"]["message"]
    assert form("thaw", model="everything").send("ada", "the sale is over").status_code == 200
    assert freezes.frozen(ledger, BASKET) is None
    refused = client.get("/actions/thaw.json", params={"model": str(BASKET)})
    assert refused.status_code == 409


def test_a_failed_gate_is_overridden_and_the_version_goes_on(told: PortalHome, client: TestClient, form: Any) -> None:
    """With ``deploy`` the rollout begins; the gate's name in a person's name is in the ledger."""
    asked = form("override", model=str(FRAUD))
    answer = asked.send("ada", "the segment is too small to tell", deploy="true")
    assert answer.status_code == 200, answer.text
    entry = newest(told, FRAUD, "gate.overridden")
    assert (entry.actor, entry.details["gate"]) == ("ada", asked.fields["gate"])
    assert rollouts.running(told.platform.ledger, FRAUD) is not None
    again = client.get("/actions/override.json", params={"model": str(FRAUD), "version": asked.fields["version"]})
    assert (again.status_code, again.json()["error"]["problem"].count("nothing to override")) == (409, 1)


class NoCanary(InMemoryServing):
    """An endpoint that only swaps one version for another."""

    can = frozenset()


def test_nothing_is_overridden_for_a_rollout_that_cannot_be(told: PortalHome, form: Any) -> None:
    """Where the team does not load it is said before the gate is overridden; without the rollout it is overridden."""
    away = Installed(tuple(team for team in told.teams.teams if team.name != "bank"), ())
    browser = browsing(told, away)
    answer = form("override", by=browser, model=str(FRAUD)).send(deploy="true")
    assert (answer.status_code, "without its rollout" in answer.json()["error"]["fix"]) == (404, True)
    assert told.platform.ledger.entries(FRAUD, ["gate.overridden"]) == []
    assert answer.json()["proposal"]
    answer = form("override", by=browser, model=str(FRAUD)).send()
    assert answer.status_code == 200
    assert newest(told, FRAUD, "gate.overridden").actor == "ada"


def test_an_override_whose_rollout_fails_is_told_as_done(told: PortalHome, form: Any) -> None:
    """The gate is overridden, and the page says so, why nothing is rolled out, and what to do."""
    asked = form("override", model=str(FRAUD))
    told.platform.environment.bindings["serving"] = NoCanary()  # type: ignore[index]
    answer = asked.send(deploy="true")
    assert answer.status_code == 200, answer.text
    done = answer.json()["done"]
    assert "in the name of ada" in done["message"]
    assert "the start of its rollout failed: " in done["message"]
    assert done["lines"][0].startswith("To mend it: ")
    assert newest(told, FRAUD, "gate.overridden").actor == "ada"
    assert rollouts.running(told.platform.ledger, FRAUD) is None


def test_an_alarm_is_taken_on(told: PortalHome, client: TestClient, form: Any) -> None:
    """Who and why stand at the alarm; a cause that does not stand is not found."""
    alarms.raise_alarm(told.platform, alarms.Alarm("test:cause", "warning", "it is late", "wake it", BASKET))
    assert form("acknowledge", cause="test:cause").send("ada", "I look into it").status_code == 200
    assert [one.acknowledged for one in alarms.standing(told.platform.ledger, "test:")] == ["ada: I look into it"]
    assert client.get("/actions/acknowledge.json", params={"cause": "none"}).status_code == 404


UNSIGNED = (
    ("", "why", "your name is missing"),
    ("ada", "  ", "the reason is missing"),
    ("ada\u202e", "why", "no single line"),
    ("platform", "why", "nobody's name"),
    ("Loop", "why", "nobody's name"),
    ("ada", "x" * 1001, "no single line"),
)


def test_nothing_is_done_unsigned(told: PortalHome, client: TestClient, form: Any) -> None:
    """Without a name or a reason that people can read nothing happens, and the form says so above what was written."""
    before = told.platform.ledger.entries()[-1].entry_id
    asked = form("hold", model=str(RETURNS))
    for by, reason, said in UNSIGNED:
        answer = client.post("/actions/hold", data={**asked.fields, "by": by, "reason": reason})
        assert answer.status_code == 400
        assert said in answer.text.replace("&#39;", "'")
        assert 'role="alert"' in answer.text
    assert told.platform.ledger.entries()[-1].entry_id == before


def test_forms_of_others_are_refused(told: PortalHome, client: TestClient, form: Any) -> None:
    """Another site's page, a form without token, with one of another browser, or without cookie: nothing happens."""
    asked = form("hold", model=str(RETURNS))
    sent = {**asked.fields, "by": "ada", "reason": "why"}
    other = TestClient(client.app, HOST)
    stranger = form("hold", by=other, model=str(RETURNS))
    refused = [
        client.post("/actions/hold", data=sent, headers={"origin": "https://elsewhere.example"}),
        client.post("/actions/hold", data=sent, headers={"origin": "null"}),
        client.post("/actions/hold", data=sent, headers={"sec-fetch-site": "cross-site"}),
        client.post("/actions/hold", data={**sent, "token": ""}),
        client.post("/actions/hold", data={**sent, "token": stranger.fields["token"]}),
        TestClient(client.app, HOST).post("/actions/hold", data=sent),
        TestClient(client.app, "http://elsewhere.example").post("/actions/hold", data=sent),
    ]
    assert [answer.status_code for answer in refused] == [403] * len(refused)
    record = rollouts.running(told.platform.ledger, RETURNS)
    assert record is not None
    assert record.state == "running"


def test_nothing_is_done_by_get(told: PortalHome, client: TestClient, form: Any) -> None:
    """A link to an action, with all its fields, shows the form and changes nothing."""
    before = len(told.platform.ledger.entries())
    for name in ACTIONS:
        fields = {"model": str(RETURNS), "by": "ada", "reason": "why", "source": "shop/orders"}
        client.get(f"/actions/{name}", params=fields)
    assert len(told.platform.ledger.entries()) == before


def test_a_browser_is_led_to_what_was_done_and_its_name_is_kept(client: TestClient, form: Any) -> None:
    """After the post a page says what was done, also when it is loaded again; the next form knows my name."""
    asked = form("hold", model=str(RETURNS))
    answer = client.post("/actions/hold", data={**asked.fields, "by": "Ada Lövelace", "reason": "why"})
    assert (answer.status_code, answer.request.method) == (200, "GET")
    assert "is held at 25 percent" in answer.text
    assert client.get(answer.url.path).text == answer.text
    assert client.get("/actions/done/hold.nothing").status_code == 404
    assert form("resume", model=str(RETURNS)).page["by"] == "Ada Lövelace"


def test_what_is_unknown_is_said(client: TestClient, form: Any) -> None:
    """An action, a model or a source that there is not, and a body that is no form, are answered with a fix."""
    for path, status in (
        ("/actions/explode.json", 404),
        ("/actions/hold.json?model=shop/nothing", 404),
        ("/actions/hold.json?model=returns", 400),
        ("/actions/hold.json", 400),
        ("/actions/replay.json?source=shop/nothing", 404),
        ("/actions/replay.json?source=pricing/prices", 400),
        ("/actions/start.json?kind=rocket", 400),
    ):
        answer = client.get(path)
        assert (path, answer.status_code) == (path, status)
        assert answer.json()["error"]["fix"]
    broken = client.post("/actions/hold", content=b"[1]", headers={"content-type": "application/json"})
    assert broken.status_code == 400
    large = client.post("/actions/hold", content=b"by=" + b"x" * 70_000)
    assert large.status_code == 413


UNREADABLE = (
    (b"[" * 60_000, "recursion"),
    (b'[["token", "x"], [1, 2]]', "no object"),
    (b'"model"', "no object"),
    (b'{"token": "\\ud800"}', "can't encode"),
    (b'{"\\ud800": ""}', "can't encode"),
    (b'{"model": "a\\u0000b"}', "NUL"),
    (b"\xff", "can't decode"),
)


def test_what_cannot_be_read_is_said(client: TestClient, form: Any) -> None:
    """Whatever a program sends with its cookie, it is told what is wrong with it; none of it is a defect of ours."""
    form("freeze", model="everything")
    headers = {"content-type": "application/json", "accept": "application/json"}
    for body, said in UNREADABLE:
        answer = client.post("/actions/freeze", content=body, headers=headers)
        assert (body, answer.status_code) == (body, 400)
        assert said in answer.json()["error"]["problem"]
        assert answer.json()["error"]["fix"]


def test_projects_begin_inside_the_workspace_only(
    client: TestClient, form: Any, told: PortalHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a workspace there is no such action; with one a team is made in it, and nothing outside.

    Whichever name is wrong, nothing is written; the mended form makes the whole project.
    """
    assert client.get("/actions/start.json").status_code == 409
    monkeypatch.setenv("LOOPLINE_WORKSPACE", str(tmp_path / "work"))
    outside = form("start", kind="team").send(name="garden", folder="../garden")
    assert (outside.status_code, "is not below" in outside.json()["error"]["problem"]) == (400, True)
    for folder in ("", ".", str(tmp_path)):
        assert form("start", kind="team").send(name="garden", folder=folder).status_code == 400
    garden = {"name": "garden", "folder": "plugins/garden"}
    for wrong in ({"model": "First Model"}, {"name": "my garden"}, {"source": "class"}, {"entity": "9"}):
        answer = form("start", kind="team").send(**garden | wrong)
        assert (answer.status_code, "is no name" in answer.json()["error"]["problem"]) == (400, True)
        assert not (tmp_path / "work/plugins/garden").exists()
    made = form("start", kind="team").send("ada", "we sell plants", **garden, model="first_model")
    assert made.status_code == 200, made.text
    assert (tmp_path / "work/plugins/garden/pyproject.toml").exists()
    assert (tmp_path / "work/plugins/garden/src/garden/models/first_model.py").exists()
    again = form("start", kind="team").send(**garden)
    assert again.status_code == 409
    [entry] = told.platform.ledger.entries(kinds=["template.started"])
    assert (entry.actor, entry.details["name"]) == ("ada", "garden")


def test_a_folder_that_cannot_be_is_refused(form: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is too long, or one below a file: the form says so, and nothing is written."""
    (tmp_path / "there.txt").write_text("a file")
    monkeypatch.setenv("LOOPLINE_WORKSPACE", str(tmp_path))
    for folder in ("a" * 300, "a/" * 3_000, "there.txt", "there.txt/x/y"):
        for kind in ("team", "model"):
            answer = form("start", kind=kind).send(name="garden", folder=folder)
            assert answer.status_code == 400, answer.text
            assert "cannot be below" in answer.json()["error"]["problem"]
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == ["there.txt"]


def test_a_folder_that_may_not_be_written_is_told(form: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That the disk is full is no defect of the portal: the form stays, and says what to see to."""

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("LOOPLINE_WORKSPACE", str(tmp_path / "work"))
    monkeypatch.setattr("loopline.templates.create_team", full)
    answer = form("start", kind="team").send(name="garden", folder="garden")
    assert (answer.status_code, answer.json()["proposal"]["button"]) == (409, "Make the team")
    assert "cannot be written: No space left on device" in answer.json()["error"]["problem"]


def test_what_failed_may_be_tried_again() -> None:
    """An outcome is kept, an error is not."""
    once: Once[int] = Once()
    outcomes: Iterator[Exception | int] = iter([ValueError("no"), 7])

    def act() -> int:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    with pytest.raises(ValueError, match="no"):
        once.run("a", act)
    assert once.known("a") is None
    assert [once.run("a", act), once.run("a", act), once.known("a")] == [7, 7, 7]


def test_the_secret_is_made_once_and_nobody_elses(tmp_path: Path) -> None:
    """Processes that begin together end with one secret, which only its owner can read."""
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(tokens.secret(tmp_path / "home"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert (tmp_path / "home/portal.secret").stat().st_mode & 0o777 == 0o600
    assert list((tmp_path / "home").iterdir()) == [tmp_path / "home/portal.secret"]


@pytest.fixture
def asked(asking: PortalHome, tmp_path: Path) -> PortalHome:
    """Let the environment say who may decide, and nobody sign in: a form says in whose name it is sent."""
    (tmp_path / "roles.yaml").write_text(ROLES.replace("jo]", "jo, kim]"))
    asking.platform.environment = replace(asking.platform.environment, sign_in=None)
    return asking


def test_every_action_is_asked_about() -> None:
    """An action that nobody said the right of would be done by nobody; roles need the same as by commands."""
    assert set(DECIDING) == set(ACTIONS)
    asked = {right for one in DECIDING.values() for right in (one.action, one.of_everything)}
    assert asked - {""} <= set(RIGHTS)
    answering = dict.fromkeys(("grant-role", "refuse-role", "end-role"), "grant role")
    of_roles = {name: DECIDING[name].action for name in ACTIONS if name.endswith("-role")}
    assert of_roles == {"request-role": "request role", **answering}


def test_who_may_not_is_denied_in_place(
    asked: PortalHome, client: TestClient, form: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 403, the policies and who may, and the ledger is as before; the operator of the team does it.

    What somebody adds and forgets to name in the table of rights stays shut.
    """
    before = len(asked.platform.ledger.entries())
    for by, model in (("bob", RETURNS), ("zed", RETURNS)):
        answer = form("hold", model=str(model)).send(by)
        assert answer.status_code == 403
        assert answer.json()["error"]["problem"].startswith(f"{by} may not decide rollout of {model}: no policy")
        assert answer.json()["error"]["fix"].endswith("who may now: ada")
    assert "ada may not freeze everything" in form("freeze", model="everything").send("ada").text
    with monkeypatch.context() as without:
        without.delitem(DECIDING, "hold")
        assert "no policy is asked about 'hold'" in form("hold", model=str(RETURNS)).send("ada").text
    assert len(asked.platform.ledger.entries()) == before
    assert form("hold", model=str(RETURNS)).send("ada").status_code == 200


def test_an_override_takes_two_people(asked: PortalHome, client: TestClient, form: Any) -> None:
    """The first is told who could be the second; however a tick is sent, what is done is what both asked for."""
    first = form("override", model=str(FRAUD)).send("kim")
    assert first.status_code == 403
    assert "it is written down that kim asked; four-eyes" in first.json()["error"]["fix"]
    for tick in ("true", "1", " "):
        assert form("override", model=str(FRAUD)).send("jo", deploy=tick).status_code == 403
    assert form("override", model=str(FRAUD)).send("jo").status_code == 200
    assert newest(asked, FRAUD, "gate.overridden").actor == "jo"
