"""Sessions, those on their way, and attempts: on SQLite and on PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from loopline.platform_core.errors import BadRequest, Overloaded
from loopline.platform_core.identity import started as way
from loopline.platform_core.identity.attempts import MOST_OF_ADDRESS, MOST_OF_BOTH, MOST_OF_NAME, Attempts
from loopline.platform_core.identity.caller import Caller
from loopline.platform_core.identity.sessions import Sessions
from loopline.platform_core.identity.started import Started
from loopline.platform_core.loop.ledger.ledger import Ledger

NOW = 1_800_000_000.0


@pytest.fixture
def ledger(url):
    """Open a ledger on each database."""
    opened = Ledger.open(url)
    yield opened
    opened.close()


def test_a_session_gives_back_who_began_it(ledger):
    """With its groups, its issuer, and a name of the session's own; an unknown word is nobody's."""
    sessions = Sessions(ledger, 60, 600, lambda: NOW)
    word = sessions.begin(Caller("ana", frozenset({"b", "a"}), service=True, issuer="https://id"), "token")
    found = sessions.caller(word)
    assert found == replace(Caller("ana", frozenset({"a", "b"}), True, "https://id"), session=found.session)
    assert found.session
    assert found.session not in word
    assert sessions.caller(word + "x") is None
    assert sessions.caller("") is None
    ended = sessions.end(word)
    assert (ended.caller.name, ended.id_token) == ("ana", "token")
    assert sessions.caller(word) is None
    assert sessions.end(word) is None


def test_what_is_over_goes_with_the_next_that_begins(ledger):
    """Nothing is left of it; what is not over stays."""
    before, now = Sessions(ledger, 60, 600, lambda: NOW), Sessions(ledger, 60, 600, lambda: NOW + 61)
    before.begin(Caller("idle"))
    stays = before.lasting(3600).begin(Caller("platform"))
    now.begin(Caller("ana"))
    with ledger.reading() as connection:
        names = [row[0] for row in connection.exec_driver_sql("SELECT name FROM sign_in_sessions ORDER BY name")]
    assert names == ["ana", "platform"]
    assert now.caller(stays) is not None


def test_all_sessions_of_a_person_end_and_nobody_else_s(ledger):
    """Not those of who has the same name elsewhere."""
    sessions = Sessions(ledger, 60, 600, lambda: NOW)
    mine = [sessions.begin(Caller("ana")) for _ in range(2)]
    others = [sessions.begin(Caller("ben")), sessions.begin(Caller("ana", issuer="https://id"))]
    assert sessions.end_all("ana") == 2
    assert [sessions.caller(word) is None for word in (*mine, *others)] == [True, True, False, False]


def test_who_is_on_the_way_comes_back_once(ledger):
    """By the browser that began; of several that come back at once one does."""
    on_way = Started(ledger, lambda: NOW)
    state, kept = on_way.begin("browser", "/models")
    for wrong in ((state, "other"), ("other", "browser"), (state, ""), ("", "")):
        with pytest.raises(BadRequest) as refused:
            on_way.take(*wrong)
        assert refused.value.status == 403

    def come_back(_):
        try:
            return on_way.take(state, "browser")
        except BadRequest:
            return None

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(come_back, range(4)))
    assert sorted(found, key=bool) == [None, None, None, kept]
    assert kept.destination == "/models"


def test_they_do_not_fill_the_table(ledger, monkeypatch):
    """Whoever begins needs no right to; what is old goes."""
    monkeypatch.setattr(way, "MOST", 3)
    on_way = Started(ledger, lambda: NOW)
    for _ in range(3):
        on_way.begin("browser", "/")
    with pytest.raises(Overloaded):
        on_way.begin("browser", "/")
    assert Started(ledger, lambda: NOW + way.LASTS_SECONDS).begin("browser", "/")


def test_attempts_are_counted_before_they_are_made(ledger):
    """So many at once as one after the other."""
    attempts = Attempts(ledger, lambda: NOW)

    def attempt(_):
        try:
            attempts.take("ana", "10.0.0.1")
        except BadRequest:
            return 0
        return 1

    with ThreadPoolExecutor(MOST_OF_BOTH * 2) as pool:
        assert sum(pool.map(attempt, range(MOST_OF_BOTH * 2))) == MOST_OF_BOTH


def test_attempts_are_bounded_by_name_and_by_address(ledger):
    """Whoever has many addresses, or tries many names; who succeeded begins anew, and time forgets."""
    attempts = Attempts(ledger, lambda: NOW)
    for number in range(MOST_OF_NAME):
        attempts.take("ana", f"10.0.0.{number}")
    with pytest.raises(BadRequest):
        attempts.take("Ana", "10.0.1.1")
    for number in range(MOST_OF_ADDRESS):
        attempts.take(f"name{number}", "10.0.2.1")
    with pytest.raises(BadRequest) as refused:
        attempts.take("another", "10.0.2.1")
    assert refused.value.status == 429
    for _ in range(MOST_OF_BOTH):
        attempts.take("ben", "10.0.3.1")
    attempts.forget("BEN", "10.0.3.1")
    attempts.take("ben", "10.0.3.1")
    later = Attempts(ledger, lambda: NOW + 901)
    later.take("ana", "10.0.1.1")
