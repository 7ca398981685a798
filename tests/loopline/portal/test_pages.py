"""The pages for reading: structure, content, the same as JSON, and what they say where there is nothing to say."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient

from loopline.platform_core.alarms import Alarm, raise_alarm
from loopline.platform_core.foundation.names import quality_table
from loopline.platform_core.ingestion.quality.landing_profile import ColumnProfile, Landing, to_table
from loopline.platform_core.loop import freezes
from loopline.platform_core.loop.ledger.entry_kinds import LANDING_DOUBTED
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.plugins import Installed
from loopline.platform_core.testing.fakes.drift_report import InMemoryDriftReport
from loopline.stories.portal_home import BROKEN, PortalHome
from tests.loopline.portal.conftest import OURS, browsing

JSON = {"accept": "application/json"}


class Outline(HTMLParser):
    """What matters of a page's HTML: elements, ids, addresses, text, and tables without a caption."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.bare_tables = 0
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.bare_tables += {"table": 1, "caption": -1}.get(tag, 0)

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, name: str) -> list[str]:
        return [value for _, attribute, value in self.attributes if attribute == name]


def got(portal: TestClient, path: str, **query: Any) -> Any:
    """Get a page as JSON."""
    answer = portal.get(path, params=query, headers=JSON)
    assert answer.status_code == 200, answer.text
    return answer.json()


def cycle_of(portal: TestClient, model: str, state: str) -> str:
    """Name the newest cycle of a model in a state."""
    team, name = model.split("/")
    return str(got(portal, "/cycles", team=team, model=name, state=state)["cycles"][0]["cycle_id"])


PAGES = (
    "/models",
    "/models/shop/returns",
    "/models/shop/demand",
    "/models/bank/card_fraud",
    "/cycles",
    "cycle",
    "/models/x/y",
)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_one_head_captions_and_nothing_inline(portal: TestClient, path: str) -> None:
    """One h1, a caption a table, ids once, nothing that the policy forbids, and nothing from another host."""
    path = f"/cycles/{cycle_of(portal, 'shop/returns', 'promoted')}" if path == "cycle" else path
    html = portal.get(path, headers={"accept": "text/html"}).text
    page = Outline(html)
    assert page.elements["h1"] == 1
    assert page.elements["main"] == 1
    assert page.bare_tables == 0
    assert not [name for name, count in Counter(page.values("id")).items() if count > 1]
    assert not [a for a in page.attributes if a[1] == "style" or a[1].startswith("on")]
    assert "<style" not in html
    assert not re.findall(r"<script(?![^>]*src=)", html)
    assert not [src for src in page.values("src") if urlsplit(src).netloc]
    assert [value for tag, name, value in page.attributes if (tag, name) == ("html", "lang")] == ["en"]


@pytest.mark.parametrize("path", ["/models", "/models/shop/returns", "/cycles"])
def test_a_page_is_the_same_as_json(portal: TestClient, path: str) -> None:
    """By Accept and by the suffix, with the very same content; a browser's Accept gets HTML."""
    by_header, by_suffix = portal.get(path, headers=JSON), portal.get(f"{path}.json", headers={"accept": "*/*"})
    assert by_header.headers["content-type"] == "application/json"
    assert by_header.json() == by_suffix.json()
    browser = portal.get(path, headers={"accept": "text/html,application/xhtml+xml,application/json;q=0.9"})
    assert browser.headers["content-type"].startswith("text/html")
    assert sorted(re.split(r",\s*", browser.headers["vary"].lower())) == ["accept", "accept-encoding"]


def test_every_time_has_a_zone(portal: TestClient) -> None:
    """As JSON and as HTML."""
    answer = portal.get("/models/shop/returns.json").text
    times = re.findall(r'"(\d{4}-\d\d-\d\dT[^"]*)"', answer)
    assert len(times) > 100
    assert all(datetime.fromisoformat(time).tzinfo for time in times)
    page = Outline(portal.get("/models/shop/returns").text)
    assert all(datetime.fromisoformat(time).tzinfo for time in page.values("datetime"))
    assert page.text.count("UTC") >= page.elements["time"]


def test_the_list_says_what_is_live_and_how_it_does(portal: TestClient) -> None:
    """Version, since, rollout, drift, quality, alarms, freeze, of each model."""
    rows = {f"{row['team']}/{row['model']}": row for row in got(portal, "/models", size=500)["models"]}
    returns, basket, demand = rows["shop/returns"], rows["shop/basket"], rows["shop/demand"]
    assert (returns["version"], returns["rollout"]["version"], returns["rollout"]["percent"]) == ("2", "4", 25)
    assert returns["drift"]["summary"] == "drifted: spend, article"
    assert returns["since"].startswith("2026-09-16T")
    assert 0.5 < returns["quality"]["value"] < 1
    assert basket["frozen"] == "frozen by grace: the till is being replaced until Friday"
    assert (demand["version"], demand["since"], demand["drift"]) == ("", None, None)
    assert rows["bank/card_fraud"]["alarms"] == 1
    html = portal.get("/models").text
    assert "<strong>pricing</strong> is quarantined" in html
    assert "pricing/models.py:41: NameError: name &#39;log_rnage&#39;" in html


def test_the_list_is_filtered_sorted_and_paged(portal: TestClient) -> None:
    """By text, team and state; those without a value come last; every model is on one page."""
    names = [row["model"] for row in got(portal, "/models", text="fraud")["models"]]
    assert names == ["card_fraud"]
    assert {row["team"] for row in got(portal, "/models", team="team_3")["models"]} == {"team_3"}
    assert [row["model"] for row in got(portal, "/models", show="rollout")["models"]] == ["returns"]
    assert all(row["drift"]["drifted"] for row in got(portal, "/models", show="drifted")["models"])
    best = got(portal, "/models", sort="quality", descending=True, size=500)["models"]
    values = [row["quality"] and row["quality"]["value"] for row in best]
    assert values[:-1] == sorted(values[:-1], reverse=True)
    assert values[-1] is None
    first, second = got(portal, "/models", size=40), got(portal, "/models", size=40, start=40)
    assert (first["slice"]["total"], len(first["models"]), len(second["models"])) == (64, 40, 24)
    seen = [(row["team"], row["model"]) for page in (first, second) for row in page["models"]]
    assert len(set(seen)) == 64
    html = Outline(portal.get("/models?size=40").text)
    assert any("start=40" in address for address in html.values("href"))


def test_a_model_page_tells_everything_of_it(portal: TestClient) -> None:
    """Live version, versions with gates and training sets, rollouts, drift, quality, fairness, features."""
    page = got(portal, "/models/shop/returns")
    assert (page["live"]["version"], page["live"]["candidate"], page["live"]["percent"]) == ("2", "4", 25)
    states = {row["version"]: row["state"] for row in page["versions"]}
    assert states == {"4": "candidate", "3": "rejected", "2": "live", "1": "was_live"}
    third = next(row for row in page["versions"] if row["version"] == "3")
    found = page["search"]
    assert [row["family"] for row in found["trials"]] == ["trees", "linear", "network"]
    assert [row["who"] for row in found["beside"]] == ["this version", "the baseline"]
    assert found["columns"][0]["name"] == "spent"
    assert found["columns"][0]["live"] is not None
    assert [(gate["gate"], gate["passed"]) for gate in third["gates"]][-1] == ("BeatsChampion(roc_auc)", False)
    assert third["training_set"]["rows"] == 27_800
    assert set(third["training_set"]["tables"]) == {"shop/raw/orders", "shop/features/spending.v1"}
    assert [row["state"] for row in page["rollouts"]] == ["running", "promoted", "promoted"]
    assert page["drift"]["columns"][0]["name"] == "article"
    assert [mark["kind"] for mark in page["drift"]["chart"]["marks"]] == ["alarm"]
    assert {line["name"] for line in page["quality"]["charts"][0]["lines"]} >= {"version 2", "version 2, estimated"}
    assert {row["segment"] for row in page["quality"]["newest"]} >= {"", "country=Spain"}
    assert page["fairness"][0]["group"] == "Spain"
    assert page["features"][0]["name"] == "spending"
    assert "http://127.0.0.1:8/v2/models/shop.returns" in [link["url"] for link in page["links"]]
    html = portal.get("/models/shop/returns").text
    for said in ("BeatsChampion(roc_auc)", "country=Spain", "article", "shop/raw/orders", "31\u202f377"):
        assert said in html


def test_a_model_page_stays_light(portal: TestClient, fleet: PortalHome) -> None:
    """Each section shows its newest rows, all of them when asked; the JSON has them all. Charts come when seen."""
    page = portal.get("/models/shop/returns")
    assert sum(Outline(page.text).elements.values()) <= 1200
    assert "points" not in page.text
    newest = got(portal, "/models/shop/returns")["quality"]["newest"]
    assert len(newest) > 12
    rows = {
        whole: page.text.partition("Newest figures, with 95")[2].partition("</table>")[0].count('<tr><th scope="row"')
        for whole, page in (("", page), ("quality", portal.get("/models/shop/returns?whole=quality")))
    }
    assert rows == {"": 10, "quality": len(newest)}
    assert f"All {len(newest)}" in page.text
    folded = portal.get("/models/shop/returns?whole=versions").text
    assert ("Gates of version 1" in page.text, "Gates of version 1" in folded) == (False, True)


def test_a_chart_has_a_page_of_its_figures(portal: TestClient) -> None:
    """By its source: as a table, and as JSON the lines that are drawn; what is not there is not found.

    Of drift one column is drawn with its threshold; an unknown column is as none.
    """
    drawn = got(portal, "/models/shop/returns", column="spend")
    lines = drawn["drift"]["chart"]["lines"]
    assert [(line["name"], line["style"]) for line in lines] == [("score", "line"), ("threshold", "bound")]
    assert lines[0]["points"][-1]["value"] == pytest.approx(0.22)
    assert got(portal, "/models/shop/returns", column="nonsense")["drift"]["column"] == ""
    charts = [drawn["drift"]["chart"], *drawn["quality"]["charts"], drawn["fairness"][0]["chart"]]
    charts += [got(portal, path)["chart"] for path in ("/dead-letters", "/scorecard/lead_time_median")]
    charts.append(got(portal, "/dead-letters/shop/orders")["chart"])
    for chart in charts:
        assert portal.get(chart["source"], headers=JSON).json()["chart"] == chart
        figures = Outline(portal.get(chart["source"]).text)
        assert figures.elements["tr"] == 1 + min(200, sum(len(line["points"]) for line in chart["lines"]))
        assert chart["title"] in figures.text
    for path in ("/models/shop/returns/charts/quality/9", "/models/shop/demand/charts/drift/0", "/scorecard/x/chart"):
        assert portal.get(path, headers=JSON).status_code == 404
    assert portal.get("/models/shop/returns/charts/else/0").status_code == 400


def test_failing_checks_of_a_models_sources_are_told(told: PortalHome, client: TestClient) -> None:
    """What the newest landing shows now, and what alarms tell beside it; of its own sources only."""
    assert got(client, "/models/shop/returns")["sources"] == []
    now = told.platform.clock.now()
    for n in range(12):
        at, rows = now - timedelta(hours=12 - n), 1000 if n < 11 else 9
        landing = Landing(n, at, "c", 1, rows, at, {"amount": ColumnProfile(0)})
        told.platform.lake.append(quality_table("shop", "orders"), to_table(landing))
    for source, check in (("orders", "contract"), ("orders", "volume"), ("tills", "contract")):
        told_of = Alarm(f"check:shop/raw/{source}:{check}", "warning", f"{check} of {source}", "look")
        raise_alarm(told.platform, told_of)
    earlier = {"source": "shop/orders", "raw_version": 3, "landed_at": (now - timedelta(hours=9)).isoformat()}
    earlier |= {"names": "a.csv", "numbers": [], "checks": ["ranges"], "oldest": None, "newest": None}
    told.platform.ledger.record(Entry(LANDING_DOUBTED, now, "shop", "", reason="a.csv landed", details=earlier))
    rows = got(client, "/models/shop/returns")["sources"]
    assert [row["source"] for row in rows] == ["shop/orders"] * 3
    assert [row["check"] for row in rows] == ["volume", "landing", "contract"]
    assert "rows an arrival 9, usually" in rows[0]["findings"][0]
    assert rows[1]["findings"] == ["a.csv landed"]
    assert "loopline arrivals withdraw shop/orders" in rows[1]["fix"]
    assert (rows[2]["findings"], rows[2]["fix"]) == (["contract of orders"], "look")
    html = client.get("/models/shop/returns").text
    assert "Failing checks of its sources" in html
    assert "usually" in html


def test_the_portal_describes_itself(portal: TestClient) -> None:
    """Every address of a page, with the shape of its JSON, as OpenAPI; the front door leads to the models."""
    door = portal.get("/", follow_redirects=False)
    assert (door.status_code, door.headers["location"]) == (303, "/models")
    described = portal.get("/openapi.json")
    assert described.status_code == 200
    paths, schemas = described.json()["paths"], described.json()["components"]["schemas"]
    assert {"/models/{team}/{model}", "/alarms", "/scorecard/{name}", "/dead-letters/{team}/{source}"} <= set(paths)
    page = got(portal, "/models/shop/returns")
    assert set(schemas["ModelPage"]["properties"]) == set(page)
    assert schemas["ModelPage"]["properties"]["versions"]["items"] == {"$ref": "#/components/schemas/VersionRow"}


def test_the_portal_describes_how_it_fails_and_that_pages_are_html(portal: TestClient) -> None:
    """Every address: what is answered to who asks wrongly; JSON and HTML of a page; files as what they are."""
    described = portal.get("/openapi.json").json()
    error = {"schema": {"$ref": "#/components/schemas/ErrorPage"}}
    operations = [each for path in described["paths"].values() for each in path.values()]
    for status in ("400", "404", "default"):
        assert all(each["responses"][status]["content"]["application/json"] == error for each in operations)
        assert all("text/html" in each["responses"][status]["content"] for each in operations)
    assert not [each for each in operations if "422" in each["responses"]]
    assert not [each for each in operations if not {"200", "303"} & each["responses"].keys()]
    kinds = {
        "/models/{team}/{model}": {"application/json", "text/html"},
        "/models/{team}/{model}/versions/{version}/{what}": {"application/json", "text/plain"},
        "/reports/{model}/{name}": {"text/html"},
        "/audit/export": {"application/x-ndjson"},
        "/dead-letters/{team}/{source}/export.csv": {"text/csv"},
    }
    for path, told in kinds.items():
        assert set(described["paths"][path]["get"]["responses"]["200"]["content"]) == told, path


def test_a_wrong_method_is_told_every_right_one(portal: TestClient) -> None:
    """An action is shown and done at the same address."""
    answer = portal.put("/actions/hold", headers=OURS)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


def test_long_answers_are_packed_but_forms_are_not(portal: TestClient) -> None:
    """A form's page holds a secret, whose length beside a caller's own words would tell it."""
    pages = {"/models": "gzip", "/models.json": "gzip", "/static/portal.css": "gzip", "/actions/roll-back": None}
    for path, coding in pages.items():
        answer = portal.get(path, params={"model": "shop/returns"} if "actions" in path else {})
        assert answer.status_code == 200
        assert answer.headers.get("content-encoding") == coding, path
        assert len(answer.content) > 1024


def test_the_rollout_refreshes_itself_and_says_what_comes_next(portal: TestClient, fleet: PortalHome) -> None:
    """The part asks for itself again, and looking changes nothing in the ledger."""
    before = fleet.platform.ledger.entries(limit=1, newest_first=True)
    part = portal.get("/models/shop/returns/rollout").text
    assert Outline(part).values("data-part") == ["/models/shop/returns/rollout"]
    assert "<html" not in part
    look = got(portal, "/models/shop/returns/rollout")["look"]
    assert (look["action"], look["steps"], look["stable"]["version"]) == ("wait", [5, 25, 100], "2")
    assert fleet.platform.ledger.entries(limit=1, newest_first=True) == before
    assert got(portal, "/models/shop/demand/rollout")["rollout"] is None
    assert Outline(portal.get("/models/shop/returns").text).values("data-again") == []


def test_the_ledger_is_paged_without_a_gap(portal: TestClient, fleet: PortalHome) -> None:
    """All pages together are all entries of the model, each once, newest first; observations when asked for."""
    seen: list[int] = []
    query: dict[str, Any] = {"everything": True}
    while True:
        part = got(portal, "/models/shop/basket", **query)["ledger"]
        seen += [sentence["entry_id"] for sentence in part["sentences"]]
        if part["older"] is None:
            break
        query["before"] = part["older"]
    entries = fleet.platform.ledger.entries(newest_first=True)
    assert seen == [entry.entry_id for entry in entries if (entry.team, entry.model) == ("shop", "basket")]
    kinds = {sentence["kind"] for sentence in got(portal, "/models/shop/basket")["ledger"]["sentences"]}
    assert "drift.window" not in kinds
    assert "rollout.rolled_back" in kinds


def test_a_cycle_is_told_in_order(portal: TestClient) -> None:
    """Cause, training set, version, gates, each step with what it brought about, verdict; with times between."""
    page = got(portal, f"/cycles/{cycle_of(portal, 'shop/returns', 'promoted')}")
    kinds = [step["kind"] for step in page["steps"]]
    assert kinds[:4] == ["cycle.opened", "training_set.pinned", "model.registered", "gate.judged"]
    assert kinds[-2:] == ["rollout.promoted", "cycle.closed"]
    assert page["cycle"]["cause"].startswith("drift: drifted in 2 of 3 windows")
    advanced = [step for step in page["steps"] if step["kind"] == "rollout.advanced"]
    assert [step["head"] for step in advanced] == ["Advanced to 5 %", "Advanced to 25 %", "Advanced to 100 %"]
    assert advanced[0]["brought"] == "version 1 answers, version 2 5 percent (generation 2)"
    assert advanced[1]["sides"][0]["side"] == "candidate"
    assert {figure["name"] for figure in advanced[1]["figures"]} == {"ErrorRate", "P99", "ScoreShift"}
    assert sum(step["after_seconds"] or 0 for step in page["steps"]) == pytest.approx(page["cycle"]["seconds"])


def test_a_drill_and_what_a_person_did_are_told(portal: TestClient) -> None:
    """The multiplied column, and by whose hand a model went one step back."""
    html = portal.get(f"/cycles/{cycle_of(portal, 'shop/basket', 'rolled_back')}").text
    assert "A drill" in html
    assert "ScoreShift" in html
    ledger = portal.get("/models/bank/card_fraud").text
    assert "taken back by margaret" in ledger


def test_cycles_are_counted_and_filtered(portal: TestClient) -> None:
    """By state and model, with the numbers of each."""
    page = got(portal, "/cycles", team="shop", model="returns")
    assert page["counts"] == {"promoted": 2, "rejected": 1, "open": 1}
    assert [row["state"] for row in page["cycles"]] == ["open", "rejected", "promoted", "promoted"]
    assert page["slice"]["total"] == 4
    assert "No cycle matches" in portal.get("/cycles?team=shop&state=failed").text


def test_a_dagster_that_is_away_leaves_the_story(portal: TestClient) -> None:
    """The runs say what is wrong and what to do; the page before stands."""
    cycle = cycle_of(portal, "shop/returns", "promoted")
    page = portal.get(f"/cycles/{cycle}")
    assert f"/cycles/{cycle}/runs" in Outline(page.text).values("data-part")
    runs = got(portal, f"/cycles/{cycle}/runs")
    assert runs["runs"] == []
    assert "loopline up" in runs["trouble"]


def test_reports_run_in_a_sandbox(portal: TestClient, fleet: PortalHome) -> None:
    """A report's own scripts may run, in an origin of their own; other files of the home are not served."""
    folder = fleet.platform.home / "reports" / "shop.returns"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "2-68.html").write_text("<script>1</script>")
    assert got(portal, "/models/shop/returns")["drift"]["report"] == "/reports/shop.returns/2-68.html"
    answer = portal.get("/reports/shop.returns/2-68.html")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts")
    assert "allow-same-origin" not in policy
    assert "unsafe-eval" not in policy
    assert portal.get("/reports/shop.returns/2-99.html").status_code == 404
    for path in ("/reports/shop.returns/..%2f..%2fledger.db", "/reports/..%2f/ledger.db", "/reports/shop.returns/x.db"):
        assert portal.get(path).status_code in {400, 404}
    accents = "\N{LATIN SMALL LETTER E WITH ACUTE}" * 128
    for path in (f"shop.{'x' * 251}/0.html", f"shop.returns/{'x' * 251}.html", f"shop.returns/{accents}.html"):
        assert portal.get(f"/reports/{path}").status_code == 404
        assert portal.get(f"/reports/{path}/link", follow_redirects=False).status_code == 404
    answer = portal.get("/reports/shop.returns/2-68.html/link", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/reports/shop.returns/2-68.html")
    (folder / "2-68.html").unlink()


class Shelved(InMemoryDriftReport):
    """Pages that lie elsewhere as well, as in an object store."""

    def kept(self, model: str) -> list[str]:
        """Name the one."""
        return ["2-68.html"] if model == "shop.returns" else []

    def fetch(self, model: str, page: Path) -> bool:
        """Write it here."""
        if page.name not in self.kept(model):
            return False
        page.parent.mkdir(parents=True, exist_ok=True)
        return bool(page.write_text("from elsewhere"))

    def place(self, model: str, name: str) -> str:
        """Say where."""
        return f"s3://bucket/{model}/{name}"

    def link(self, model: str, name: str) -> str:
        """Sign."""
        return f"https://bucket.example/{model}/{name}?signed"


def test_reports_that_another_machine_drew(portal: TestClient, fleet: PortalHome) -> None:
    """They are linked, fetched when asked for, and led to by a link that is signed then and kept by nobody."""
    bindings: Any = fleet.platform.environment.bindings
    before, bindings["drift_report"] = bindings["drift_report"], Shelved()
    try:
        drift = got(portal, "/models/shop/returns")["drift"]
        assert drift["report"] == "/reports/shop.returns/2-68.html"
        answer = portal.get(drift["shared"], follow_redirects=False)
        assert answer.headers["location"] == "https://bucket.example/shop.returns/2-68.html?signed"
        assert answer.headers["cache-control"] == "no-store"
        assert "as a link for others" in portal.get("/models/shop/returns").text
        answer = portal.get(drift["report"])
        assert (answer.text, answer.headers["content-security-policy"][:7]) == ("from elsewhere", "sandbox")
        assert portal.get("/reports/shop.returns/2-99.html").status_code == 404
    finally:
        bindings["drift_report"] = before
        (fleet.platform.home / "reports" / "shop.returns" / "2-68.html").unlink(missing_ok=True)


def test_models_of_a_broken_team_are_shown_from_the_ledger(fleet: PortalHome) -> None:
    """Their team does not load, so nobody declares them; what is live stays to be seen."""
    portal = browsing(fleet, Installed((), (BROKEN,)))
    rows = {row["model"]: row for row in got(portal, "/models", team="shop")["models"]}
    assert not rows["returns"]["declared"]
    assert rows["returns"]["version"] == "2"
    page = portal.get("/models/shop/returns")
    assert page.status_code == 200
    assert "No team that loads declares this model" in page.text
    assert got(portal, "/models/shop/returns/rollout")["look"] is None


def test_everything_frozen_is_said_on_top(told: PortalHome, client: TestClient) -> None:
    """By whom and why."""
    freezes.freeze(told.platform.ledger, None, "ada", "audit", told.platform.clock.now())
    assert got(client, "/models")["everything_frozen"] == "frozen by ada: audit"
    assert "Everything is frozen by ada: audit" in client.get("/models").text
    page = got(client, "/models/shop/returns")
    assert (page["frozen"], page["everything_frozen"]) == ("ada: audit", True)
    assert "/actions/thaw?model=everything" in client.get("/models/shop/returns").text  # its own thaw is refused
