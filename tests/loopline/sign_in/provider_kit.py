"""What signing in at a provider must be, whichever it is: subclass it and give ``provider``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from loopline.platform_core.audit.entry import AuditEntry
from loopline.platform_core.errors import BadRequest, Denied, Refused
from loopline.platform_core.identity.sessions import digest
from loopline.platform_core.identity.tables import sessions
from loopline.platform_core.loop.ledger.ledger import Ledger
from loopline.sign_in import command, cookies, device
from loopline.sign_in.command import Command
from loopline.sign_in.desk import Desk
from loopline.sign_in.issuer import AGAIN_SECONDS, TokenInvalid
from loopline.sign_in.kept import Kept
from tests.loopline.sign_in.conftest import HTML, PAGES, at_provider, hidden, pages, served
from tests.loopline.sign_in.providers import Browser, Running, service_token

CALLBACK = f"{PAGES}/sign-in/callback"
Told = Callable[[], list[AuditEntry]]
"""Reads the audit's record."""


class ProviderKit:
    """A person and a service sign in, and what others try with it."""

    @pytest.fixture
    def provider(self) -> Running:
        """Give a provider that runs."""
        raise NotImplementedError

    @pytest.fixture
    def desk(self, ledger: Ledger, provider: Running) -> Desk:
        """Ask by it."""
        return at_provider(ledger, provider)

    @pytest.fixture
    def browser(self, desk: Desk) -> TestClient:
        """Ask our pages as a browser."""
        return pages(desk)

    @pytest.fixture
    def asked(self, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
        """Give the command line, with a configuration of its own."""
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        command._held.clear()
        yield Command(desk, Kept.of(desk.settings))
        command._held.clear()

    def arrives(self, browser: TestClient, provider: Running, wanted: str = "/models?a=1") -> str:
        """Begin at our pages and sign in at the provider; returns the address that it sends the browser to."""
        away = browser.get("/sign-in", params={"next": wanted}, headers=HTML)
        assert away.status_code == 303
        return Browser().to_us(away.headers["location"], provider.person)

    def test_a_person_signs_in_once_for_all_pages(
        self, browser: TestClient, provider: Running, desk: Desk, told: Told
    ) -> None:
        """With the groups that the provider says; Dagster's pages are the same session's."""
        back = browser.get(self.arrives(browser, provider), headers=HTML)
        assert (back.status_code, back.headers["location"]) == (303, "/models?a=1")
        assert browser.get("/models").text == f"{provider.person} {provider.group} False"
        word = browser.cookies[cookies.SESSION]
        dagster = pages(Desk(desk.settings, desk.ledger))
        assert dagster.get("/runs", headers={"cookie": f"{cookies.SESSION}={word}"}).text.startswith(provider.person)
        assert [(one.what, one.who, one.subject) for one in told()] == [
            ("person.signed_in", provider.person, provider.issuer)
        ]

    def test_the_challenge_is_s256_and_all_of_it_new_each_time(self, browser: TestClient) -> None:
        """State, nonce and challenge are never the same twice."""
        asked = [_query(browser.get("/sign-in", headers=HTML).headers["location"]) for _ in range(2)]
        for one in asked:
            assert one["code_challenge_method"] == "S256"
            assert one["response_type"] == "code"
            assert one["redirect_uri"] == CALLBACK
        for name in ("state", "nonce", "code_challenge"):
            assert asked[0][name] != asked[1][name]
            assert len(asked[0][name]) >= 43

    def test_the_provider_holds_to_the_challenge(self, provider: Running, desk: Desk) -> None:
        """A code is worth nothing to who has no verifier."""
        assert desk.provider is not None
        state, way = desk.started.begin("browser", "/")
        code = _query(Browser().to_us(desk.provider.address(CALLBACK, state, way.nonce, way.verifier), provider.person))
        with pytest.raises(TokenInvalid):
            desk.provider.arrived(CALLBACK, code["code"], way.nonce, "another verifier " * 4)

    def test_who_comes_back_is_who_began(self, browser: TestClient, provider: Running, desk: Desk, told: Told) -> None:
        """Login CSRF: a code of somebody else's sign-in is not taken, in whichever browser; nor one without state."""
        where = self.arrives(browser, provider)
        victim = pages(desk)
        victim.get("/sign-in", headers=HTML)  # it has begun a sign-in of its own
        query = _query(where)
        for asked, params in (
            (victim, query),
            (pages(desk), query),
            (browser, {**query, "state": "another"}),
            (browser, {"code": query["code"]}),
        ):
            answer = asked.get("/sign-in/callback", params=params, headers=HTML)
            assert answer.status_code == 403
            assert cookies.SESSION not in answer.headers.get("set-cookie", "")
        assert told() == []
        assert browser.get(where, headers=HTML).status_code == 303

    def test_state_and_code_are_taken_once(self, browser: TestClient, provider: Running, desk: Desk) -> None:
        """A second time neither by the same browser, nor the code with another state."""
        where = self.arrives(browser, provider)
        kept = dict(browser.cookies)
        assert browser.get(where, headers=HTML).status_code == 303
        again = pages(desk)
        again.cookies.update(kept)
        assert again.get(where, headers=HTML).status_code == 403
        fresh = _query(again.get("/sign-in", headers=HTML).headers["location"])["state"]
        replayed = again.get(
            "/sign-in/callback", params={**_query(where), "state": fresh, "iss": provider.issuer}, headers=HTML
        )
        assert replayed.status_code in {401, 403}
        assert cookies.SESSION not in replayed.headers.get("set-cookie", "")

    def test_a_sign_in_that_took_too_long_is_over(self, desk: Desk) -> None:
        """After ten minutes."""
        state, _ = desk.started.begin("browser", "/")
        object.__setattr__(desk.started, "now", lambda: time.time() + 601)
        with pytest.raises(BadRequest, match="took too long"):
            desk.started.take(state, "browser")

    def test_an_id_token_of_another_sign_in_is_not_taken(self, provider: Running, desk: Desk) -> None:
        """The nonce binds it to this one."""
        assert desk.provider is not None
        state, way = desk.started.begin("browser", "/")
        code = _query(Browser().to_us(desk.provider.address(CALLBACK, state, way.nonce, way.verifier), provider.person))
        with pytest.raises(TokenInvalid, match="another sign-in"):
            desk.provider.arrived(CALLBACK, code["code"], "another nonce", way.verifier)

    def test_a_session_that_was_there_before_is_over(self, browser: TestClient, provider: Running, desk: Desk) -> None:
        """Session fixation, by the provider's way too."""
        where = self.arrives(browser, provider)
        browser.cookies.set(cookies.SESSION, "lls_planted", domain="localhost.local", path="/")
        answer = browser.get(where, headers=HTML)
        assert answer.status_code == 303
        assert "lls_planted" not in answer.headers["set-cookie"]
        assert desk.sessions.caller("lls_planted") is None

    def test_another_provider_s_answer_is_not_taken(self, browser: TestClient, provider: Running) -> None:
        """RFC 9207: it says who it is."""
        query = _query(self.arrives(browser, provider))
        answer = browser.get("/sign-in/callback", params={**query, "iss": "https://evil.example"}, headers=HTML)
        assert answer.status_code == 403

    def test_who_is_turned_back_is_written_down(self, browser: TestClient, told: Told) -> None:
        """Once, for the browser that began."""
        state = _query(browser.get("/sign-in", headers=HTML).headers["location"])["state"]
        for _ in range(2):
            answer = browser.get(
                "/sign-in/callback", params={"state": state, "error": "<b>access_denied"}, headers=HTML
            )
            assert answer.status_code == 403
            assert "<b>" not in answer.text
        assert [(one.what, one.outcome) for one in told()] == [("person.sign_in_failed", "denied")]

    def test_who_signs_out_does_so_at_the_provider_too(
        self, browser: TestClient, provider: Running, desk: Desk
    ) -> None:
        """The provider takes the address, and asks for the password again afterwards."""
        person = Browser()
        away = browser.get("/sign-in", headers=HTML).headers["location"]
        browser.get(person.to_us(away, provider.person), headers=HTML)
        again = _query(browser.get("/sign-out", headers=HTML).headers.get("location", ""))
        assert again == {}
        page = browser.get("/sign-out", headers=HTML)
        left = browser.post("/sign-out", data={"token": hidden(page.text, "token")}, headers={"origin": PAGES})
        assert browser.get("/models").status_code == 401
        where = left.text.partition("url=")[2].partition('"')[0].replace("&amp;", "&")
        assert where.startswith(provider.issuer)
        assert "id_token_hint=" in where
        assert person.to_us(where, provider.person).startswith(f"{PAGES}/sign-out")
        asked_again = person.get(browser.get("/sign-in", headers=HTML).headers["location"])
        while "location" in asked_again.headers and not asked_again.headers["location"].startswith(PAGES):
            asked_again = person.get(str(httpx.URL(str(asked_again.url)).join(asked_again.headers["location"])))
        assert "password" in asked_again.text, "the provider still knows the browser"

    def test_who_signs_out_at_the_provider_is_signed_out_here(self, provider: Running, desk: Desk, told: Told) -> None:
        """That session alone, wherever it was used: another browser's goes on, and nobody of ours was asked for it."""
        with served(desk, provider.heard):
            browsers = [(Browser(), pages(desk)) for _ in range(2)]
            for person, ours in browsers:
                away = ours.get("/sign-in", headers=HTML).headers["location"]
                ours.get(person.to_us(away, provider.person), headers=HTML)
                assert ours.get("/models").text.startswith(provider.person)
            (person, ours), (_, another) = browsers
            assert desk.provider is not None
            with desk.ledger.reading() as connection:
                word = ours.cookies[cookies.SESSION]
                token = connection.scalar(select(sessions.c.id_token).where(sessions.c.digest == digest(word)))
            person.to_us(desk.provider.sign_out(token, f"{PAGES}/sign-out"), provider.person)
            assert ours.get("/models").status_code == 401
            assert another.get("/models").text.startswith(provider.person)
        last = told()[-1]
        assert (last.what, last.who, last.reason) == ("person.signed_out", provider.person, "at the provider")

    def test_a_service_shows_its_token(self, browser: TestClient, provider: Running) -> None:
        """By client credentials; it is a service, and needs no session."""
        token = service_token(provider)
        answer = browser.get("/models", headers={"authorization": f"Bearer {token}"})
        assert answer.text.split()[0] == "ci"
        assert answer.text.endswith("True")

    def test_a_token_that_is_meant_for_others_is_not_taken(self, provider: Running, ledger: Ledger) -> None:
        """The provider's own, and yet not ours."""
        other = at_provider(ledger, provider, audience="another service")
        with pytest.raises(TokenInvalid, match="not meant for another service"):
            other.caller(service_token(provider))

    def test_a_service_may_be_vouched_for_by_another_issuer(self, provider: Running, ledger: Ledger) -> None:
        """Workload identity: its issuer, audience and subject are named; another subject of that issuer is nobody."""
        from loopline.platform_core.sign_in_settings import Issuer, SignIn

        token = service_token(provider)
        claims = at_provider(ledger, provider).provider.issuer.claims(token, "portal")  # type: ignore[union-attr]

        def asked(subject: str) -> Desk:
            vouching = (Issuer(provider.issuer, "portal", (subject,)),)
            return Desk(
                SignIn(issuer="http://127.0.0.1:9", client_id="portal", audience="portal", services=vouching), ledger
            )

        found = asked(claims["sub"][:3] + "*" if len(claims["sub"]) > 3 else claims["sub"]).caller(token)
        assert found is not None
        assert (found.name, found.service, found.groups) == (claims["sub"], True, frozenset())
        with pytest.raises(TokenInvalid, match="none of the services"):
            asked("system:serviceaccount:*").caller(token)

    def test_a_person_logs_in_by_a_device(self, asked: Command, provider: Running, told: Told) -> None:
        """The command shows a code, the person confirms it, and from then on commands are that person's."""
        with pytest.raises(Denied, match="nobody has logged in"):
            asked.caller()
        at = asked.desk.provider
        assert at is not None
        code = device.begin(at)
        waits: list[float] = []

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            time.sleep(min(seconds, 1.1))  # a provider refuses who asks more often than each second
            if len(waits) == 1:
                Browser().confirmed(code.direct, provider.person)

        found = asked.by_device(device.wait(at, code, sleep))
        assert (found.name, found.groups) == (provider.person, {provider.group})
        assert asked.kept.file.stat().st_mode & 0o777 == 0o600
        assert asked.caller() == found
        kept = dict(asked.kept.read())
        over = kept["id_token"][:-4] + "AAAA"  # not taken, as one of which the time is over
        asked.kept.write({**kept, "id_token": over})
        command._held.clear()
        assert asked.caller() == found
        assert asked.kept.read()["id_token"] != over
        command._held.clear()
        newest = asked.kept.read()["refresh_token"]
        assert asked.log_out() == found
        with pytest.raises(Denied):
            asked.caller()
        with pytest.raises(Refused):
            device.refreshed(at, newest)
        assert [one.what for one in told()] == ["person.signed_in", "person.signed_out"]

    def test_keys_are_changed_without_a_restart(self, provider: Running, desk: Desk) -> None:
        """A token of a key that is new is taken, and nothing of ours was started anew."""
        before = desk.caller(service_token(provider))
        provider.rotate()
        issuer = desk.provider.issuer  # type: ignore[union-attr]
        then = time.monotonic() + AGAIN_SECONDS
        issuer._idle = lambda: max(then, time.monotonic())
        assert desk.caller(service_token(provider)) == before


def _query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))
