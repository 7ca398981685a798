"""``loopline conformance`` as a platform engineer runs it: by processes of its own, on vendors as they are bound."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
import redis

from tests.loopline.conformance.conftest import Place

Verdicts = Callable[[dict[str, Any]], dict[int, str]]


def test_what_is_kept_is_told_and_nothing_is_left(place: Place, verdicts: Verdicts) -> None:
    """On vendors of the laptop's file: every promise is kept, and the home is as it was."""
    store = {"vendor": "sqlite", "path": "${LOOPLINE_HOME}/deep/online.db"}
    source = {"vendor": "folder", "root": "${LOOPLINE_HOME}/landing"}
    before = place.files()
    code, said = place.held(place.file("laptop", online_store=store, event_source=source))
    assert (code, said["well"]) == (0, True)
    assert verdicts(said) == dict.fromkeys(range(1, 12), "kept")
    assert [held["contract"] for held in said["held"]] == ["online_store", "event_source"]
    assert {promise["verdict"] for promise in said["held"][1]["promises"]} == {"kept"}
    assert said["place"] in said["held"][0]["place"]["path"]
    assert said["held"][0]["calls"]["write"] > 20
    assert place.files() == before


def test_a_broken_promise_is_named_in_our_words(place: Place, verdicts: Verdicts) -> None:
    """By number, words, and the line of the kit; the others are tried all the same, and all is cleaned up."""
    before = place.files()
    code, said = place.held(place.shelf("OldestWins"))
    assert (code, said["well"]) == (1, False)
    assert verdicts(said)[3] == "broken"
    assert verdicts(said)[4] == "kept"
    promise = said["held"][0]["promises"][2]
    assert promise["words"].startswith("A write never replaces a row whose event time is newer")
    [broken] = [tried for tried in promise["tried"] if tried["verdict"] == "broken"]
    assert broken["where"].startswith("online_store.py:")
    assert broken["why"].startswith("assert store.read(")
    assert place.files() == before


def test_the_last_run_stands_beside_the_plugin(place: Place) -> None:
    """Counts of promises and the kit's release, once it ran; a run of another release of the plugin is called that."""
    assert re.search(r"^bent +1 +vendor +online_store.NoReplacing +not tested here +-$", place.plugins(), re.MULTILINE)
    place.held(place.shelf("NoReplacing"))
    counts = rf"9 kept, 2 not claimed +{version('loopline')} on 20\d\d-\d\d-\d\d$"
    assert re.search(rf"^bent +1 +vendor +online_store.NoReplacing +{counts}", place.plugins(), re.MULTILINE)
    (metadata,) = place.site.glob("*.dist-info/METADATA")
    metadata.write_text(metadata.read_text().replace("Version: 1", "Version: 2"))
    assert "9 kept, 2 not claimed, of release 1" in place.plugins()
    listed = {one["name"]: one for one in json.loads(place.plugins("--output", "json"))["plugins"]}
    one = listed["online_store.NoReplacing"]
    assert (one["distribution"], one["release"], one["record"]["release"]) == ("bent", "2", "1")
    assert one["record"]["promises"]["10"] == "not claimed"
    assert listed["retail"]["brings"] == "team"
    assert "online_store.sqlite" not in listed
    assert "online_store.sqlite" in place.plugins("--all")


def test_what_is_not_claimed_is_not_broken(place: Place, verdicts: Verdicts) -> None:
    """What the vendor refuses as unsupported is told with what to use instead."""
    code, said = place.held(place.shelf("NoReplacing"))
    assert code == 0
    assert {number for number, verdict in verdicts(said).items() if verdict == "not claimed"} == {10, 11}
    assert "refill" in said["held"][0]["promises"][9]["tried"][0]["why"]


def test_a_vendor_without_places_is_left_out(place: Place) -> None:
    """It is told so, nothing is tried, and only who asked for it by name is told that nothing was shown."""
    file = place.shelf("Fixed")
    code, said = place.held(file)
    assert (code, said["held"][0]["promises"]) == (0, [])
    assert "cannot be set apart" in said["held"][0]["left_out"]
    assert place.held(file, "--contract", "online_store")[0] == 1


def test_an_error_of_a_library_breaks_what_it_breaks(place: Place, verdicts: Verdicts) -> None:
    """The others are kept."""
    code, said = place.held(place.shelf("Failing"))
    assert code == 1
    assert {number for number, verdict in verdicts(said).items() if verdict == "broken"} == {7}
    assert said["held"][0]["promises"][6]["tried"][0]["why"] == "RuntimeError: the shelf fell"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_killed_run_left_goes_with_the_next(place: Place, how: signal.Signals) -> None:
    """Killed it leaves its place and a note of it; another environment's run names it, its own clears it away."""
    before = place.files()
    run = place.start(place.shelf("Slow"))
    end = time.monotonic() + 300
    while not list(place.home.glob("shelf/*/writing")):
        assert time.monotonic() < end
        time.sleep(0.05)  # between two looks
    os.kill(run.pid, how)
    run.communicate()
    if how == signal.SIGTERM:
        assert place.files() == before
        return
    [note] = place.home.glob("conformance/loopline-kit-*.json")
    name = note.stem
    assert place.home.joinpath("shelf", name).is_dir()
    other = place.file("other", engine={"vendor": "polars"})
    code, said = place.held(other)
    assert (code, said["cleared"]) == (1, [])
    assert name in said["left"][0]
    place.shelf("Slow").write_text(place.shelf("Fixed").read_text().replace("Fixed", "NoReplacing"))
    code, said = place.held(place.home.parent / "Slow.yaml")
    assert (code, said["cleared"], said["left"]) == (0, [name], [])
    assert place.files() == before


def test_a_contract_that_is_not_bound_is_refused(place: Place) -> None:
    """With those that are."""
    code, said = place.held(place.shelf("Fixed"), "--contract", "lake")
    assert (code, said["fix"]) == (1, "bound are online_store")


def test_on_a_real_redis_other_keys_stay(place: Place, redis_server: Any, verdicts: Verdicts) -> None:
    """Every key of the run has a prefix of its own, and is gone; those of others are as they were."""
    client = redis.Redis.from_url(redis_server.url)
    client.set("loopline:team.view.v1:7", b"own")
    client.set("loopline-kit-mine", b"own")
    before = sorted(client.keys())
    file = place.file("servers", online_store={"vendor": "redis", "url": redis_server.url})
    code, said = place.held(file)
    assert code == 0
    assert set(verdicts(said).values()) == {"kept"}
    assert sorted(client.keys()) == before
    client.delete("loopline:team.view.v1:7", "loopline-kit-mine")
    client.close()
