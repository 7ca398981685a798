"""Every page in a real browser: on a phone, in the dark, by keyboard, by axe's rules, and under its own policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ViewportSize

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import cycles

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DESK: ViewportSize = {"width": 1280, "height": 900}
PHONES: tuple[ViewportSize, ...] = ({"width": 360, "height": 740}, {"width": 430, "height": 930})
UNSEEN = """[...document.querySelectorAll("main table")].flatMap((table) => {
    const cut = [...table.querySelectorAll("tbody :is(th, td):not(:empty)")].filter((cell) => {
        const named = cell.dataset.head || cell.scope === "row" || table.tHead.checkVisibility();
        return !cell.checkVisibility() || !named || cell.scrollWidth > cell.clientWidth + 1;
    });
    const frame = table.closest(".scroll");
    const wide = table.matches(".shades") ? 0 : frame.scrollWidth - frame.clientWidth;
    return cut.length || wide ? [`${table.caption.innerText}: ${wide} pixels, ${cut.map((one) => one.innerText)}`] : [];
})"""
"""Tables that are wider than their frames, and cells that are hidden, cut or without a name."""
CONTRAST = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
WATCHED = (
    "window.violations = []; addEventListener('securitypolicyviolation', (e) => violations.push(e.violatedDirective))"
)
TABBABLE = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']"
SEEN = f"[...document.querySelectorAll({TABBABLE!r})].filter((e) => e.checkVisibility() && e.tabIndex >= 0)"
FOCUSED = f"""(() => {{
    const here = document.activeElement, style = getComputedStyle(here);
    const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    return [{SEEN}.indexOf(here), outlined];
}})()"""
MOST = 40
PATHS = (
    "/models",
    "/models?text=nothing+is+called+so",
    "/models/shop/returns",
    "/models/shop/returns/charts/drift/0",
    "/models/shop/returns/charts/quality/0",
    "/models/shop/basket",
    "/models/shop/demand",
    "/models/bank/card_fraud",
    "/cycles",
    "{cycle}",
    "/features",
    "/features?show=retired",
    "/features/shop/spending",
    "/features/team_1/model_0001_history",
    "/teams",
    "/teams/shop",
    "/teams/pricing",
    "/dead-letters",
    "/dead-letters/shop/orders",
    "{letter}",
    "/scorecard",
    "/scorecard?scope=shop",
    "/scorecard/lead_time_median",
    "/scorecard/drills_caught",
    "/alarms",
    "/audit",
    "/actions/roll-back?model=shop/returns",
    "/actions/override?model=bank/card_fraud",
    "/actions/replay?source=shop/orders",
    "/actions/freeze?model=everything",
    "/actions/start?kind=team",
    "/nothing/is/here",
)


@pytest.fixture(scope="module")
def named(shown: Any) -> Callable[[str], str]:
    """Give a function that fills a cycle and a letter of this home into an address."""
    from fastapi.testclient import TestClient

    cycle = cycles.cycles(shown.home.platform.ledger, ModelRef("shop", "returns"))[-1].cycle_id
    asked = TestClient(shown.app, "http://127.0.0.1").get("/dead-letters/shop/orders.json").json()
    told = {"cycle": f"/cycles/{cycle}", "letter": asked["letters"][0]["path"]}
    return lambda path: path.format(**told)


@pytest.fixture
def workspace(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name a folder in which projects may begin."""
    monkeypatch.setenv("LOOPLINE_WORKSPACE", str(tmp_path))


@pytest.fixture
def opened(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Give a function that opens a window; what it says on its console fails the test."""
    contexts, said = [], []

    def window(**how: Any) -> Page:
        context = chromium.new_context(**how)
        context.add_init_script(WATCHED)
        page = context.new_page()
        page.on("console", lambda told: said.append(told.text) if told.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        contexts.append(context)
        return page

    yield window
    for context in contexts:
        context.close()
    assert [line for line in said if "status of 4" not in line] == []  # a page that is not there is one of them


def settled(page: Page, url: str) -> None:
    """Go to a page, wait for what it fetches, and open everything that is folded."""
    page.goto(url, wait_until="networkidle")
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("path", PATHS)
def test_every_page_looks_well_everywhere(opened: Callable[..., Page], shown: Any, path: str, named: Any) -> None:
    """By axe's rules no fault, by night no poor contrast; on a phone no page and no table scrolls sideways.

    Every cell of a table is seen whole there, with its column's name; and the content policy is never broken.
    """
    page = opened()
    settled(page, shown.url + named(path))
    faults = [*_axe(page, "light", None), *_axe(page, "dark", CONTRAST), *_too_wide(page)]
    assert [*faults, *page.evaluate("window.violations")] == []


def _axe(page: Page, scheme: Literal["light", "dark"], rules: dict[str, Any] | None) -> list[str]:
    page.set_viewport_size(DESK)
    page.emulate_media(color_scheme=scheme)
    found = Axe().run(page, options={"resultTypes": ["violations"], **(rules or {})}).response["violations"]
    return [f"{scheme} {one['id']}: {one['nodes'][0]['html'][:120]}" for one in found]


def _too_wide(page: Page) -> list[str]:
    found = []
    for phone in PHONES:
        page.set_viewport_size(phone)
        width = page.evaluate("document.documentElement.scrollWidth")
        found += [f"{width} pixels wide"] if width > phone["width"] else []
        found += page.evaluate(UNSEEN)
    return found


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("path", PATHS)
def test_every_control_is_reached_by_tab_and_shows_it(
    opened: Callable[..., Page], shown: Any, path: str, named: Any
) -> None:
    """Tab comes to each link, field and button in the order of the page, and each shows that it has the focus."""
    page = opened(viewport=DESK)
    page.goto(shown.url + named(path), wait_until="networkidle")
    wanted = min(page.evaluate(f"{SEEN}.length"), MOST)
    page.evaluate("document.activeElement.blur(); window.getSelection().removeAllRanges()")
    came = []
    for _ in range(wanted):
        page.keyboard.press("Tab")
        came.append(page.evaluate(FOCUSED))
    assert came == [[place, True] for place in range(wanted)]


def test_the_first_tab_skips_the_navigation(opened: Callable[..., Page], shown: Any) -> None:
    """The skip link is seen once it has the focus, and leads past the navigation."""
    page = opened(viewport=DESK)
    page.goto(shown.url + "/features", wait_until="networkidle")
    page.keyboard.press("Tab")
    box = page.locator(".skip").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
