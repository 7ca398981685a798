"""The portal where people sign in: who is signed in is who decides, and the page says who that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import expect

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.identity import accounts
from loopline.platform_core.sign_in_settings import SignIn
from loopline.portal.app import create_app
from loopline.sign_in import cookies
from loopline.sign_in.desk import Desk
from loopline.stories.portal_home import PortalHome
from tests.loopline.portal.conftest import HOST, Form, Served, send

if TYPE_CHECKING:
    from playwright.sync_api import Page

RETURNS, FRAUD = ModelRef("shop", "returns"), ModelRef("bank", "card_fraud")
PASSWORD = "four words of a sentence"


pytestmark = pytest.mark.usefixtures("quick_hashes")


@pytest.fixture
def by_accounts(asking: PortalHome, tmp_path: Path) -> PortalHome:
    """Let accounts vouch instead of the provider."""
    file = tmp_path / "accounts.yaml"
    accounts.add(file, "ada", PASSWORD)
    asking.platform.environment = replace(asking.platform.environment, sign_in=SignIn(accounts=file))
    return asking


def test_nothing_is_shown_to_who_has_not_signed_in(asking: PortalHome) -> None:
    """Not as a page, not as JSON, and not what Prometheus scrapes; the stylesheet is everybody's."""
    client = TestClient(create_app(asking.platform, asking.teams), HOST, follow_redirects=False)
    for path in ("/", "/models", "/metrics", "/openapi.json", "/actions/hold?model=shop/returns", "/nothing"):
        led = client.get(path, headers={"accept": "text/html"})
        assert (led.status_code, led.headers["location"].partition("?")[0]) == (303, "/sign-in"), path
        assert client.get(path).status_code == 401
    assert client.get("/models.json", headers={"accept": "text/html"}).status_code == 401
    assert client.post("/actions/hold").status_code == 401
    assert client.get("/static/portal.css").status_code == 200
    page = client.get("/sign-out", headers={"accept": "text/html"})
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert client.get("/models", headers={"host": "evil.example"}).status_code == 403


def test_who_is_signed_in_decides(asking: PortalHome, browser: Callable[..., TestClient]) -> None:
    """The form has no field for a name, and whoever sends another one is denied."""
    ada, about = browser("ada"), {"model": str(RETURNS)}
    page = ada.get("/actions/hold", params=about, headers={"accept": "text/html"}).text
    assert 'name="by"' not in page
    assert "It is signed as <strong>ada</strong>" in page
    denied = send(ada, "hold", about, by="jo")
    assert denied.status_code == 403
    assert denied.json()["error"]["problem"] == "ada is signed in, and cannot decide as jo"
    assert send(ada, "hold", about).status_code == 200
    entry = asking.platform.ledger.entries(RETURNS, ["rollout.held"])[-1]
    assert (entry.actor, entry.reason) == ("ada", "the test says so")
    assert send(ada, "resume", about, by="ada").status_code == 200


def test_groups_of_the_provider_are_roles_by_the_file(browser: Callable[..., TestClient]) -> None:
    """An override takes two people in production: both are in the group, neither is named in the file.

    Who may not is told of the groups whose members may.
    """
    about = {"model": str(FRAUD)}
    denied = send(browser("bob"), "override", about)
    assert denied.json()["error"]["fix"].endswith("who may now: jo, members of risk")
    assert send(browser("new", "unknown", "jo"), "override", about).status_code == 403  # a group that is no group there
    first, second = browser("eva.id", "risk"), browser("kim.id", "risk")
    assert "it is written down that eva.id asked" in send(first, "override", about).json()["error"]["fix"]
    assert send(first, "override", about).status_code == 403
    assert send(browser("Eva.ID", "risk"), "override", about).status_code == 403, "one person, written another way"
    assert send(second, "override", about).status_code == 200


def test_the_head_says_who_one_is_and_signs_out(browser: Callable[..., TestClient], desk: Desk) -> None:
    """With the roles, also those by groups; the same form ends the session."""
    eva = browser("eva", "risk", "science")
    page = eva.get("/models", headers={"accept": "text/html"}).text
    assert "Signed in as <strong>eva</strong>" in page
    assert "<li>bank: owner</li>" in page
    assert "<li>none</li>" in browser("zed").get("/models", headers={"accept": "text/html"}).text
    word = eva.cookies[cookies.SESSION]
    token = page.partition('action="/sign-out"')[2].partition('value="')[2].partition('"')[0]
    assert eva.post("/sign-out", data={"token": token}).status_code == 200
    assert desk.sessions.caller(word) is None
    assert eva.get("/models.json").status_code == 401


def test_a_form_of_one_session_is_not_another_s(asking: PortalHome, browser: Callable[..., TestClient]) -> None:
    """Who signs in next at the same browser sends no form that was shown to the one before."""
    ada = browser("ada")
    form = Form(ada, "hold", model=str(RETURNS))
    jo = browser("jo")
    for name, value in ada.cookies.items():
        if name != cookies.SESSION:
            jo.cookies.set(name, value, path="/actions")
    answer = jo.post("/actions/hold", json={**form.fields, "reason": "x"}, headers={"accept": "application/json"})
    assert answer.status_code == 403
    assert "does not come from this portal's page" in answer.json()["error"]["problem"]


def test_a_person_signs_in_decides_and_signs_out(by_accounts: PortalHome, page: Page) -> None:
    """In a browser: from the page that was wanted to the form, and back to it; by keys alone."""
    from axe_playwright_python.sync_playwright import Axe

    with Served(by_accounts) as served:
        page.goto(f"{served.url}/models/shop/returns")
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
        assert Axe().run(page).violations_count == 0
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill("wrong wrong wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("name or password is wrong")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{served.url}/models/shop/returns")
        assert page.evaluate("document.cookie") == ""
        page.locator(".me summary").click()
        expect(page.locator(".me")).to_contain_text("shop: operator")
        assert Axe().run(page).violations_count == 0
        page.keyboard.press("Escape")
        expect(page.locator(".me div")).to_be_hidden()
        page.get_by_role("link", name="Roll back").click()
        page.get_by_label("Reason").fill("customers complain")
        page.get_by_role("button", name="Take version 4 back").click()
        expect(page.get_by_role("status")).to_contain_text("Version 4 of shop/returns is taken back")
        entry = by_accounts.platform.ledger.entries(RETURNS, ["rollout.rolled_back"])[-1]
        assert entry.actor == "ada"
        page.locator(".me summary").click()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Signed out")
        page.goto(f"{served.url}/models")
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
