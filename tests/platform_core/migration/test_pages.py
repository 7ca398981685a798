"""Rows that were taken move with their cursor: at the target nobody is asked for them again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loopline.platform_core.contracts.event_source import Arrival
from loopline.platform_core.errors import Refused, Unsupported
from loopline.platform_core.platform import Platform
from tests.platform_core.migration.conftest import LAPTOP, Home, install, land, move, new_home
from tests.platform_core.migration.test_move import migrate
from tests.resources.http.api import TOKEN, Api, served
from tests.s3_server import S3Server

FILES = '{vendor: folder, root: "${LOOPLINE_HOME}/landing"}'
HTTP = """{vendor: http, landing: "%s", look_seconds: 0, token: "${API_TOKEN}", storage_options: %s,
    feeds: {parcels/parcels: {url: "%s/parcels", rows: data, next: paging.next},
            parcels/prices: {url: "%s/prices", rows: data}}}"""
SOURCES = ("parcels/parcels", "parcels/prices")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, clock: Path, empty_registry: Path) -> Home:
    """Let rows land."""
    return install(tmp_path_factory.mktemp("taking"), clock, empty_registry, _happen)


def _happen(platform: Platform) -> None:
    land(platform, slice(0, 50))
    platform.close()


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """Serve a feed that goes on, and one that says how it is now."""
    monkeypatch.setenv("API_TOKEN", TOKEN)
    with served(Api({"/parcels": _pages([1, 2], [3]), "/prices": _pages([10])})) as api:
        yield api


@pytest.fixture
def asking(own_source: Home, api: Api, tmp_path: Path, clock: Path) -> Home:
    """Give the installation with sources that are asked, of which something was taken."""
    home = Home(own_source.folder, tmp_path / "asking.yaml")
    home.file.write_text(_asks(api, clock))
    _listed(home)
    api.feeds["/prices"] = _pages([99])
    _listed(home)
    return home


@pytest.fixture(params=["folder", "s3"])
def asked(request: pytest.FixtureRequest, api: Api, tmp_path: Path, clock: Path, empty_registry: Path) -> Home:
    """Give an empty environment that asks as well, and keeps pages in a folder or in an object store."""
    place = {}
    if request.param == "s3":
        store: S3Server = request.getfixturevalue("s3_server")
        place = {"landing": f"{store.place()}/landing", "options": str(store.options_in_file).replace("'", '"')}
    file = tmp_path / "asked.yaml"
    file.write_text(_asks(api, clock, **place))
    return new_home(tmp_path / "target", file, empty_registry)


def _asks(api: Api, clock: Path, landing: str = "${LOOPLINE_HOME}/landing", options: str = "{}") -> str:
    return LAPTOP.replace(FILES, HTTP % (landing, options, api.url, api.url)) % clock


def _pages(*pages: list[int]) -> list[tuple[str, list[dict[str, int]]]]:
    return [("", [{"id": each} for each in page]) for page in pages]


def _listed(home: Home) -> dict[str, list[tuple[Arrival, list[str | None]]]]:
    """List what arrived, with its ids."""
    platform = home.open()
    events = platform.event_source
    found = {
        source: [(one, events.read(source, one)["id"].to_pylist()) for one in events.arrivals(source)]
        for source in SOURCES
    }
    platform.close()
    return found


def test_pages_move_and_nobody_is_asked_from_the_beginning(asking: Home, asked: Home, api: Api) -> None:
    """Arrivals keep their ids, a feed goes on behind its cursor, and a page is held against its last answer."""
    tables = {each["table"]: each for each in migrate(asking, asked)["moved"]["tables"]}
    assert [tables[f".taken/{source}"]["newest"] for source in SOURCES] == [2, 2]
    api.asked.clear()
    assert _listed(asked) == _listed(asking)
    assert "/parcels" not in api.asked
    api.feeds["/prices"] = _pages([10])
    api.feeds["/parcels"] = _pages([1, 2], [3, 4])
    found = _listed(asked)
    assert [ids for _, ids in found["parcels/parcels"]] == [["1", "2"], ["3"], ["4"]]
    assert [ids for _, ids in found["parcels/prices"]] == [["10"], ["99"], ["10"]]


def test_a_move_goes_on_behind_what_was_taken_since(asking: Home, asked: Home, api: Api) -> None:
    """What was copied is compared, an answer that the source let go troubles nobody; a third run copies nothing."""

    def takes(what: str) -> None:
        if what == "ledger cycles":
            api.feeds["/prices"] = _pages([11])
            _listed(asking)

    with pytest.raises(Refused, match=r"went on meanwhile: table \.taken/parcels/prices"):
        move(asking, asked, takes)
    copied = {each.table: each.copied_files for each in move(asking, asked).tables}
    assert (copied[".taken/parcels/parcels"], copied[".taken/parcels/prices"]) == (0, 3)  # rows, answer, piece
    assert not any(each.copied_files for each in move(asking, asked).tables)
    assert _listed(asked) == _listed(asking)


def test_pages_that_the_target_cannot_go_on_behind_are_in_the_way(asking: Home, target: Home) -> None:
    """It asks nobody: the vendor that took them is to be bound there. Nothing was copied."""
    with pytest.raises(Unsupported, match=r"took pages of \.taken/parcels/parcels.*FolderEventSource.*land again"):
        move(asking, target)
    platform = target.open()
    assert platform.lake.tables() == []
    platform.close()
