"""A request to S3 as a client signs it whose clock is wrong: what came is signed anew, with another time."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.emulators.http_server import Request
from tests.s3_server import SECRET


@dataclass(frozen=True)
class WrongClock:
    """A fault's ``change``: a clock that is so many minutes ahead."""

    minutes: float

    def __call__(self, asked: Request) -> Request:
        """Sign by it."""
        return signed_at(asked, timedelta(minutes=self.minutes))


def signed_at(asked: Request, ahead: timedelta) -> Request:
    """Sign a request of the tests' key by a clock that is so much ahead (AWS's fourth version of signatures)."""
    at = datetime.now(UTC) + ahead
    headers = asked.small
    told = headers["authorization"]
    scope = told.partition("Credential=")[2].partition(",")[0].split("/")
    signed = told.partition("SignedHeaders=")[2].partition(",")[0]
    headers["x-amz-date"], scope[1] = f"{at:%Y%m%dT%H%M%SZ}", f"{at:%Y%m%d}"
    path, _, query = asked.path.partition("?")
    named = "".join(f"{name}:{headers[name].strip()}\n" for name in signed.split(";"))
    whole = [asked.method, path, query, named, signed, headers["x-amz-content-sha256"]]
    digest = hashlib.sha256("\n".join(whole).encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], "/".join(scope[1:]), digest])
    key = f"AWS4{SECRET}".encode()
    for part in scope[1:]:
        key = _signed(key, part)
    signature = _signed(key, text).hex()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={'/'.join(scope)}, SignedHeaders={signed}, Signature={signature}"
    )
    return asked._replace(headers=headers)


def _signed(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
