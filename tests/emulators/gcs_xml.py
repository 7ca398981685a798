"""Cloud Storage's XML API, with authentication, before fake-gcs-server, which has the JSON API's writes only.

Clients built on ``object_store`` (delta-rs, obstore) write, list and read by the XML API. What is asked for here is
translated and passed on: objects with conditions and metadata, copies, uploads in parts, and listing from an offset.
Anything else is refused, so that a test never passes by what was not understood. Who asks must bear a token that the
given key signed, as a service account's own does. Start: ``gcs_xml.py <upstream> <port> <public key's file>``.
"""

from __future__ import annotations

import base64
import json
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote
from xml.sax.saxutils import escape

import httpx
import uvicorn
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

META, IF_GENERATION, COPY = "x-goog-meta-", "x-goog-if-generation-match", "x-goog-copy-source"
UNQUOTED = "-._~"


@dataclass
class Ask:
    """One request; ``key`` is "" where a bucket is asked about."""

    method: str
    bucket: str
    key: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """Its answer; of one without a body ``length`` may say what there would be."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


class RefusalError(Exception):
    """What the API says instead."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
        self.answer = Answer(status, body.encode(), {"content-type": "application/xml"})


CODES = {401: "AuthenticationRequired", 404: "NoSuchKey", 412: "PreconditionFailed", 304: "NotModified"}


class XmlApi:
    """The API; parts of uploads are held here until they are put together."""

    def __init__(self, upstream: str, key: bytes) -> None:
        self._json = httpx.AsyncClient(base_url=upstream, timeout=60)
        self._key: Any = serialization.load_pem_public_key(key)
        self._believed: dict[str, float] = {}
        self._parts: dict[str, dict[int, bytes]] = {}
        self._kept: dict[str, Mapping[str, str]] = {}

    async def answer(self, ask: Ask) -> Answer:
        """Answer one request."""
        self._identify(ask.headers.get("authorization", ""))
        if not ask.key:
            if ask.method == "GET" and ask.query.get("list-type") == "2":
                return await self._list(ask)
            raise RefusalError(400, "NotUnderstood")
        if "uploads" in ask.query or "uploadId" in ask.query:
            return await self._upload(ask)
        if ask.method == "PUT":
            return await (self._copy(ask) if COPY in ask.headers else self._put(ask, ask.body, ask.headers))
        if ask.method in {"GET", "HEAD"}:
            return await self._get(ask)
        if ask.method == "DELETE":
            _checked(await self._json.delete(_object(ask.bucket, ask.key)))
            return Answer(204)
        raise RefusalError(400, "NotUnderstood")

    def _identify(self, authorization: str) -> None:
        """Believe a token that the key signed and that has not expired."""
        kind, _, token = authorization.partition(" ")
        if self._believed.get(token, 0) > time.time():
            return
        try:
            head, claims, signature = token.split(".")
            signed = f"{head}.{claims}".encode()
            self._key.verify(_decoded(signature), signed, padding.PKCS1v15(), hashes.SHA256())
            expires = float(json.loads(_decoded(claims))["exp"])
        except (ValueError, KeyError, InvalidSignature):
            kind, expires = "", 0
        if kind != "Bearer" or expires < time.time():
            raise RefusalError(401, "AuthenticationRequired")
        self._believed[token] = expires

    async def _put(self, ask: Ask, data: bytes, headers: Mapping[str, str]) -> Answer:
        """Write an object: of fake-gcs-server only uploads in several parts keep a condition."""
        meta = {name.removeprefix(META): value for name, value in headers.items() if name.startswith(META)}
        about = {"name": ask.key, "metadata": meta}
        seam = uuid.uuid4().hex.encode()
        body = b"--%s\r\nContent-Type: application/json\r\n\r\n%s\r\n" % (seam, json.dumps(about).encode())
        body += b"--%s\r\nContent-Type: application/octet-stream\r\n\r\n%s\r\n--%s--" % (seam, data, seam)
        written = _checked(
            await self._json.post(
                f"/upload/storage/v1/b/{ask.bucket}/o",
                params={"uploadType": "multipart", **_condition(headers)},
                content=body,
                headers={"content-type": f"multipart/related; boundary={seam.decode()}"},
            ),
            "NoSuchBucket",
        ).json()
        return Answer(headers={"etag": _etag(written), "x-goog-generation": written["generation"]})

    async def _copy(self, ask: Ask) -> Answer:
        bucket, _, key = unquote(ask.headers[COPY]).lstrip("/").partition("/")
        to = _object(ask.bucket, ask.key).removeprefix("/storage/v1")
        asked = f"{_object(bucket, key)}/rewriteTo{to}"
        copied = _checked(await self._json.post(asked, params=_condition(ask.headers), json={})).json()["resource"]
        return Answer(body=_xml("CopyObjectResult", f"<ETag>{escape(_etag(copied))}</ETag>"))

    async def _upload(self, ask: Ask) -> Answer:
        """Take an upload in parts; nothing of it is there before it is whole."""
        if ask.method == "POST" and "uploads" in ask.query:
            upload = uuid.uuid4().hex
            self._parts[upload], self._kept[upload] = {}, ask.headers
            return Answer(body=_xml("InitiateMultipartUploadResult", f"<UploadId>{upload}</UploadId>"))
        parts = self._parts.get(ask.query.get("uploadId", ""))
        if parts is None:
            raise RefusalError(404, "NoSuchUpload")
        if ask.method == "PUT":
            parts[int(ask.query["partNumber"])] = ask.body
            return Answer(headers={"etag": f'"{ask.query["partNumber"]}"'})
        kept = {**self._kept.pop(ask.query["uploadId"]), **ask.headers}
        del self._parts[ask.query["uploadId"]]
        if ask.method == "DELETE":
            return Answer(204)
        written = await self._put(ask, b"".join(parts[number] for number in sorted(parts)), kept)
        body = _xml("CompleteMultipartUploadResult", f"<ETag>{escape(written.headers['etag'])}</ETag>")
        return Answer(200, body, written.headers)

    async def _list(self, ask: Ask) -> Answer:
        known = {"prefix": "prefix", "delimiter": "delimiter", "max-keys": "maxResults"}
        asked = {to: ask.query[name] for name, to in known.items() if ask.query.get(name)}
        if ask.query.get("continuation-token"):
            asked["pageToken"] = ask.query["continuation-token"]
        after = ask.query.get("start-after", "")
        if after:
            asked["startOffset"] = after  # which includes it
        found = _checked(await self._json.get(f"/storage/v1/b/{ask.bucket}/o", params=asked), "NoSuchBucket").json()
        objects = "".join(_listed(each) for each in found.get("items", ()) if each["name"] != after)
        folders = "".join(
            f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>" for each in found.get("prefixes", ())
        )
        token = found.get("nextPageToken")
        more = f"<NextContinuationToken>{escape(token)}</NextContinuationToken>" if token else ""
        return Answer(body=_xml("ListBucketResult", objects + folders + more))

    async def _get(self, ask: Ask) -> Answer:
        where = _object(ask.bucket, ask.key)
        about = _checked(await self._json.get(where)).json()
        wanted = ask.query.get("generation")
        if wanted and wanted != about["generation"]:
            raise RefusalError(404, "NoSuchKey")
        headers = {
            "etag": _etag(about),
            "last-modified": format_datetime(_instant(about["updated"]), usegmt=True),
            "x-goog-generation": about["generation"],
            **{f"{META}{name}": value for name, value in about.get("metadata", {}).items()},
        }
        if ask.headers.get("if-none-match") == headers["etag"]:
            raise RefusalError(304, "NotModified")
        if ask.headers.get("if-match", headers["etag"]) != headers["etag"]:
            raise RefusalError(412, "PreconditionFailed")
        if ask.method == "HEAD":
            return Answer(200, b"", headers, int(about["size"]))
        part = {name: ask.headers[name] for name in ("range",) if name in ask.headers}
        asked = {"alt": "media", "generation": about["generation"]}
        data = await self._json.get(f"/download{where}", params=asked, headers=part)
        _checked(data)
        told = {name: data.headers[name] for name in ("content-range",) if name in data.headers}
        return Answer(data.status_code, data.content, headers | told)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer as an application of ASGI."""
        if scope["type"] != "http":
            return
        ask = await _ask(scope, receive)
        try:
            told = await self.answer(ask)
        except RefusalError as refusal:
            told = refusal.answer
        empty = ask.method == "HEAD" or told.status in {204, 304}
        length = told.length if told.length is not None else len(told.body)
        headers = [*told.headers.items(), *([("content-length", str(length))] if told.status not in {204, 304} else [])]
        coded = [(name.encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": told.status, "headers": coded})
        await send({"type": "http.response.body", "body": b"" if empty else told.body})


async def _ask(scope: Any, receive: Any) -> Ask:
    body, more = [], True
    while more:
        message = await receive()
        body.append(message.get("body", b""))
        more = message.get("more_body", False)
    bucket, _, key = scope["raw_path"].decode().partition("?")[0].lstrip("/").partition("/")
    query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
    headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
    return Ask(scope["method"], bucket, unquote(key), query, headers, b"".join(body))


def _checked(answer: httpx.Response, absent: str = "NoSuchKey") -> httpx.Response:
    if answer.status_code == 404:
        raise RefusalError(404, absent)
    if not answer.is_success:
        raise RefusalError(answer.status_code, CODES.get(answer.status_code, "InternalError"))
    return answer


def _condition(headers: Mapping[str, str]) -> dict[str, str]:
    return {"ifGenerationMatch": headers[IF_GENERATION]} if IF_GENERATION in headers else {}


def _object(bucket: str, key: str) -> str:
    return f"/storage/v1/b/{bucket}/o/{quote(key, safe=UNQUOTED)}"


def _listed(each: Mapping[str, Any]) -> str:
    about = {"Key": each["name"], "Size": each.get("size", "0"), "LastModified": each["updated"], "ETag": _etag(each)}
    return "<Contents>" + "".join(f"<{k}>{escape(v)}</{k}>" for k, v in about.items()) + "</Contents>"


def _etag(about: Mapping[str, Any]) -> str:
    """Return an object's ETag as this API has it: its MD5, alike for the same content."""
    return f'"{base64.b64decode(about["md5Hash"]).hex()}"'


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _xml(name: str, inside: str) -> bytes:
    return f"<?xml version='1.0'?><{name}>{inside}</{name}>".encode()


if __name__ == "__main__":
    api = XmlApi(sys.argv[1], Path(sys.argv[3]).read_bytes())
    uvicorn.run(api, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", lifespan="off")
