"""A strict fake of who issues tokens: OpenID Connect's client credentials, and the managed identity of App Service.

The tokens are real ones, signed, and the broker verifies them by the key that is published.
"""

from __future__ import annotations

import json
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, quote, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.emulators.http_server import Answer, Request, Serving, as_json

CLIENT, SECRET, SCOPE, HEADER = "loopline-app", "issuer-secret", "kafka.write", "identity-header"
SERVICE_BUS = "https://ns.servicebus.windows.net"


class Issuer:
    """Signs tokens for the user ``loopline``; ``asked`` lists the paths that were asked for."""

    audience = "kafka"

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        numbers = self._key.public_key().public_numbers()
        modulus, exponent = (n.to_bytes((n.bit_length() + 7) // 8, "big") for n in (numbers.n, numbers.e))
        self.jwk = {"kty": "RSA", "kid": "one", "alg": "RS256", "use": "sig", "n": _text(modulus), "e": _text(exponent)}
        self.asked: list[str] = []

    def token(self, subject: str = "loopline", seconds: int = 600) -> str:
        """Sign a token that ends after so many seconds."""
        now = int(time.time())
        claims = {"sub": subject, "iat": now - 10, "exp": now + seconds, "aud": self.audience, "scope": SCOPE}
        parts = ({"alg": "RS256", "typ": "JWT", "kid": "one"}, claims)
        signed = ".".join(_text(json.dumps(part).encode()) for part in parts)
        return f"{signed}.{_text(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Answer at the URL that is given."""
        with Serving(self._answer) as server:
            yield server.url

    def _answer(self, request: Request) -> Answer:
        self.asked.append(request.path)
        return self._of_a_client(request) if request.method == "POST" else self._of_an_identity(request)

    def _of_a_client(self, request: Request) -> Answer:
        """Give a token to a client that says who it is and what it wants, in the forms that RFC 6749 has."""
        form = parse_qs(request.body.decode())
        known = b64encode(f"{quote(CLIENT)}:{quote(SECRET)}".encode()).decode()
        posted = (form.get("client_id"), form.get("client_secret")) == ([CLIENT], [SECRET])
        if request.path != "/token" or form.get("grant_type") != ["client_credentials"]:
            return as_json(400, {"error": "unsupported_grant_type"})
        if request.headers.get("Authorization") != f"Basic {known}" and not posted:
            return as_json(401, {"error": "invalid_client"})
        if form.get("scope") != [SCOPE]:
            return as_json(400, {"error": "invalid_scope"})
        return as_json(200, {"access_token": self.token(), "token_type": "Bearer", "expires_in": 600})

    def _of_an_identity(self, request: Request) -> Answer:
        """Give a managed identity's token to whoever knows the header."""
        asked = parse_qs(urlsplit(request.path).query)
        if request.headers.get("X-IDENTITY-HEADER") != HEADER:
            return as_json(403, {"statusCode": 403, "message": "forbidden"})
        if asked.get("resource") != [SERVICE_BUS] or asked.get("api-version") != ["2019-08-01"]:
            return as_json(400, {"statusCode": 400, "message": "no such resource"})
        until = {"access_token": self.token(), "expires_on": str(int(time.time()) + 600)}
        return as_json(200, {**until, "resource": SERVICE_BUS, "token_type": "Bearer"})


def _text(part: bytes) -> str:
    return urlsafe_b64encode(part).rstrip(b"=").decode()
