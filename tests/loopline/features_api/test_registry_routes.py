"""The registry over HTTP: what it tells, what it refuses, and the one shape of every error, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
from sqlalchemy import create_engine

from loopline.features_api.app import create_app
from loopline.platform_core.environment import Environment
from loopline.platform_core.features.registry.view_ref import ViewRef
from loopline.platform_core.foundation.names import EVENT_TIME, view_table
from loopline.platform_core.loop.ledger.ledger import Ledger
from loopline.platform_core.platform import Platform
from loopline.platform_core.testing.engines.engine_tables import at, put_contract
from loopline.platform_core.testing.fakes.lake import InMemoryLake
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.resources.polars.engine import PolarsEngine
from loopline.stories.registered_team import FIRST, SECOND, RegisteredTeam
from tests.loopline.features_api.conftest import asked

FIRST_PATH, SECOND_PATH = "/features/shop/spending/versions/1", "/features/shop/spending/versions/2"
READS_FIRST = {"name": "checkout", "contact": "ann", "reads": [{"team": "shop", "view": "spending", "version": 1}]}
Ask = Callable[..., httpx.Response]


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RegisteredTeam]:
    """Give a team whose model reads version 1 of its view, with version 2 beside it; both are registered."""
    postgresql = request.param == "postgresql"
    url = request.getfixturevalue("new_database")() if postgresql else f"sqlite:///{tmp_path}/ledger.db"
    bindings = {
        "engine": PolarsEngine(),
        "lake": InMemoryLake(),
        "registry": InMemoryRegistry(),
        "serving": InMemoryServing(),
    }
    put_contract(tmp_path / "orders.yaml")
    platform = Platform(Environment("test", tmp_path / "t.yaml", bindings, url, tmp_path / "clock", tmp_path))
    given = RegisteredTeam(platform, tmp_path)
    given.later()
    given.registry.register(given.team(FIRST, beside=(SECOND,)))
    yield given
    platform.close()


@pytest.fixture
def ask(shop: RegisteredTeam) -> Ask:
    """Give a function that asks the service, whose team is as registered."""
    return partial(asked, create_app(shop.platform, [shop.team(FIRST, beside=(SECOND,))]))


def error(answer: httpx.Response) -> tuple[int, str, str]:
    """Return status, problem and fix; the body holds nothing else."""
    (told,) = answer.json().values()
    assert set(told) == {"problem", "fix"}
    return answer.status_code, told["problem"], told["fix"]


SEARCHES = [
    ("", [1, 2]),
    ("?team=shop&entity=customer&source=orders&owner=ada&state=active", [1, 2]),
    ("?text=NUMBER%20of%20orders", [1, 2]),
    ("?text=orders&team=shop", [1, 2]),
    ("?team=market", []),
    ("?text=colour", []),
    ("?state=retired", []),
    ("?owner=bob", []),
]


def test_views_are_searched(ask):
    """By team, entity, source, owner, state, and text in names, features and descriptions."""
    for query, versions in SEARCHES:
        answer = ask("GET", f"/features{query}")
        assert answer.status_code == 200
        assert [view["version"] for view in answer.json()] == versions, query


def test_a_view_is_told_with_its_versions(ask):
    """Each with its features; of a single one also lineage, freshness and history."""
    first, second = ask("GET", "/features/shop/spending").json()
    assert first["features"] == {"article": "string", "orders": "int64", "spend": "double"}
    assert second["features"] == {"article": "string", "spend": "double"}
    told = ask("GET", FIRST_PATH).json()
    assert told["lineage"]["source"]["contract_version"] == "1.0.0"
    assert {name: told["lineage"][name] for name in ("raw", "offline", "online")} == {
        "raw": "shop/raw/orders", "offline": "shop/features/spending.v1", "online": "shop.spending.v1"}  # fmt: skip
    assert told["freshness"] == {"newest_event": None, "age_seconds": None}
    assert [(m["what"], m["meaning"]) for m in told["history"]] == [("shop/spending@1: declared", first["meaning"])]


def test_who_reads_what(ask, shop):
    """Models by declaration, live versions, and applications that announced themselves."""
    shop.live(shop.made(FIRST), shop.made(SECOND))
    assert ask("POST", "/consumers", json=READS_FIRST).status_code == 201
    readers = ask("GET", "/consumers").json()
    assert [(r["version"], r["kind"], r["name"], r["model_version"], r["role"]) for r in readers] == [
        (1, "application", "checkout", "", ""),
        (1, "live", "shop/large", "1", "stable"),
        (1, "model", "shop/large", "", ""),
        (2, "live", "shop/large", "2", "candidate"),
    ]
    assert [r["version"] for r in ask("GET", "/consumers?kind=live&team=shop").json()] == [1, 2]
    assert ask("GET", SECOND_PATH).json()["lineage"]["readers"] == [readers[3]]


@pytest.mark.parametrize("age_hours", [1, 24 * 30, 24 * 300])
def test_freshness_is_the_newest_event(ask, shop, age_hours):
    """However old it is, its age is by the platform's clock."""
    instant = pa.timestamp("us", "UTC")
    events = [at(shop.hour - hours) for hours in (age_hours + 5, age_hours)]
    dates = pa.array([event.date() for event in events], pa.date32())
    shop.platform.lake.append(
        view_table("shop", FIRST), pa.table({EVENT_TIME: pa.array(events, instant), "_date": dates})
    )
    told = ask("GET", FIRST_PATH).json()["freshness"]
    assert told["age_seconds"] == age_hours * 3600


def test_sources_and_entities(ask):
    """Both name what they belong to."""
    assert ask("GET", "/sources?team=shop").json() == [
        {"team": "shop", "name": "orders", "contract": "orders.yaml", "contract_version": "1.0.0", "arrives": "daily",
         "description": ""}]  # fmt: skip
    assert ask("GET", "/entities").json() == [
        {"team": "shop", "entity": "customer", "views": ["shop/spending@1", "shop/spending@2"]}
    ]


def test_what_is_read_cannot_be_retired(ask, shop):
    """409 names the reader; what is declared says so; an application that withdraws lets go."""
    shop.live(shop.made(FIRST))
    assert error(ask("DELETE", FIRST_PATH)) == (
        409,
        "feature view shop/spending@1 is read by shop/large version 1 (stable)",
        "move its readers to another version first",
    )
    status, problem, _ = error(ask("DELETE", SECOND_PATH))
    assert (status, problem) == (409, "feature view shop/spending@2 is declared by team 'shop'")


def test_what_is_free_is_retired(shop):
    """Once no team declares it and nothing reads it; the ledger says who did it and why."""
    answer = asked(create_app(shop.platform, []), "DELETE", f"{SECOND_PATH}?by=ann&reason=old", raised=True)
    assert (answer.status_code, answer.json()["state"]) == (200, "retired")
    last = shop.platform.ledger.entries()[-1]
    assert (last.actor, last.reason) == ("ann", "shop/spending@2: old")


def test_applications_come_and_go(ask):
    """They announce, renew and withdraw by name."""
    ask("POST", "/consumers", json=READS_FIRST)
    assert error(ask("DELETE", "/consumers/checkout?team=shop"))[0] == 400
    one = "/consumers/checkout?team=shop&view=spending&version=1"
    assert ask("DELETE", one).json() == {"withdrawn": 1}
    assert error(ask("DELETE", one)) == (
        404, "application 'checkout' has announced no reading of shop/spending@1", "see GET /consumers")  # fmt: skip


def test_a_registration_is_tried_and_made(ask, shop):
    """Pretended first, it tells what would be; one that drops what is live is refused."""
    shop.registry.register(shop.team(FIRST))
    path = "/teams/shop/registration"
    expected = {"added": ["shop/spending@2"], "changed": [], "retired": []}
    assert [ask("POST", f"{path}?pretend=true").json() for _ in range(2)] == [expected, expected]
    assert [ask("POST", path).json()["added"] for _ in range(2)] == [["shop/spending@2"], []]
    shop.registry.register(shop.team(SECOND, beside=(FIRST, replace(SECOND, version=3))))
    shop.registry.announce("checkout", [ViewRef("shop", "spending", 3)], "")
    status, problem, fix = error(ask("POST", path))
    assert status == 409
    assert problem == "feature view shop/spending@3 is read by application checkout and is no longer declared"
    assert fix.startswith("keep version 3 of 'spending' declared as it was")


BAD = [
    ("GET", "/features/shop/nothing", None, 404),
    ("GET", "/features/shop/spending/versions/9", None, 404),
    ("GET", "/features/shop/spending/versions/0", None, 400),
    ("GET", "/features/shop/spending/versions/x", None, 400),
    ("GET", "/features/shop/spending/versions/99999999999999999999", None, 400),
    ("GET", "/features/shop/a%20b", None, 400),
    ("GET", "/features?text=%00", None, 400),
    ("GET", "/features?state=asleep", None, 400),
    ("GET", "/nothing", None, 404),
    ("PUT", "/features", None, 405),
    ("DELETE", "/features/shop/spending/versions/9", None, 404),
    ("POST", "/teams/market/registration", None, 404),
    ("POST", "/consumers", "{", 400),
    ("POST", "/consumers", "[]", 400),
    ("POST", "/consumers", '{"name": "a\\u0000", "reads": []}', 400),
    ("POST", "/consumers", '{"name": "\\ud800", "reads": []}', 400),
    ("POST", "/consumers", '{"name": "a", "reads": [{"team": "shop", "view": "spending", "version": 9}]}', 404),
    ("POST", "/consumers", '{"name": "a", "reads": [{"team": "shop", "view": "spending", "version": 1e99}]}', 400),
    ("POST", "/consumers", b"\xff\xfe", 400),
]


def test_a_wrong_method_is_told_every_right_one(ask):
    """Also where two routes of a path take a method each."""
    for path, allowed in {
        "/features": "GET",
        "/features/shop/spending/versions/1": "GET, DELETE",
        "/consumers": "GET, POST",
        "/features/online": "POST",
    }.items():
        answer = ask("PUT", path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed), path


def test_every_error_has_a_problem_and_a_fix(ask):
    """Whatever is sent, the answer has the one shape, and bad input is never our defect."""
    for method, path, body, status in BAD:
        answer = ask(method, path, content=body, headers={"content-type": "application/json"} if body else None)
        found, problem, fix = error(answer)
        assert found == status, (method, path, body)
        assert problem
        assert fix


def test_a_database_that_is_gone_is_worth_another_try(ask, shop):
    """503 says so, and when to come back."""
    shop.platform.ledger.close()
    shop.platform.ledger = Ledger(create_engine("postgresql+psycopg2://nobody@/none?host=/nowhere"))
    answer = ask("GET", "/features")
    status, problem, fix = error(answer)
    assert (status, answer.headers["retry-after"]) == (503, "1")
    assert problem.startswith("the ledger did not answer")
    assert fix == "look at the database; the call may be repeated"


def test_openapi_shows_models_and_examples(ask):
    """Each route of the registry says what it gives, and how an error looks."""
    schema = ask("GET", "/openapi.json").json()
    told = schema["paths"]["/features/{team}/{view}/versions/{version}"]
    assert set(told) == {"get", "delete"}
    refused = told["delete"]["responses"]["409"]["content"]["application/json"]["schema"]["$ref"]
    assert refused == "#/components/schemas/Failure"
    assert schema["components"]["schemas"]["Announcement"]["examples"][0]["name"] == "checkout"
