"""Features, dead letters, teams, scorecard and alarms: what they say, as HTML and as JSON of the same object."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from loopline import scorecard
from loopline.platform_core.alarms import watchdog_heartbeat
from loopline.platform_core.features.registry import catalog
from loopline.platform_core.features.registry.view_ref import ViewRef
from loopline.platform_core.ingestion.letters import letter_pages
from loopline.platform_core.ingestion.letters.letter_tally import Tallies
from loopline.platform_core.loop import watchdog_looks
from loopline.portal.sparks import spark
from loopline.stories.portal_home import PortalHome


def get(portal: TestClient, path: str, status: int = 200) -> Any:
    """Return a page as JSON; as HTML it is there too, with the same status."""
    path, mark, query = path.partition("?")
    page = portal.get(path + mark + query)
    assert page.status_code == status, page.text
    assert page.headers["content-type"].startswith("text/html")
    answer = portal.get(f"{path}.json{mark}{query}")
    assert answer.status_code == status
    return answer.json()


def test_a_number_that_no_entry_has_is_refused(portal: TestClient) -> None:
    """The largest that a database knows is asked for; what is larger is a wrong address, no defect."""
    get(portal, f"/models/shop/returns?before={2**63 - 1}")
    for number in (2**63, 10**20, 0):
        assert "query.before" in get(portal, f"/models/shop/returns?before={number}", 400)["error"]["problem"]


def test_each_view_is_told_with_freshness_rows_and_readers(portal: TestClient, fleet: PortalHome) -> None:
    """What the list says is what registry and ledger say: state, owner, age against TTL, rows, and who reads it."""
    rows = {(row["team"], row["view"]): row for row in get(portal, "/features?size=500")["views"]}
    spending = rows["shop", "spending"]
    readers = [r for r in catalog.who_reads(fleet.platform.ledger, "shop") if r.view == ViewRef("shop", "spending", 1)]
    assert spending["models"] == len({r.name for r in readers if r.kind == "model"}) == 3
    assert spending["live"] == len({r.name for r in readers if r.kind == "live"}) == 2
    assert {row["fresh"] for row in rows.values()} == {"fresh", "stale"}
    for row in rows.values():
        age = (fleet.platform.clock.now() - datetime.fromisoformat(row["newest_event"])).total_seconds()
        assert row["age_seconds"] == age
        assert row["fresh"] == ("stale" if age > row["ttl_days"] * 86_400 else "fresh")
    assert rows["team_1", "trial"]["live"] + rows["team_1", "trial"]["models"] == 0


def test_the_list_of_views_is_filtered_and_sorted(portal: TestClient) -> None:
    """By text, team and state; by any column, both ways; and cut into pages that together are the list."""
    every = get(portal, "/features?size=500&sort=rows&descending=true")["views"]
    assert [row["rows"] for row in every] == sorted((row["rows"] for row in every), reverse=True)
    unread = get(portal, "/features?show=unread&size=500")["views"]
    assert {row["view"] for row in unread} == {"trial"}
    assert {row["team"] for row in get(portal, "/features?team=team_2")["views"]} == {"team_2"}
    assert all("history" in row["view"] for row in get(portal, "/features?text=HISTORY")["views"])
    pages = [get(portal, f"/features?size=30&start={start}")["views"] for start in range(0, len(every), 30)]
    names = [(row["team"], row["view"]) for page in pages for row in page]
    assert names == sorted((row["team"], row["view"]) for row in every)


def test_a_view_s_page_says_what_it_means_and_who_relies_on_it(portal: TestClient) -> None:
    """Features with types, source with contract, readers by kind, history, code; by its asset's name too."""
    page = get(portal, "/features/shop/spending")
    assert page["features"] == {"article": "string", "orders": "int64", "spend": "double"}
    source = {"name": "orders", "contract": "orders.yaml", "contract_version": "1.0.0", "arrives": "daily"}
    assert page["source"] == source
    assert {reader["kind"] for reader in page["readers"]} == {"live", "model"}
    assert page["history"][-1]["summary"] == "shop/spending@1: declared"
    assert page["code"][0].startswith("def view(")
    assert page["links"][0]["url"].endswith("/assets/shop/spending_features")
    assert "no version 7" in get(portal, "/features/shop/spending?version=7", 404)["error"]["problem"]
    assert "no version 2" in get(portal, "/features/shop/spending_v2", 404)["error"]["problem"]
    assert "no feature view" in get(portal, "/features/shop/nothing", 404)["error"]["problem"]


def test_dead_letters_by_source_come_from_the_ledger(portal: TestClient, fleet: PortalHome) -> None:
    """Every source that landed, with the letters that its tables hold, most open ones first."""
    page = get(portal, "/dead-letters")
    counts = {row["source"]: row["open"] for row in page["sources"]}
    lake = fleet.platform.lake
    assert counts == {name: letter_pages.count(lake, *name.split("/")).letters for name in counts}
    assert list(counts.values()) == sorted(counts.values(), reverse=True)
    drawn = {line["name"]: sum(point["value"] for point in line["points"]) for line in page["chart"]["lines"]}
    assert drawn["shop/orders"] == counts["shop/orders"]


def test_letters_of_a_source_are_paged_by_reason_down_to_one(portal: TestClient) -> None:
    """Pages of a reason together are all of its letters; one letter shows its row field by field."""
    first = get(portal, "/dead-letters/shop/orders?reason=customer.required&size=10")
    total = first["slice"]["total"]
    assert total == first["reasons"]["customer.required"]
    path = "/dead-letters/shop/orders?reason=customer.required&size=10&start="
    pages = [get(portal, f"{path}{start}")["letters"] for start in range(0, total, 10)]
    ids = [letter["letter_id"] for page in pages for letter in page]
    assert len(set(ids)) == total
    letter = get(portal, first["letters"][0]["path"])
    assert letter["fields"]["article"] == "cup"
    assert letter["resolved_at"] is None
    assert get(portal, f"/dead-letters/shop/orders/{ids[0]}")["letter"]["letter_id"] == ids[0]
    get(portal, "/dead-letters/shop/orders/" + "0" * 64, 404)
    get(portal, "/dead-letters/shop/nothing", 404)
    assert get(portal, "/dead-letters/shop/orders?reason=none")["letters"] == []


def test_the_export_is_every_letter_and_can_be_replayed(
    portal: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As CSV it has each open letter once, with all that came, and a torn row's text; ``replay --rows`` reads it."""
    from loopline.platform_core.ingestion.letters import mended_rows
    from loopline.portal.pages import letters

    monkeypatch.setattr(letters, "EXPORTED_AT_ONCE", 7)
    answer = portal.get("/dead-letters/shop/orders/export.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="shop-orders-dead-letters.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    page = get(portal, "/dead-letters/shop/orders")
    assert len({row["letter_id"] for row in rows}) == len(rows) == page["open"]
    assert list(rows[0]) == ["letter_id", "reasons", "customer", "ordered_at", "amount", "article", "_malformed"]
    torn = {bool(row["_malformed"]) for row in rows if row["reasons"] == "row.malformed"}
    assert torn == {True}
    file = tmp_path / "letters.csv"
    file.write_text(answer.text)
    assert len(mended_rows.read(file)) == page["open"]
    assert portal.get("/dead-letters/pricing/prices/export.csv").status_code == 400


def test_a_replay_lowers_what_the_ledger_counts(told: PortalHome, form: Any) -> None:
    """Counts that are kept follow: what was replayed is not open any more, here and in the list."""
    kept = Tallies()
    before = {tally.source: tally.open for tally in kept.newest(told.platform.ledger)}
    assert form("replay", source="shop/orders").send("ada", "mended").status_code == 200
    after = {tally.source: tally.open for tally in kept.newest(told.platform.ledger)}
    assert after["shop/orders"] == letter_pages.count(told.platform.lake, "shop", "orders").letters
    assert after["shop/orders"] < before["shop/orders"]
    assert after == {tally.source: tally.open for tally in Tallies().newest(told.platform.ledger)}


def test_teams_and_what_is_quarantined(portal: TestClient, empty: TestClient) -> None:
    """Each team with its counts; a broken package with file, line, reason and what to do.

    That a Dagster that is away cannot be asked for code locations is said, soon, and nothing else fails.
    """
    assert "does not answer" in get(portal, "/teams/locations")["trouble"]
    assert "loopline up" in get(empty, "/teams/locations")["trouble"]
    page = get(portal, "/teams")
    rows = {row["team"]: row for row in page["teams"]}
    assert (rows["shop"]["models"], rows["shop"]["live"], rows["shop"]["loads"]) == (3, 2, True)
    assert rows["pricing"]["loads"] is False
    [broken] = page["quarantined"]
    assert (broken["file"], broken["line"]) == ("pricing/models.py", 41)
    assert "log_rnage" in broken["reason"]
    assert "loopline plugin check pricing" in broken["fix"]
    assert get(portal, "/teams/pricing")["broken"] == broken
    shop = get(portal, "/teams/shop")
    assert [source["name"] for source in shop["sources"]] == ["orders"]
    assert len(shop["models"]) == 3
    get(portal, "/teams/nobody", 404)


def test_the_scorecard_says_every_figure_and_how_it_is_computed(portal: TestClient, fleet: PortalHome) -> None:
    """The organisation's and a team's figures by topic, each with its rule, its cases and its last ninety days."""
    for scope in ("", "shop"):
        page = get(portal, f"/scorecard?scope={scope}")
        rows = [row for topic in page["topics"] for row in topic["figures"]]
        newest = {figure.name: figure for figure in scorecard.latest(fleet.platform, scope)}
        assert {row["name"]: row["value"] for row in rows} == {name: f.value for name, f in newest.items()}
        assert all(row["how"] == newest[row["name"]].how for row in rows)
        assert all(bool(row["spark"]) == (row["value"] is not None) for row in rows)
        assert all(row["reason"] for row in rows if row["value"] is None)
    assert "no scorecard of 'nobody'" in get(portal, "/scorecard?scope=nobody", 404)["error"]["problem"]


def test_a_figure_over_time_and_by_team(portal: TestClient, fleet: PortalHome) -> None:
    """Each team's value beside the organisation's, and the history drawn as it is kept."""
    page = get(portal, "/scorecard/lead_time_median")
    assert [row["scope"] for row in page["scopes"]][:3] == ["", "bank", "shop"]
    drawn = [point["value"] for point in page["chart"]["lines"][0]["points"]]
    assert drawn == [figure.value for figure in scorecard.history(fleet.platform, "lead_time_median")]
    get(portal, "/scorecard/happiness", 404)


def test_sparks_are_drawn_from_low_to_high() -> None:
    """The lowest value lies at the bottom, the highest at the top; days without one are left out."""
    assert spark([1.0, None, 3.0]) == "0.0,22.0 100.0,2.0"
    assert spark([2.0, 2.0]) == "0.0,12.0 100.0,12.0"
    assert spark([None, 4.0]) == ""


def test_alarms_and_whether_anybody_watches(portal: TestClient, fleet: PortalHome) -> None:
    """What stands, the gravest first; that no watchdog looks is said, until one does."""
    page = get(portal, "/alarms")
    assert [alarm["about"] for alarm in page["standing"]] == ["bank/card_fraud"]
    assert page["standing"][0]["fix"]
    assert (page["watched_at"], page["silent"]) == (None, True)
    watchdog_looks.note(fleet.platform.ledger, watchdog_heartbeat.ROUND)
    page = get(portal, "/alarms")
    assert (datetime.fromisoformat(page["watched_at"]), page["silent"]) == (
        watchdog_heartbeat.last(fleet.platform.ledger),
        False,
    )


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/models", "loopline new team"),
        ("/cycles", "loopline cycle start"),
        *((path, "") for path in ("/features", "/dead-letters", "/teams", "/scorecard", "/alarms", "/audit")),
    ],
)
def test_where_there_is_nothing_it_says_what_to_do(empty: TestClient, path: str, said: str) -> None:
    """A page without anything to show is no empty table: it says what is missing."""
    assert get(empty, path).get("models", []) == []
    text = empty.get(path).text
    assert 'class="empty"' in text
    assert said in text
