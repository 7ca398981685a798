"""A provider's word that somebody has signed out: whose, for us, of now, and once; it ends what it names alone."""

from __future__ import annotations

import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.testclient import TestClient

from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.identity.caller import Caller
from loopline.platform_core.identity.sessions import Sessions
from loopline.platform_core.sign_in_settings import SignIn
from loopline.sign_in.desk import Desk
from loopline.sign_in.issuer import TokenInvalid
from loopline.sign_in.provider import SIGNED_OUT
from tests.loopline.sign_in.conftest import HTML, ISSUER, Published, pages

URL = ISSUER
KEY = RSAKey.generate_key(2048, {"use": "sig", "kid": "one"})
OTHER = RSAKey.generate_key(2048, {"use": "sig", "kid": "one"})
WORD = {"iss": URL, "aud": "portal", "iat": 0, "exp": 3600, "jti": "1", "sid": "s1", "sub": "42",
        "events": {SIGNED_OUT: {}}}  # fmt: skip
"""What one says; times are seconds from now."""
WHERE = "/sign-in/back-channel"


def signed(key: RSAKey = KEY, typ: str = "logout+jwt", **more: Any) -> str:
    """Sign a word, or something else; what is None is left out."""
    claims = {name: value for name, value in {**WORD, **more}.items() if value is not None}
    claims |= {name: int(time.time()) + claims[name] for name in ("iat", "exp") if name in claims}
    return jwt.encode({"alg": "RS256", "kid": "one", "typ": typ}, claims, key, ["RS256"])


@pytest.fixture
def desk(ledger) -> Desk:
    """Ask by that provider."""
    found = Desk(SignIn(issuer=URL, client_id="portal", audience="portal", name_claim="sub"), ledger)
    found.provider.__dict__["issuer"] = Published(KEY)
    return found


@pytest.fixture
def provider(desk: Desk) -> TestClient:
    """Ask as the provider does: without a session, and from no page."""
    return pages(desk)


def begun(desk: Desk, sid: str | None, sub: str = "42", issuer: str = URL) -> str:
    """Begin a session with an ID token."""
    return desk.begin(Caller("ana", issuer=issuer), signed(events=None, nonce="n", sid=sid, sub=sub) if issuer else "")


def test_it_ends_what_it_names_and_no_more(desk: Desk, provider: TestClient):
    """One session of the provider's, or all of a person's; not another's, and none that local accounts vouched for."""
    mine, other, theirs = begun(desk, "s1"), begun(desk, "s2"), begun(desk, "s3", "43")
    assert desk.held(mine) is None
    assert desk.caller(mine) is not None
    answer = provider.post(WHERE, data={"logout_token": signed()})
    assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (200, b"", "no-store")
    assert desk.held(mine) is None
    assert [desk.caller(one) is not None for one in (mine, other, theirs)] == [False, True, True]
    assert provider.post(WHERE, data={"logout_token": signed(jti="2", sid=None)}).status_code == 200
    assert [desk.caller(one) is not None for one in (other, theirs)] == [False, True]


def test_a_session_of_which_it_was_not_said(desk: Desk):
    """A provider that puts no session into its ID tokens ends those of the person; without a person it ends none."""
    mine, theirs = begun(desk, None), begun(desk, None, "43")
    assert desk.left(signed(sub=None)) == 0
    assert desk.left(signed(jti="2")) == 1
    assert [desk.caller(one) is not None for one in (mine, theirs)] == [False, True]


def test_it_is_taken_once(desk: Desk, provider: TestClient, monkeypatch: pytest.MonkeyPatch):
    """Sent again it ends no session that began since, in whichever process; one that could not be heard is heard."""
    token = signed(sid=None)
    assert desk.left(token) == 0
    mine = begun(desk, "s9")
    another = Desk(desk.settings, desk.ledger)
    another.provider.__dict__["issuer"] = Published(KEY)
    with pytest.raises(TokenInvalid, match="came before"):
        another.left(token)
    assert provider.post(WHERE, data={"logout_token": token}).status_code == 400
    assert desk.caller(mine) is not None
    monkeypatch.setattr(Sessions, "end_those", _away)
    with pytest.raises(StoreUnavailable):
        desk.left(signed(jti="2"))
    monkeypatch.undo()
    assert desk.left(signed(jti="2", sid="s9")) == 1


def _away(*_: object) -> None:
    raise StoreUnavailable("the ledger is away", "wait")


@pytest.mark.parametrize(("more", "why"), [
    ({"iss": "https://evil.example"}, "another issuer's"),
    ({"aud": "other"}, "not meant for portal"),
    ({"exp": -1000}, "is over"),
    ({"exp": None}, "exp is none"),
    ({"iat": 1000}, "of the future"),
    ({"iat": -700}, "too old"),
    ({"iat": None}, "too old"),
    ({"nonce": "n"}, "one of a sign-in"),
    ({"events": None}, "does not say that somebody"),
    ({"events": {}}, "does not say that somebody"),
    ({"events": [SIGNED_OUT]}, "does not say that somebody"),
    ({"events": {SIGNED_OUT: True}}, "does not say that somebody"),
    ({"jti": None}, "what tells it from others"),
    ({"sid": None, "sub": None}, "who has signed out"),
    ({"sid": ["s1"]}, "sid is no text"),
    ({"sub": 42}, "sub is no text"),
    ({"key": OTHER}, "none of the issuer's"),
    ({"typ": "at+jwt"}, "of another kind"),
    ({"typ": "dpop+jwt"}, "of another kind"),
])  # fmt: skip
def test_what_is_no_such_word_ends_nothing(desk: Desk, provider: TestClient, more: dict[str, Any], why: str):
    """Nor is any of it remembered as if it had come."""
    mine = begun(desk, "s1")
    answer = provider.post(WHERE, data={"logout_token": signed(**more)})
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"
    assert why in answer.json()["error_description"]
    assert desk.caller(mine) is not None
    assert desk.left(signed()) == 1


def test_requests_that_are_none(desk: Desk, provider: TestClient):
    """Without a token, with garbage, too large, by GET, from another site's page."""
    assert provider.post(WHERE).status_code == 400
    assert provider.post(WHERE, data={"logout_token": "a.b.c"}).status_code == 400
    assert provider.post(WHERE, data={"logout_token": "x" * 20_000}).status_code == 413
    assert provider.get(WHERE, params={"logout_token": signed()}, headers=HTML).status_code == 405
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert provider.post(WHERE, data={"logout_token": signed()}, headers=foreign).status_code == 403
    assert desk.left(signed()) == 0


def test_who_cannot_be_asked_is_tried_again(desk: Desk, provider: TestClient):
    """While the provider's keys are not known it is told to come again, and its word counts then."""
    mine = begun(desk, "s1")
    desk.provider.issuer.away = True
    assert provider.post(WHERE, data={"logout_token": signed()}).status_code == 503
    desk.provider.issuer.away = False
    assert provider.post(WHERE, data={"logout_token": signed()}).status_code == 200
    assert desk.caller(mine) is None


def test_such_a_word_lets_nobody_in(desk: Desk):
    """Whoever has seen one cannot show it as a bearer's token, under whichever kind."""
    for typ in ("logout+jwt", "JWT"):
        with pytest.raises(TokenInvalid, match=r"lets nobody in|of another kind"):
            desk.caller(signed(typ=typ))


def test_where_accounts_vouch_there_is_no_provider(ledger, account_file):
    """So nobody's word is taken."""
    desk = Desk(SignIn(accounts=account_file), ledger)
    assert pages(desk).post(WHERE, data={"logout_token": signed()}).status_code == 400
