"""Roles for a while in the portal: asked for from a denial, seen by who may grant it, granted or refused, and ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient

from loopline.platform_core.audit.reading import Wanted, newest
from loopline.platform_core.errors import Refused
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.identity.caller import Caller
from loopline.platform_core.policies import lent
from loopline.sign_in import cookies
from loopline.sign_in.desk import Desk
from loopline.stories.portal_home import PortalHome
from tests.loopline.portal.conftest import Form, Served, browsing, send
from tests.loopline.portal.test_in_chromium_looks import CONTRAST, PHONES, _axe, _too_wide

if TYPE_CHECKING:
    from playwright.sync_api import Browser

RETURNS = ModelRef("shop", "returns")
HOLD = {"model": str(RETURNS)}
OPERATOR = {"team": "shop", "role": "operator", "hours": "8"}
HTML = {"accept": "text/html"}
ADMIN = "platform: {platform_admin: [root]}\n"
Browsing = Callable[..., TestClient]


@pytest.fixture
def asking(asking: PortalHome, tmp_path: Path) -> PortalHome:
    """Let somebody grant roles in all teams."""
    roles = tmp_path / "roles.yaml"
    roles.write_text(roles.read_text() + ADMIN)
    return asking


def waiting_for(client: TestClient) -> str:
    """Return the count at the menu's entry, "" where there is none."""
    return client.get("/models", headers=HTML).text.partition('class="count">')[2].partition("<")[0]


def listed(client: TestClient) -> Any:
    """Return the page as JSON."""
    return client.get("/access.json").json()


def asked_by(client: TestClient, **more: str) -> int:
    """Ask for the role of an operator, and return the request's number."""
    answer = send(client, "request-role", OPERATOR | more)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["done"]["message"].split()[1].rstrip(":"))


def test_from_a_denial_to_the_decision(asking: PortalHome, browser: Browsing) -> None:
    """Who is denied is led to a filled-in form; whoever may grant it sees that it waits; then it may be decided.

    The record says who asked, granted, ended and refused, and by which policy.
    """
    bob, jo, root = browser("bob"), browser("jo"), browser("root")
    form = Form(bob, "hold", **HOLD)
    denied = bob.post("/actions/hold", data={**form.fields, "reason": "it is slow"}, headers=HTML)
    assert denied.status_code == 403
    (link,) = {part.partition('"')[0] for part in denied.text.split('href="') if part.startswith("/actions/request")}
    filled = bob.get(link.replace("&amp;", "&"), headers=HTML).text
    assert "<option selected>shop</option>" in filled
    assert "<option selected>operator</option>" in filled
    number = asked_by(bob)
    assert (waiting_for(bob), waiting_for(jo), waiting_for(root)) == ("", "", "1")
    (one,) = listed(root)["waiting"]
    expected = {"person": "bob", "role": "shop/operator", "reason": "the test says so", "mine": True}
    assert {name: one[name] for name in expected} == expected
    assert not listed(bob)["waiting"][0]["mine"]
    granted = send(root, "grant-role", {"number": str(number)}, reason="for this week")
    assert "bob has shop/operator until" in granted.json()["done"]["message"]
    assert waiting_for(root) == ""
    (one,) = listed(jo)["granted"]
    assert (one["by"], one["answer"], one["mine"]) == ("root", "for this week", False)
    assert "shop: operator, viewer" in bob.get("/models", headers=HTML).text
    assert send(bob, "hold", HOLD).status_code == 200
    assert send(root, "end-role", {"number": str(number)}, reason="all is well").status_code == 200
    assert send(bob, "resume", HOLD).status_code == 403
    (one,) = listed(bob)["over"]
    assert (one["state"], one["by"], one["answer"]) == ("ended", "root", "all is well")
    assert "all is well" in bob.get("/access", headers=HTML).text
    send(root, "refuse-role", {"number": str(asked_by(bob, role="owner"))})
    with asking.platform.ledger.reading() as connection:
        found = {(e.what, e.who, e.policy) for _, e in newest(connection, Wanted(what="access."), 100)[0]}
    decided = {(f"access.{what}", "root", "platform-admins-decide") for what in ("granted", "ended", "refused")}
    assert found == {("access.requested", "bob", "anybody-asks-for-a-role"), *decided}


def test_a_refusal_says_why(asking: PortalHome, browser: Browsing) -> None:
    """To who asked; nothing is granted by it, the same may be asked for again, and it is refused once."""
    bob, root = browser("bob"), browser("root")
    number = {"number": str(asked_by(bob))}
    assert send(root, "refuse-role", number, reason="ask ada").status_code == 200
    assert send(bob, "hold", HOLD).status_code == 403
    (one,) = listed(bob)["over"]
    assert (one["state"], one["by"], one["answer"]) == ("refused", "root", "ask ada")
    for action in ("grant-role", "refuse-role", "end-role"):
        assert root.get(f"/actions/{action}.json", params=number).status_code == 409
    asked_by(bob)


def test_who_may_not_answers_nothing(asking: PortalHome, browser: Browsing) -> None:
    """Not the own request, by whatever spelling of the name, and not another team's; the record has each attempt."""
    bob, jo, root = browser("bob"), browser("jo"), browser("root")
    number = {"number": str(asked_by(bob))}
    for action in ("grant-role", "refuse-role"):
        for client in (bob, jo):
            assert send(client, action, number).status_code == 403, action
    own = {"number": str(asked_by(root, team="bank"))}
    assert not [one for one in listed(root)["waiting"] if one["person"] == "root" and one["mine"]]
    assert send(root, "grant-role", own).status_code == 409
    with pytest.raises(Refused, match="cannot grant it"):
        lent.grant(asking.platform, "ROOT", int(own["number"]), "myself")
    with asking.platform.ledger.reading() as connection:
        denied = newest(connection, Wanted(outcome="denied"), 100)[0]
    assert {entry.who for _, entry in denied} == {"bob", "jo"}


def test_what_cannot_be_asked_for_stays_in_the_form(asking: PortalHome, browser: Browsing) -> None:
    """With what is wrong, and everything that was written."""
    bob = browser("bob")
    for more, said in (
        ({"hours": "1000"}, "nobody gets a role for"),
        ({"hours": "soon"}, "is no number of hours"),
        ({"role": "king"}, "is no role"),
    ):
        answer = send(bob, "request-role", OPERATOR | more)
        assert answer.status_code in {400, 404, 409}, more
        assert said in answer.json()["error"]["problem"]
        assert answer.json()["proposal"], more
    for number in ("", "x", "-1", "9" * 40, "٣"):
        assert browser("root").get("/actions/grant-role.json", params={"number": number}).status_code == 400
    assert browser("root").get("/actions/grant-role.json", params={"number": "4711"}).status_code == 404
    assert listed(bob)["waiting"] == []


def test_nobody_fills_the_list(asking: PortalHome) -> None:
    """Of one person, however the name is written, so many requests wait at most."""
    for number in range(lent.MOST_WAITING):
        lent.request(asking.platform, "bob" if number % 2 else "Bob", f"team_{number}/viewer", 1, "x")
    with pytest.raises(Refused, match="wait already"):
        lent.request(asking.platform, "bob", "shop/viewer", 1, "x")


def test_what_nobody_answered_is_over_by_itself(
    asking: PortalHome, browser: Browsing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a week it waits no more, and is on nobody's menu."""
    bob, root = browser("bob"), browser("root")
    asked_by(bob)
    monkeypatch.setattr(lent, "WAITS_HOURS", 0)
    assert waiting_for(root) == ""
    (one,) = listed(root)["over"]
    assert (one["state"], one["by"], one["answer"]) == ("ended", "", "")


def test_where_everybody_may_decide_nobody_needs_a_role(told: PortalHome, client: TestClient) -> None:
    """The menu has no such entry, the page says why, and no form is shown."""
    assert 'href="/access"' not in client.get("/models", headers=HTML).text
    assert "everybody may and nobody needs a role" in client.get("/access", headers=HTML).text
    assert client.get("/access.json").json()["guarded"] is False
    for action in ("request-role", "grant-role"):
        answer = client.get(f"/actions/{action}.json", params={"number": "1"})
        assert "says nothing of access" in answer.json()["error"]["problem"]


def test_what_a_person_writes_is_text(asking: PortalHome, browser: Browsing) -> None:
    """Whatever tags a reason or a name holds."""
    bob, root = browser("<b>bob</b>"), browser("root")
    number = asked_by(bob, reason="<script>alert(1)</script>")
    for path in ("/access", f"/actions/grant-role?number={number}"):
        text = root.get(path, headers=HTML).text
        assert "<script>alert" not in text
        assert "<b>bob" not in text


@pytest.fixture
def filled(asking: PortalHome) -> PortalHome:
    """Give a home in which one request waits, one was granted, one refused, and one has ended."""
    platform = asking.platform
    lent.request(platform, "bob", "shop/operator", 8, "on call this week, and the rollout of returns has to be held")
    for person, role in (("kim", "shop/owner"), ("eva", "bank/operator"), ("zed", "platform/operator")):
        loan = lent.request(platform, person, role, 48, "Monday's sale")
        if person == "eva":
            lent.refuse(platform, "jo", loan.number, "the team has somebody on call")
            continue
        lent.grant(platform, "root", loan.number, "until Tuesday")
        if person == "zed":
            lent.end(platform, "root", loan.number, "it was for a day")
    return asking


def test_the_page_looks_well(filled: PortalHome, desk: Desk, chromium: Browser, tmp_path: Path) -> None:
    """By axe's rules, by day and by night; on a phone it does not scroll sideways; and no link but leads somewhere."""
    with Served(filled) as served:
        context = chromium.new_context()
        word = desk.begin(Caller("root", issuer="http://127.0.0.1:9"))
        context.add_cookies([{"name": cookies.SESSION, "value": word, "url": served.url}])
        page = context.new_page()
        for path in ("/access", "/actions/request-role?team=shop&role=owner"):
            page.goto(f"{served.url}{path}", wait_until="networkidle")
            faults = [*_axe(page, "light", None), *_axe(page, "dark", CONTRAST), *_too_wide(page)]
            assert faults == []
            assert page.viewport_size == PHONES[-1]
        page.goto(f"{served.url}/access")
        assert page.get_by_role("link", name="Access 1 waiting for you").count() == 1
        page.get_by_role("link", name="Grant shop/operator to bob").click()
        page.get_by_label("Reason").fill("for this week")
        page.get_by_role("button", name="Grant it").click()
        page.get_by_role("link", name="Back to Access").click()
        assert page.get_by_role("link", name="End shop/operator of bob").count() == 1
        context.close()


def test_a_form_shown_before_is_refused_after(asking: PortalHome, browser: Browsing) -> None:
    """Two who see the same request answer it once."""
    bob, root = browser("bob"), browser("root")
    number = {"number": str(asked_by(bob))}
    first, second = Form(root, "grant-role", **number), Form(root, "refuse-role", **number)
    headers = {"accept": "application/json"}
    assert root.post("/actions/grant-role", json={**first.fields, "reason": "yes"}, headers=headers).status_code == 200
    assert root.post("/actions/refuse-role", json={**second.fields, "reason": "no"}, headers=headers).status_code == 409
    assert listed(root)["granted"]


def test_without_a_sign_in_the_form_says_who(asking: PortalHome) -> None:
    """As for every action; the policies are asked about that name."""
    asking.platform.environment = replace(asking.platform.environment, sign_in=None)
    client = browsing(asking)
    assert Form(client, "request-role", **OPERATOR).send("bob").status_code == 200
    (one,) = listed(client)["waiting"]
    assert one["mine"]
    number = {"number": str(one["number"])}
    assert Form(client, "grant-role", **number).send("jo").status_code == 403
    assert Form(client, "grant-role", **number).send("root").status_code == 200
    (one,) = listed(client)["granted"]
    assert one["until"] > (asking.platform.clock.now() + timedelta(hours=7)).isoformat()
