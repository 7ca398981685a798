"""What browsers may do with the pages, and how errors look."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from loopline.portal.app import create_app
from loopline.stories.portal_home import PortalHome
from tests.loopline.portal.conftest import browsing


@pytest.mark.parametrize("path", ["/models", "/models.json", "/nothing", "/models?size=0", "/static/portal.js", "/"])
def test_nothing_inline_and_nothing_from_elsewhere(portal: TestClient, path: str) -> None:
    """Whatever is answered, the policy has no ``unsafe`` and no other host."""
    answer = portal.get(path, follow_redirects=False)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/models/x/y", 404), ("/models?size=0", 400)])
def test_an_error_says_problem_and_fix_in_both_forms(portal: TestClient, path: str, status: int) -> None:
    """As a page for people, as ``{"error": {"problem", "fix"}}`` for programs."""
    page, data = portal.get(path), portal.get(path, headers={"accept": "application/json"})
    assert (page.status_code, data.status_code) == (status, status)
    error = data.json()["error"]
    assert error["problem"]
    assert error["fix"]
    assert 'role="alert"' in page.text
    assert page.headers["content-type"].startswith("text/html")


def test_a_defect_is_a_page_too(portal: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the policy, in the form that was asked for, and without a traceback."""
    monkeypatch.setattr("loopline.portal.fleet_rows.read", lambda _: 1 / 0)
    answer = portal.get("/models.json")
    assert answer.status_code == 500
    assert answer.json()["error"]["problem"] == "ZeroDivisionError: division by zero"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert "Traceback" not in portal.get("/models").text


def test_another_name_for_this_machine_is_refused(fleet: PortalHome, portal: TestClient) -> None:
    """A page that points its own name here may not read; names that are given may."""
    assert portal.get("/models", headers={"host": "evil.example"}).status_code == 403
    assert portal.get("/models", headers={"host": "127.0.0.1:8790"}).status_code == 200
    named = TestClient(create_app(fleet.platform, fleet.teams, hosts=("portal.corp",)), "http://portal.corp")
    assert named.get("/models").status_code == 200


def test_files_are_kept_for_as_long_as_they_stay_the_same(portal: TestClient) -> None:
    """Their address changes with their content; pages are never kept."""
    page = portal.get("/models")
    address = re.search(r'href="(/static/portal.css\?v=\w+)"', page.text)
    assert address is not None
    assert "immutable" in portal.get(address[1]).headers["cache-control"]
    assert page.headers["cache-control"] == "no-store"


def test_the_page_of_many_models_asks_no_more_than_that_of_few(past: PortalHome, fleet: PortalHome) -> None:
    """The number of queries does not grow with the number of models."""
    few, many = _queries(past), _queries(fleet)
    assert few == many
    assert 0 < few < 10


def _queries(home: PortalHome) -> int:
    client, count = browsing(home), [0]

    def note(*given: object) -> None:
        count[0] += not str(given[2]).startswith("BEGIN")

    event.listen(home.platform.ledger.engine, "before_cursor_execute", note)
    assert client.get("/models").status_code == 200
    event.remove(home.platform.ledger.engine, "before_cursor_execute", note)
    return count[0]
