"""What a token must be to be taken: each check fails here when it is taken out."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from loopline.platform_core.errors import InvalidEnvironment, StoreUnavailable
from loopline.platform_core.sign_in_settings import SignIn
from loopline.sign_in import issuer as issuer_module
from loopline.sign_in.issuer import AGAIN_SECONDS, ANEW_SECONDS, TokenInvalid, fetched, issuer_of
from loopline.sign_in.provider import Provider
from tests.loopline.sign_in.conftest import ISSUER, Published

URL, NOW = ISSUER, 1_800_000_000
RSA = RSAKey.generate_key(2048, {"use": "sig", "kid": "one"})
CLAIMS = {"iss": URL, "aud": "portal", "sub": "42", "exp": NOW + 300, "iat": NOW, "preferred_username": "ana"}


published = partial(Published, now=lambda: NOW)


@pytest.fixture
def issuer():
    """Publish one key."""
    return published(RSA)


def signed(key=RSA, algorithm="RS256", kid="one", typ="JWT", **more):
    """Sign a token of this issuer's."""
    claims = {name: value for name, value in {**CLAIMS, **more}.items() if value is not None}
    return jwt.encode({"alg": algorithm, "kid": kid, "typ": typ}, claims, key, [algorithm])


def provider(issuer, **said):
    """Return a provider that asks this issuer."""
    made = Provider(SignIn(issuer=URL, client_id="portal", audience="portal", cli_client_id="cli", **said))
    made.__dict__["issuer"] = issuer
    return made


def test_a_good_token_is_taken(issuer):
    """With any asymmetric algorithm that a key of the issuer's is for."""
    assert issuer.claims(signed(), "portal")["sub"] == "42"
    assert issuer.claims(signed(aud=["other", "portal"]), "portal")["sub"] == "42"
    curve, edwards = ECKey.generate_key("P-256", {"kid": "ec"}), OKPKey.generate_key("Ed25519", {"kid": "ed"})
    several = published(RSA, curve, edwards)
    assert several.claims(signed(curve, "ES256", "ec"), "portal")["sub"] == "42"
    assert several.claims(signed(edwards, "EdDSA", "ed"), "portal")["sub"] == "42"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"iss": "https://evil.example"}, "another issuer's"),
        ({"iss": None}, "another issuer's"),
        ({"iss": URL + "/"}, "another issuer's"),
        ({"aud": "other"}, "not meant for portal"),
        ({"aud": ["other"]}, "not meant for portal"),
        ({"aud": None}, "not meant for portal"),
        ({"exp": NOW - 61}, "is over"),
        ({"exp": None}, "exp is none"),
        ({"exp": "tomorrow"}, "exp is none"),
        ({"exp": True}, "exp is none"),
        ({"nbf": NOW + 61}, "not yet valid"),
        ({"iat": NOW + 61}, "of the future"),
        ({"sub": None}, "whose it is"),
        ({"sub": 7}, "whose it is"),
    ],
)
def test_what_a_token_says_is_held_to_it(issuer, more, why):
    """Issuer, audience, times and subject."""
    with pytest.raises(TokenInvalid, match=why) as refused:
        issuer.claims(signed(**more), "portal")
    assert refused.value.status == 401


@pytest.mark.parametrize("more", [{"exp": NOW - 59}, {"nbf": NOW + 59}, {"iat": NOW + 59}])
def test_clocks_may_differ_by_a_minute(issuer, more):
    """The provider's and this machine's."""
    assert issuer.claims(signed(**more), "portal")["sub"] == "42"


def _part(said):
    raw = said if isinstance(said, bytes) else json.dumps(said).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unsigned(algorithm="none", signature=""):
    return f"{_part({'alg': algorithm, 'kid': 'one'})}.{_part(CLAIMS)}.{signature}"


def _by_the_public_key():
    """Sign with HMAC, the issuer's public key as the secret: the classic."""
    body = _unsigned("HS256").rpartition(".")[0]
    made = hmac.new(RSA.as_pem(private=False), body.encode(), hashlib.sha256).digest()
    return f"{body}.{_part(made)}"


def _tampered():
    head, _, sign = signed().split(".")
    return f"{head}.{_part({**CLAIMS, 'preferred_username': 'root'})}.{sign}"


@pytest.mark.parametrize(
    "token",
    [
        _unsigned(),
        _unsigned("None"),
        _unsigned("NONE"),
        _unsigned("RS256"),
        _unsigned("RS256", "AAAA"),
        _by_the_public_key(),
        _tampered(),
        signed(RSAKey.generate_key(2048)),
        signed(typ="logout+jwt"),
        "",
        ".",
        "..",
        "a.b.c",
        "\udcff.b.c",
        "é" * 10,
        signed() + "x",
        signed().rpartition(".")[0] + ".",
    ],
)
def test_only_the_issuer_s_key_signs(issuer, token):
    """Not nobody's, not another one's, not the public key as a secret; what is no token is none."""
    with pytest.raises(TokenInvalid):
        issuer.claims(token, "portal")


@pytest.mark.parametrize("head", [
    {"alg": "RS256", "kid": "one", "crit": 5},
    {"alg": "RS256", "kid": ["one"]},
    {"alg": {}, "kid": "one"},
    {"alg": "EdDSA", "kid": "ec"},
    {"alg": "ES256", "kid": "one"},
    {"alg": "RS256", "kid": "../../one"},
    {"alg": "RS256", "jwk": 5},
    {"alg": "RS256", "kid": "one", "crit": ["b64"], "b64": False},
    [],
    None,
])  # fmt: skip
def test_whatever_its_head_says_it_is_refused(head):
    """As a token is that nobody signed: what the library trips over is no failure of the server's."""
    several = published(RSA, ECKey.generate_key("P-256", {"kid": "ec"}))
    with pytest.raises(TokenInvalid):
        several.claims(f"{_part(head)}.{_part(CLAIMS)}.AAAA", "portal")


def test_the_issuer_is_not_asked_about_what_is_not_its_own(issuer):
    """Nor waited for, while it is away: whoever sends anything would make others wait."""
    for token in ("", "what is no token", signed(iss="https://evil.example")):
        with pytest.raises(TokenInvalid):
            issuer.claims(token, "portal")
    assert issuer.asked == 0


def test_a_secret_among_the_keys_signs_nothing():
    """A key set that publishes a symmetric key would let whoever reads it sign."""
    secret = OctKey.generate_key(256, {"kid": "oct", "use": "sig"})
    assert [key.kid for key in published(RSA, secret)._known_keys()] == ["one"]
    with pytest.raises(TokenInvalid):
        published(RSA, secret).claims(signed(secret, "HS256", "oct"), "portal")


def test_keys_are_fetched_again_when_one_is_not_known(issuer):
    """At once, and at most every few seconds, whoever sends tokens of keys that there are not; withdrawn ones go."""
    new = RSAKey.generate_key(2048, {"kid": "two"})
    issuer.claims(signed(), "portal")
    assert issuer.asked == 1
    issuer.keys.append(new)
    issuer.time[0] += AGAIN_SECONDS
    assert issuer.claims(signed(new, kid="two"), "portal")
    assert issuer.asked == 2
    for _ in range(50):
        with pytest.raises(TokenInvalid):
            issuer.claims(signed(kid="made-up"), "portal")
    assert issuer.asked == 2
    issuer.keys.remove(RSA)
    issuer.time[0] += ANEW_SECONDS
    with pytest.raises(TokenInvalid):
        issuer.claims(signed(), "portal")


def test_while_the_issuer_is_away_known_keys_hold(issuer):
    """And one that was never reached is told as what may be tried again."""
    issuer.claims(signed(), "portal")
    issuer.away = True
    issuer.time[0] += ANEW_SECONDS
    assert issuer.claims(signed(), "portal")
    away = published(RSA)
    away.away = True
    with pytest.raises(StoreUnavailable):
        away.claims(signed(), "portal")


def test_an_issuer_that_hangs_is_waited_for_once(issuer):
    """Not by each in turn: every one of them has a thread, and those that ask for something else need one too."""
    begun, asked, told = threading.Semaphore(0), [], []

    def hangs(url):
        asked.append(url)
        assert all(begun.acquire(timeout=10) for _ in range(8))
        time.sleep(0.3)  # all are at the lock by now
        raise StoreUnavailable("it does not answer", "wait")

    def asks():
        begun.release()
        with pytest.raises(StoreUnavailable, match="does not answer"):
            issuer.claims(signed(), "portal")
        told.append(1)

    issuer._fetched, issuer._idle = hangs, time.monotonic
    threads = [threading.Thread(target=asks) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(asked), len(told)) == (1, 8)
    del issuer._fetched
    assert issuer.claims(signed(), "portal")


@pytest.fixture
def endless():
    """Answer with spaces, as many and as often as the path says, and no end; gives the address and what was sent."""
    sent = []

    class Endless(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            size, pause = self.path.strip("/").split("-")
            with suppress(OSError):
                while len(sent) < 1000:
                    self.wfile.write(b" " * int(size))
                    sent.append(int(size))
                    time.sleep(float(pause))  # a slow answer is what is shown

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", sent
        server.shutdown()


def test_an_answer_without_end_is_not_read_to_it(endless, monkeypatch):
    """Neither a long one, which would fill the memory, nor a slow one, for which everybody would wait."""
    where, sent = endless
    with pytest.raises(StoreUnavailable, match="more than 1,000,000 bytes"):
        fetched(f"{where}/100000-0")
    assert sum(sent) < 50_000_000
    sent.clear()
    monkeypatch.setattr(issuer_module, "TIMEOUT_SECONDS", 0.5)
    with pytest.raises(StoreUnavailable, match=r"takes more than 0\.5 s"):
        fetched(f"{where}/1-0.05")
    assert len(sent) < 100


def test_an_issuer_is_not_asked_in_clear():
    """Whoever is on the way would give keys of his own, and read our secret; nor one that says it is another one."""
    clear = published(RSA, jwks_uri="http://id.example/jwks", token_endpoint="http://id.example/token")
    with pytest.raises(InvalidEnvironment, match="in clear, at http://id"):
        clear.claims(signed(), "portal")
    with pytest.raises(InvalidEnvironment, match="in clear, at http://id"):
        provider(clear).arrived("https://portal.example/sign-in/callback", "code", "nonce", "verifier")
    assert clear.asked == 0
    with pytest.raises(InvalidEnvironment, match=r"evil\.example"):
        published(RSA, issuer="https://evil.example").claims(signed(), "portal")


@pytest.mark.parametrize("more", [{"typ": "ID"}, {"nonce": "n"}, {"at_hash": "h"}])
def test_an_id_token_lets_nobody_in(issuer, more):
    """It says who signed in; browsers, and logs of sign-outs, have seen it."""
    claims = {**CLAIMS, **more}
    token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, RSA, ["RS256"])
    with pytest.raises(TokenInvalid, match="ID token"):
        provider(issuer).bearer(token)


@pytest.mark.parametrize(
    "more", [{"azp": "other"}, {"aud": ["portal", "other"]}, {"aud": ["portal", "other"], "azp": "other"}]
)
def test_an_id_token_was_given_to_us(issuer, more):
    """And not to another client, for which it may mean us as well."""
    assert provider(issuer).identified(signed(azp="portal"), "portal")
    with pytest.raises(TokenInvalid, match="another client"):
        provider(issuer).identified(signed(**more), "portal")


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"sub": "ci", "client_id": "ci"}, "ci"),
        ({"sub": "x", "client_id": "ci", "azp": "ci", "preferred_username": "service-account-ci"}, "ci"),
        ({"sub": "x", "azp": "ci", "idtyp": "app"}, "ci"),
        ({"sub": "ci@clients", "azp": "ci"}, "ci"),
    ],
)
def test_a_service_is_told_from_a_person(issuer, claims, name):
    """By what RFC 9068 says, and by the ways of Keycloak, Entra and Auth0."""
    found = provider(issuer).bearer(signed(**claims))
    assert (found.name, found.service) == (name, True)


def test_a_person_is_no_service(issuer):
    """Not by a name that looks like one's."""
    named = {"preferred_username": "service-account-portal", "groups": ["a", 7, ""]}
    found = provider(issuer).bearer(signed(azp="portal", **named))
    assert (found.name, found.service, found.groups) == ("service-account-portal", False, {"a"})


@pytest.mark.parametrize("name", ["loop", "platform", "API", "", " ana", "a\nb", "x" * 121, None, 7, ["ana"]])
def test_nobody_s_names_are_nobody_s(issuer, name):
    """Whatever a provider lets people call themselves."""
    with pytest.raises(TokenInvalid):
        provider(issuer).bearer(signed(preferred_username=name))


def test_an_e_mail_address_must_have_been_verified(issuer):
    """Else who types another one's into the provider's form is that one here."""
    named = provider(issuer, name_claim="email")
    assert named.bearer(signed(email="ana@example.org", email_verified=True)).name == "ana@example.org"
    for proven in (False, None, "true", 1):
        with pytest.raises(TokenInvalid, match="verified"):
            named.bearer(signed(email="ana@example.org", email_verified=proven))


@pytest.mark.parametrize("token", ["", "a", "a.b", "a.!.c", "a.bnVsbA.c", "a.WzFd.c", "a.eyJpc3MiOjd9.c"])
def test_an_issuer_is_read_of_whatever_is_sent(token):
    """Nothing is trusted of it; it only chooses whose keys are asked."""
    assert issuer_of(token) == ""
    assert issuer_of(signed()) == URL
