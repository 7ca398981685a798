"""A small team signs in by accounts: one session for all servers, and what others try with it."""

from __future__ import annotations

import time
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from argon2 import PasswordHasher
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.identity import accounts
from loopline.platform_core.identity.caller import Caller
from loopline.sign_in import cookies, destination, middleware
from tests.loopline.sign_in.conftest import HTML, PAGES, PASSWORD, hidden, pages, signed_in

SESSION = cookies.SESSION
LIVE = "ws://localhost:8790/live"


def test_a_browser_is_led_to_sign_in_and_back(browser, told):
    """It gets the page that it wanted; who it is stands in the scope, and in the record."""
    led = browser.get("/models?size=5", headers=HTML)
    assert (led.status_code, led.headers["location"]) == (303, "/sign-in?next=%2Fmodels%3Fsize%3D5")
    answer = signed_in(browser, wanted="/models?size=5")
    assert (answer.status_code, answer.headers["location"]) == (303, "/models?size=5")
    assert browser.get("/models").text == "ana  False"
    assert browser.get("/sign-in", headers=HTML).headers["location"] == "/"
    entry = told()[-1]
    assert (entry.what, entry.who, entry.subject, entry.source) == ("person.signed_in", "ana", "accounts", "testclient")


def test_a_program_is_told_so_in_our_shape(browser):
    """Not led to a page: 401 with problem and fix; a script of a page is a program too."""
    for headers in ({}, {"accept": "application/json"}, {**HTML, "sec-fetch-mode": "cors"}):
        answer = browser.get("/models", headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert set(answer.json()["error"]) == {"problem", "fix"}
    assert browser.post("/models", headers=HTML).status_code == 401


def test_static_files_and_what_lives_need_no_session(desk):
    """Nothing else: not by a path that only begins like them."""
    open_to = pages(desk, open_paths=frozenset({"/health"}))
    assert open_to.get("/static/portal.css").text == open_to.get("/health").text == "nobody"
    for path in ("/staticx", "/health/more", "/sign-inx", "/sign-outs", "/sign-in/other", "/static/..%2fmodels"):
        assert open_to.get(path).status_code == 401, path


def test_the_cookie_is_the_browser_s_alone(browser, desk):
    """No script reads it, no other site's request carries it, and over TLS it goes nowhere else.

    What a proxy speaks with the browser, the environment file says.
    """
    given = [one for one in signed_in(browser).headers.get_list("set-cookie") if one.startswith(SESSION)]
    assert len(given) == 1
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in given[0].split(";")}
    assert "Secure" not in given[0]
    assert "Domain" not in given[0]
    secure = pages(desk)
    secure.base_url = PAGES.replace("http", "https")
    page = secure.get("/sign-in", headers=HTML)
    sent = {"name": "ana", "password": PASSWORD, "token": hidden(page.text, "token")}
    answer = secure.post("/sign-in", data=sent, headers={"origin": "https://localhost:8790"})
    kept = [one for one in answer.headers.get_list("set-cookie") if SESSION in one]
    assert kept[0].startswith(f"__Host-{SESSION}=")
    assert "Secure" in kept[0]
    assert secure.get("/models").text.startswith("ana")
    behind = pages(type(desk)(replace(desk.settings, https=True), desk.ledger, desk.secret))
    assert "Secure" in behind.get("/sign-in", headers=HTML).headers["set-cookie"]


def test_only_the_hash_of_a_session_is_kept(browser, ledger):
    """Who reads the database takes over nobody's session."""
    signed_in(browser)
    word = browser.cookies[SESSION]
    with ledger.reading() as connection:
        dump = "\n".join(str(row) for row in connection.exec_driver_sql("SELECT * FROM sign_in_sessions"))
    assert word not in dump
    assert word.removeprefix("lls_") not in dump
    assert "ana" in dump


def test_a_session_that_was_given_to_a_browser_is_nobody_s(browser, desk):
    """Session fixation: what stood in the cookie before is not what stands there afterwards, and is over."""
    fixed = desk.sessions.begin(Caller("mallory"))
    for planted in ("lls_known-to-mallory", fixed):
        browser.cookies.set(SESSION, planted, domain="localhost.local", path="/")
        assert browser.get("/sign-in", headers=HTML).status_code in {200, 303}
        browser.cookies.clear()
        page = browser.get("/sign-in", headers=HTML)
        browser.cookies.set(SESSION, planted, domain="localhost.local", path="/")
        sent = {"name": "ana", "password": PASSWORD, "token": hidden(page.text, "token")}
        answer = browser.post("/sign-in", data=sent, headers={"origin": PAGES})
        new = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
        assert answer.status_code == 303
        assert new != planted
        assert desk.sessions.caller(planted) is None
        assert desk.sessions.caller(new).name == "ana"
        browser.cookies.clear()


def test_nobody_is_signed_in_as_somebody_else_unawares(browser, desk):
    """Login CSRF: a form needs the browser's own cookie and its token, and comes from our own page."""
    page = browser.get("/sign-in", headers=HTML)
    sent = {"name": "ben", "password": PASSWORD, "token": hidden(page.text, "token")}
    stranger = pages(desk)
    for asked, given, headers in (
        (stranger, sent, {"origin": PAGES}),  # without the cookie
        (browser, {**sent, "token": ""}, {"origin": PAGES}),
        (browser, {**sent, "token": "0" * 64}, {"origin": PAGES}),
        (browser, sent, {"origin": "http://evil.example"}),
        (browser, sent, {"sec-fetch-site": "cross-site"}),
        (browser, sent, {"host": "evil.example"}),
    ):
        answer = asked.post("/sign-in", data=given, headers=headers)
        assert answer.status_code == 403
        assert SESSION not in answer.headers.get("set-cookie", "")
    other = pages(desk)
    other.get("/sign-in", headers=HTML)
    assert other.post("/sign-in", data=sent, headers={"origin": PAGES}).status_code == 403  # another browser's token
    assert browser.post("/sign-in", data=sent, headers={"origin": PAGES}).status_code == 303


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "/\t/evil.example",
        "///evil.example",
        "javascript:alert(1)",
        "/%0d%0aset-cookie: a=b\r\n",
        "http:evil.example",
        "/sign-out",
        "/sign-in/callback",
        "",
        "evil",
        "/x\\y",
        "/" + "a" * 3000,
    ],
)
def test_who_signs_in_stays_on_this_server(browser, wanted):
    """An address that somebody sent leads to no other site, whatever browsers make of it."""
    answer = signed_in(browser, wanted=wanted)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    assert destination.safe(wanted) == "/"


def test_a_page_with_a_query_is_come_back_to(browser):
    """Also one that holds what looks like an address."""
    for wanted in ("/models", "/models?a=1&b=https://x.example", "/a//b", "/models#x"):
        answer = signed_in(browser, wanted=wanted)
        assert urlsplit(answer.headers["location"]).netloc == ""
        assert answer.headers["location"] == wanted
        browser.cookies.clear()


def test_a_wrong_password_and_an_unknown_name_are_the_same_to_who_asks(browser, told):
    """In word, status and time; the record tells them apart, and does not keep what was typed as a name."""
    wrong, unknown = signed_in(browser, password="another password"), signed_in(browser, name="hunter2 hunter2")
    assert (wrong.status_code, unknown.status_code) == (403, 403)
    assert hidden(wrong.text, "next") == hidden(unknown.text, "next")
    assert wrong.text.replace('value="ana"', "") == unknown.text.replace('value="hunter2 hunter2"', "")
    failed = [(one.what, one.who, one.reason, one.outcome) for one in told()]
    assert failed == [
        ("person.sign_in_failed", "ana", "wrong password", "denied"),
        ("person.sign_in_failed", "somebody", "no such account", "denied"),
    ]


def test_an_unknown_name_costs_as_much(desk, monkeypatch):
    """Processor time, for the wall's is others' too: nobody learns by it who has an account."""
    file, real = desk.settings.accounts, PasswordHasher(time_cost=2, memory_cost=16_384)
    monkeypatch.setattr(accounts, "hasher", lambda: real)
    accounts._of_nobody.cache_clear()
    accounts.change(file, "ana", PASSWORD)

    def cost(name: str) -> float:
        begun = time.process_time()
        accounts.verify(file, name, "wrong wrong wrong")
        return time.process_time() - begun

    accounts.verify(file, "ana", "x")  # the hash of nobody is made once
    known, unknown = min(cost("ana") for _ in range(3)), min(cost("nobody") for _ in range(3))
    assert 0.5 < known / unknown < 2
    assert unknown > 0.003
    accounts._of_nobody.cache_clear()


def test_who_guesses_is_slowed_down(browser, desk, told):
    """After five of one address at one name even the right password waits; others do not, and it is not for ever."""
    for _ in range(5):
        assert signed_in(browser, password="wrong wrong wrong").status_code == 403
    refused = signed_in(browser)
    assert refused.status_code == 429
    assert "quarter of an hour" in refused.text
    assert signed_in(browser, name="ANA").status_code == 429  # it is one name
    assert signed_in(browser, name="ben").status_code == 303
    assert len(told()) == 6  # five that failed, and ben: what is not even tried is no entry
    later = pages(desk)
    object.__setattr__(desk.attempts, "now", lambda: time.time() + 901)
    assert signed_in(later).status_code == 303


def test_who_signs_out_is_signed_out_everywhere(desk, told, monkeypatch):
    """At every server that reads the same ledger; the form of the session's own page does it, and no link."""
    other = type(desk)(desk.settings, desk.ledger)
    browser, dagster = pages(desk), pages(other)
    signed_in(browser)
    word = browser.cookies[SESSION]
    cookie = {"cookie": f"{SESSION}={word}"}
    assert dagster.get("/runs", headers=cookie).text.startswith("ana")
    page = browser.get("/sign-out", headers=HTML)
    assert browser.get("/models").status_code == 200  # to look at it ends nothing
    for given in ({}, {"token": "0" * 64}):
        assert browser.post("/sign-out", data=given, headers={"origin": PAGES}).status_code == 403
    left = browser.post("/sign-out", data={"token": hidden(page.text, "token")}, headers={"origin": PAGES})
    assert left.status_code == 200
    assert "Max-Age=0" in left.headers["set-cookie"]
    assert browser.get("/models", headers=cookie).status_code == 401
    other.monotonic = lambda: time.monotonic() + 3
    assert dagster.get("/runs", headers=cookie).status_code == 401
    assert [one.what for one in told()] == ["person.signed_in", "person.signed_out"]


def test_a_session_ends_by_itself(desk):
    """When nobody used it, and at the latest after its time; who uses it keeps it until then."""
    now = [1_000_000.0]
    sessions = replace(desk.sessions, now=lambda: now[0])
    idle, used = sessions.begin(Caller("ana")), sessions.begin(Caller("ben"))
    for _ in range(12):
        now[0] += 3500
        assert sessions.caller(used).name == "ben"
        assert sessions.caller(used, used=False) is not None
    assert sessions.caller(idle) is None
    now[0] += 1300
    assert sessions.caller(used) is None, "it was used a moment ago, and its time is over"
    watched = sessions.begin(Caller("eve"))
    for _ in range(3):
        now[0] += 1300
        sessions.caller(watched, used=False)
    assert sessions.caller(watched) is None, "who only looks on keeps no session"


def test_who_has_no_account_any_more_has_no_session(browser, desk):
    """Also where the file was changed by hand."""
    signed_in(browser)
    assert browser.get("/models").status_code == 200
    accounts.remove(desk.settings.accounts, "ana")
    desk.monotonic = lambda: time.monotonic() + 3
    assert browser.get("/models").status_code == 401


@pytest.mark.parametrize("change", [
    lambda file: accounts.change(file, "ana", "another few words"),
    lambda file: accounts.remove(file, "ana"),
])  # fmt: skip
def test_no_session_comes_of_a_password_that_was_changed_meanwhile(desk, browser, monkeypatch, change):
    """Whoever knows the old one signs in again and again: one of these would outlive the end of all sessions."""
    verify = accounts.verify

    def verified(file, name, password):
        was = verify(file, name, password)
        change(file)
        desk.sessions.end_all("ana")
        return was

    monkeypatch.setattr(accounts, "verify", verified)
    answer = signed_in(browser)
    assert answer.status_code == 403
    assert SESSION not in answer.headers.get("set-cookie", "")
    assert desk.sessions.end_all("ana") == 0


def test_a_websocket_lives_as_long_as_its_session(browser, desk, monkeypatch):
    """It is not opened without one, and closed within seconds when it ends."""
    monkeypatch.setattr(middleware, "HELD_SECONDS", 0.05)
    with pytest.raises(WebSocketDisconnect), browser.websocket_connect(LIVE):
        pass
    signed_in(browser)
    word = browser.cookies[SESSION]
    with browser.websocket_connect(LIVE, headers={"cookie": f"{SESSION}={word}"}) as socket:
        assert socket.receive_text() == "ana"
        time.sleep(0.3)  # several looks, of which nobody is told
        socket.send_text("still here")
        assert socket.receive_text() == "still here"
        desk.sign_out(word, "")
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
        assert closed.value.code == 1008


def test_a_session_s_word_is_a_program_s_token(browser):
    """What ``loopline login`` got may be sent as a bearer's; with a token that is not taken no cookie helps."""
    signed_in(browser)
    word = browser.cookies[SESSION]
    stranger = TestClient(browser.app, PAGES)
    assert stranger.get("/models", headers={"authorization": f"Bearer {word}"}).text.startswith("ana")
    for wrong in ("Bearer lls_other", "Basic YTpi", "Bearer ", f"bearer{word}", "Bearer a.b.c"):
        assert browser.get("/models", headers={"authorization": wrong}).status_code == 401


def test_other_sites_read_nothing(browser):
    """CORS is closed: no answer lets another origin's script read it."""
    signed_in(browser)
    for path in ("/models", "/sign-in", "/sign-out"):
        answer = browser.get(path, headers={"origin": "http://evil.example"})
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert browser.options(path, headers={"origin": "http://evil.example"}).status_code in {401, 403, 404, 405}


def test_the_pages_run_no_script_and_are_framed_by_nobody(browser):
    """Whatever is typed in comes back as text."""
    answer = signed_in(browser, name='"><script>alert(1)</script>')
    assert "<script" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert "unsafe" not in policy


def test_a_ledger_that_is_away_lets_nobody_in(browser, desk, monkeypatch):
    """503, and not a page; a websocket that is open goes on meanwhile."""
    signed_in(browser)
    desk.monotonic = lambda: time.monotonic() + 3
    desk.ledger.close()

    def away(*_, **__):
        raise StoreUnavailable("the ledger did not answer", "look at it")

    monkeypatch.setattr(type(desk.sessions), "caller", away)
    assert browser.get("/models", headers=HTML).status_code == 503
