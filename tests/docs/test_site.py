"""The documentation site, built once: no dead link, what GitHub shows, search, axe, day and night, desk and phone."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
DOCS, SITE = ROOT / "docs", ROOT / "build" / "site"
LOOKED_AT = ("", "tutorials/your-first-team/", "how-to/on-call/", "reference/contracts/", "architecture/")
WIDTHS = (1280, 360)
COMPARED = ("h1", "h2", "h3", "h4", "ul", "ol", "li", "table", "tr", "pre", "img")


class Html(HTMLParser):
    """What a page links to, what can be linked to in it, and how often each element is in its article."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.elements: Counter[str] = Counter()
        self._in_article = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take notes of an element."""
        given = dict(attrs)
        self._in_article |= tag == "article"
        self.elements[tag] += self._in_article
        self.ids.add(given.get("id") or "")
        self.links += [link for name in ("href", "src") if (link := given.get(name))]

    def handle_endtag(self, tag: str) -> None:
        """Leave the article."""
        self._in_article &= tag != "article"


@pytest.fixture(scope="module")
def pages() -> dict[Path, Html]:
    """Build the site, and read each of its pages but the one for what is not there."""
    made = subprocess.run(["make", "docs"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    return {path: Html(path.read_text(encoding="utf-8")) for path in SITE.rglob("*.html") if path.name != "404.html"}


@pytest.fixture(scope="module")
def address(pages: dict[Path, Html]) -> Iterator[str]:
    """Serve it."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=SITE))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture
def page(chromium: Browser, address: str) -> Iterator[Page]:
    """Open a window; what it says on its console fails the test, and so does a request to anybody else."""
    said: list[str] = []
    context = chromium.new_context()
    window = context.new_page()
    window.on("console", lambda told: said.append(told.text) if told.type in {"error", "warning"} else None)
    window.on("pageerror", lambda error: said.append(str(error)))
    ours = (address, "data:", "blob:")
    window.on("request", lambda asked: None if asked.url.startswith(ours) else said.append(asked.url))
    yield window
    context.close()
    assert said == []


def test_no_internal_link_is_dead(pages):
    """Each leads to a file of the site, and its anchor to an element there."""
    dead = []
    for path, html in pages.items():
        for link in html.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(parts.fragment)
            if not target.is_file() or (anchor and target in pages and anchor not in pages[target].ids):
                dead.append(f"{path.relative_to(SITE)}: {link}")
    assert dead == []


def test_a_page_has_the_headings_lists_tables_and_code_that_github_shows(pages):
    """Python-Markdown reads lists by another rule than CommonMark, for which pages are written."""
    reader, differ = MarkdownIt("commonmark").enable("table"), {}
    sources = [path for path in DOCS.rglob("*.md") if path != DOCS / "README.md"]
    for source in sources:
        path = source.relative_to(DOCS).with_suffix("")
        built = pages[SITE / (path.parent if path.name == "README" else path) / "index.html"].elements
        tokens = reader.parse(source.read_text(encoding="utf-8"))
        inline = [child for token in tokens for child in token.children or ()]
        meant = Counter(token.tag for token in [*tokens, *inline] if token.nesting >= 0)
        meant["pre"] = sum(token.type in {"fence", "code_block"} for token in tokens)
        wrong = {tag: (meant[tag], built[tag]) for tag in COMPARED if meant[tag] != built[tag]}
        differ |= {str(path): wrong} if wrong else {}
    assert len(sources) > 200
    assert differ == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", LOOKED_AT)
def test_a_page_is_accessible_and_fits(page, address, path, width, scheme):
    """By axe's rules no fault; nothing but code and tables, each in a frame of its own, scrolls sideways."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.goto(address + path, wait_until="load")
    assert page.evaluate("document.body.dataset.mdColorScheme") == {"light": "default", "dark": "slate"}[scheme]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]] == []


def test_search_finds_a_page_by_its_words(page, address):
    """What is typed leads to the page that is called so."""
    page.goto(address, wait_until="load")
    page.locator(".md-search__button").click()
    page.get_by_role("combobox", name="Search").fill("read a drift alarm")
    page.get_by_role("option").filter(has_text="Read a drift alarm").first.click()
    page.wait_for_url("**/how-to/read-a-drift-alarm/**")
