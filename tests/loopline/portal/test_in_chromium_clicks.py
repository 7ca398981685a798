"""What a click does: the ledger and what is served change, lists sort, filter and page, the split renews itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.ingestion.letters import letter_pages
from loopline.platform_core.loop import freezes
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.rollouts import rollback, rollouts

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

RETURNS, FRAUD = ModelRef("shop", "returns"), ModelRef("bank", "card_fraud")


def sign(page: Page, by: str = "Ada", reason: str = "customers complain") -> None:
    """Fill in who and why."""
    page.get_by_label("Your name").fill(by)
    page.get_by_label("Reason").fill(reason)


def test_a_model_is_rolled_back_by_three_clicks(page: Page, served: Any) -> None:
    """From its page to the form to done: the candidate no longer answers, in the ledger and on the endpoint."""
    platform = served.home.platform
    page.goto(f"{served.url}/models/shop/returns")
    page.get_by_role("link", name="Roll back").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Take version 4 of shop/returns back")
    sign(page)
    page.get_by_role("button", name="Take version 4 back").click()
    expect(page.get_by_role("status")).to_contain_text("Version 4 of shop/returns is taken back")
    live = deployments.deployment(platform.ledger, RETURNS)
    assert live is not None
    assert live.stable is not None
    assert (live.stable.version, live.candidate) == ("2", None)
    assert platform.serving._states[RETURNS.dotted].candidate is None
    entry = platform.ledger.entries(RETURNS, ["rollout.rolled_back"])[-1]
    assert (entry.actor, entry.reason) == ("Ada", "customers complain")
    page.get_by_role("link", name="Back to shop/returns").click()
    expect(page.locator("main")).to_contain_text("rolled back by Ada: customers complain")


def test_a_double_click_rolls_back_once(page: Page, served: Any) -> None:
    """Two quick clicks are one decision; who goes back is asked about what is live now, not again about the same."""
    ledger = served.home.platform.ledger
    page.goto(f"{served.url}/actions/roll-back?model=shop/returns")
    sign(page)
    page.get_by_role("button", name="Take version 4 back").dblclick()
    expect(page.get_by_role("heading", level=1)).to_have_text("Done")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Take version 2 of shop/returns back")
    assert len(ledger.entries(RETURNS, ["rollout.rolled_back"])) == 1
    live = deployments.deployment(ledger, RETURNS)
    assert live is not None
    assert live.stable is not None
    assert live.stable.version == "2"


def test_what_is_refused_is_said_where_it_was_asked(page: Page, served: Any) -> None:
    """Somebody was faster: the problem and what to do stand above the form, which keeps what I wrote."""
    page.goto(f"{served.url}/actions/hold?model=shop/returns")
    platform = served.home.platform
    rollback.roll_back(platform, RETURNS, "bob", "slow", platform.clock.now())
    sign(page)
    page.get_by_role("button", name="Hold it").click()
    expect(page.get_by_role("alert")).to_contain_text("no rollout of shop/returns is running")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "alert"


def test_a_rollout_is_held_and_the_model_s_page_shows_it_by_itself(page: Page, served: Any, chromium: Browser) -> None:
    """A window that is open on the model sees within seconds that somebody else holds its rollout."""
    page.goto(f"{served.url}/models/shop/returns")
    expect(page.locator("#rollout")).to_contain_text("answers 25 %")
    other = chromium.new_context()
    window = other.new_page()
    window.goto(f"{served.url}/models/shop/returns")
    window.get_by_role("link", name="Hold the rollout").click()
    sign(window, reason="until Monday")
    window.get_by_role("button", name="Hold it").click()
    expect(window.get_by_role("status")).to_contain_text("is held at 25 percent")
    other.close()
    record = rollouts.running(served.home.platform.ledger, RETURNS)
    assert record is not None
    assert record.state == "held"
    expect(page.locator("#rollout")).to_contain_text("held by a person", timeout=15_000)


def test_everything_is_frozen_and_thawed(page: Page, served: Any) -> None:
    """From the list of models; while it is so every page of a model says it, and the name is known the next time."""
    ledger = served.home.platform.ledger
    page.goto(f"{served.url}/models")
    page.get_by_role("link", name="Freeze everything").click()
    sign(page, "Grace", "a sale begins")
    page.get_by_role("button", name="Freeze everything").click()
    expect(page.get_by_role("status")).to_contain_text("everything is frozen by Grace")
    assert freezes.frozen(ledger, FRAUD) is not None
    page.goto(f"{served.url}/models")
    page.get_by_role("link", name="Thaw everything").click()
    expect(page.get_by_label("Your name")).to_have_value("Grace")
    page.get_by_label("Reason").fill("the sale is over")
    page.get_by_role("button", name="Thaw everything").click()
    expect(page.get_by_role("status")).to_contain_text("everything is free")
    assert freezes.frozen(ledger, FRAUD) is None


def test_a_failed_gate_is_overridden_and_its_rollout_begins(page: Page, served: Any) -> None:
    """From the gate in the list of versions, with its rollout; the model's page shows whose word it passed by."""
    page.goto(f"{served.url}/models/bank/card_fraud")
    page.get_by_role("link", name=re.compile("Override")).first.click()
    page.get_by_label("start its rollout").check()
    sign(page, "Grace", "the segment is too small to tell")
    page.get_by_role("button", name="Override the gate").click()
    expect(page.get_by_role("status")).to_contain_text("in the name of Grace; its rollout began")
    assert rollouts.running(served.home.platform.ledger, FRAUD) is not None
    page.get_by_role("link", name="Back to bank/card_fraud").click()
    expect(page.locator("main")).to_contain_text("overridden by Grace")


def test_dead_letters_are_replayed_and_counted_anew(page: Page, served: Any) -> None:
    """Rows that the contract of today takes land; the list shows those that are left."""
    lake = served.home.platform.lake
    before = letter_pages.count(lake, "shop", "orders")
    page.goto(f"{served.url}/dead-letters")
    page.get_by_role("link", name="shop/orders", exact=True).click()
    page.get_by_role("link", name="Replay them").click()
    expect(page.locator("main")).to_contain_text(f"{before.letters} open letters")
    sign(page, reason="the contract was mended")
    page.get_by_role("button", name="Replay them").click()
    landed = before.reasons["customer.required"]
    expect(page.get_by_role("status")).to_contain_text(f"{landed} rows of shop/orders landed")
    page.get_by_role("link", name="Back to shop/orders").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"{before.letters - landed} open")
    assert lake.read("shop/raw/orders").num_rows == landed


def test_an_alarm_is_acknowledged(page: Page, served: Any) -> None:
    """The alarm stands on, with who took it."""
    page.goto(f"{served.url}/alarms")
    page.get_by_role("link", name=re.compile("Acknowledge")).first.click()
    sign(page, "Grace", "I look at Portugal")
    page.get_by_role("button", name="Take it on").click()
    page.get_by_role("link", name="Back to Alarms").click()
    expect(page.locator(".cards")).to_contain_text("Taken on by Grace: I look at Portugal")


def test_by_keyboard_alone_a_model_is_rolled_back(page: Page, served: Any) -> None:
    """Tab and Enter lead from the model's page through the form to done; no mouse is touched."""
    page.goto(f"{served.url}/models/shop/returns", wait_until="networkidle")
    tab_to(page, lambda text: text == "Roll back")
    page.keyboard.press("Enter")
    page.wait_for_url("**/actions/roll-back*")
    tab_to(page, lambda _: page.evaluate("document.activeElement.name") == "by")
    page.keyboard.type("Ada")
    page.keyboard.press("Tab")
    page.keyboard.type("customers complain")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Take version 4 back"
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("is taken back")
    live = deployments.deployment(served.home.platform.ledger, RETURNS)
    assert live is not None
    assert live.candidate is None


def test_without_scripts_everything_still_works(chromium: Browser, served: Any) -> None:
    """Pages, forms and their outcome need no script; only pictures and what renews itself do."""
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{served.url}/models/shop/returns")
    expect(page.locator("#rollout")).to_contain_text("25 %")
    page.get_by_role("link", name="Hold the rollout").click()
    sign(page)
    page.get_by_role("button", name="Hold it").click()
    expect(page.get_by_role("status")).to_contain_text("is held")
    context.close()


def column(page: Page, table: str, place: int) -> list[str]:
    """Return the text of a column, from 0, of a table by its name."""
    cells = page.get_by_role("group", name=table, exact=True).locator(f"tbody tr > :nth-child({place + 1})")
    return [text.strip() for text in cells.all_inner_texts()]


def test_features_are_searched_filtered_sorted_and_paged(page: Page, shown: Any) -> None:
    """What the list shows follows what is chosen, and the address says it, from page to page."""
    page.goto(f"{shown.url}/features")
    page.get_by_label("Team").select_option("team_3")
    page.wait_for_url("**team=team_3**")
    assert {name.split("/")[0] for name in column(page, "Feature views", 0)} == {"team_3"}
    page.get_by_role("link", name="Rows").click()
    page.wait_for_url("**sort=rows**")
    rows = [int(re.sub(r"\D", "", text)) for text in column(page, "Feature views", 4)]
    assert rows == sorted(rows, reverse=True)
    expect(page.locator("th[aria-sort]")).to_have_attribute("aria-sort", "descending")
    page.goto(f"{shown.url}/features?size=20")
    first = column(page, "Feature views", 0)
    page.get_by_role("link", name="more →").click()
    page.wait_for_url("**start=20**")
    page.get_by_label("Search").fill("history")
    page.keyboard.press("Enter")
    page.wait_for_url("**text=history**")
    assert all("history" in name for name in column(page, "Feature views", 0))
    assert len(first) == 20


def test_models_are_filtered_sorted_and_paged(page: Page, shown: Any) -> None:
    """The same of the list of models."""
    page.goto(f"{shown.url}/models")
    first = column(page, "Models", 0)
    page.get_by_role("link", name="more →").click()
    page.wait_for_url("**start=50**")
    assert not set(first) & set(column(page, "Models", 0))
    page.get_by_role("link", name="← earlier").click()
    page.wait_for_url(re.compile("start=0"))
    assert column(page, "Models", 0) == first
    page.get_by_label("Show").select_option("frozen")
    page.wait_for_url("**show=frozen**")
    assert len(column(page, "Models", 0)) == 1


def test_letters_are_filtered_by_reason_down_to_one_row(page: Page, shown: Any) -> None:
    """A reason leaves its own letters; a letter shows its row field by field; the export is a file."""
    page.goto(f"{shown.url}/dead-letters/shop/orders")
    page.get_by_label("Reasons").get_by_role("link", name="row.malformed").click()
    page.wait_for_url("**reason=row.malformed**")
    assert set(column(page, "Letters", 3)) == {"row.malformed"}
    with page.expect_download() as found:
        page.get_by_role("link", name="Export as CSV").click()
    lines = found.value.path().read_text().splitlines()
    assert lines[0].startswith('"letter_id","reasons","customer"')
    page.locator("main table tbody a").first.click()
    expect(page.get_by_role("group", name="Fields")).to_contain_text("_malformed")


INK = """(field) => [...field.querySelectorAll("g path:not(.band)")].map((path) => {
    const box = path.getBoundingClientRect(), style = getComputedStyle(path);
    return box.width > 100 && style.stroke !== "none" && parseFloat(style.strokeWidth) > 1;
})"""


@pytest.mark.parametrize("path", ["/dead-letters", "/scorecard/lead_time_median", "/models/shop/returns"])
def test_charts_are_drawn_without_a_script(chromium: Any, shown: Any, path: str) -> None:
    """Each line has ink over the width of the field, and its figures are a page."""
    page = chromium.new_page(java_script_enabled=False)
    page.goto(shown.url + path)
    fields = page.locator(".plot .field")
    for place in range(fields.count()):
        drawn = fields.nth(place).evaluate(INK)
        assert drawn
        assert any(drawn)
    page.locator("figure a").first.click()
    expect(page.locator("main table tbody tr").first).to_be_visible()
    page.close()


def test_a_picture_is_asked_for_figures_when_it_is_pointed_at(page: Page, shown: Any) -> None:
    """None are fetched before; then it shows those of the nearest instant, and only that picture's come."""
    asked = list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{shown.url}/models/shop/returns", wait_until="networkidle")
    assert not [url for url in asked if "/charts/" in url]
    plot = page.locator(".plot[data-chart*='quality/0']")
    plot.scroll_into_view_if_needed()
    plot.hover()
    newest = json.loads(page.request.get(shown.url + str(plot.get_attribute("data-chart"))).text())["chart"]["lines"]
    expect(plot.locator(".tip")).to_contain_text("UTC")
    assert any(line["name"] in plot.locator(".tip").inner_text() for line in newest)
    assert len([url for url in asked if "/charts/" in url]) == 1
    page.mouse.move(0, 0)
    expect(plot.locator(".tip")).to_have_count(0)


def test_a_picture_is_read_by_keyboard(page: Page, shown: Any) -> None:
    """From the newest instant to the first, and what stands there is its value for who hears it; Escape ends it."""
    page.goto(f"{shown.url}/scorecard/lead_time_median", wait_until="networkidle")
    plot = page.get_by_role("slider")
    points = page.request.get(f"{shown.url}/scorecard/lead_time_median/chart.json").json()["chart"]["lines"][0][
        "points"
    ]
    tab_to(page, lambda _: bool(page.evaluate("document.activeElement.matches('.plot')")))
    expect(plot.locator(".tip")).to_contain_text(points[-1]["at"][:10])
    page.keyboard.press("Home")
    expect(plot).to_have_attribute("aria-valuenow", "0")
    expect(plot).to_have_attribute("aria-valuetext", re.compile(points[0]["at"][:10] + ".*all teams: "))
    page.keyboard.press("ArrowRight")
    expect(plot).to_have_attribute("aria-valuenow", "1")
    page.keyboard.press("Escape")
    expect(plot.locator(".tip")).to_have_count(0)


def test_figures_that_do_not_come_are_told(page: Page, shown: Any) -> None:
    """In words; the picture stands, and who points again asks again."""
    page.route("**/scorecard/lead_time_median/chart.json", lambda route: route.fulfill(status=404, json={}), times=1)
    page.goto(f"{shown.url}/scorecard/lead_time_median", wait_until="networkidle")
    plot = page.locator(".plot")
    plot.hover()
    expect(plot.locator(".tip")).to_contain_text("did not come: status 404")
    page.mouse.move(0, 0)
    plot.hover()
    expect(plot.locator(".tip")).to_contain_text("UTC")


def tab_to(page: Page, wanted: Callable[[str], bool]) -> None:
    """Press Tab until what has the focus is the wanted thing."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if wanted(page.evaluate("document.activeElement.textContent.trim()")):
            return
    pytest.fail("Tab never came there")
