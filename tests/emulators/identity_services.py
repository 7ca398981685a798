"""Who gives identities to pods, and stores that are empty and keep what they were asked, on two ports of this process.

Security Token Service (IRSA), EKS Pod Identity's agent and Microsoft Entra give tokens for that of the pod. All answer
over TLS, and in the clear, as the agent does. What is asked for else is an empty bucket, table or vault.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme

from tests.emulators.faults import Request

POD_TOKEN = "token-of-the-pod"
WEB, AGENT, ENTRA = "ASIAWEBIDENTITY", "ASIAPODIDENTITY", "token-of-entra"
"""By what each makes a process known."""
_UNTIL = "2099-01-01T00:00:00Z"
_STS = f"""<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{WEB}</AccessKeyId><SecretAccessKey>x</SecretAccessKey>
<SessionToken>session</SessionToken><Expiration>{_UNTIL}</Expiration></Credentials>
<AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/s</Arn><AssumedRoleId>A:s</AssumedRoleId></AssumedRoleUser>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
_BUCKET = "<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>"
_CONTAINER = "<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>"


class IdentityServices:
    """``url`` is over TLS, by ``authority``; ``plain`` is not; ``seen`` is what was asked."""

    def __init__(self, folder: Path) -> None:
        self.seen: list[Request] = []
        self.authority, self.token = folder / "authority.pem", folder / "token"
        self.token.write_text(POD_TOKEN)
        authority, trust = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.cert_pem.write_to_path(str(self.authority))
        authority.issue_cert("127.0.0.1").configure_cert(trust)
        self._servers = [self._serve(None), self._serve(trust)]
        self.plain, self.url = (
            f"{scheme}://127.0.0.1:{server.server_port}"
            for scheme, server in zip(("http", "https"), self._servers, strict=True)
        )

    def _serve(self, trust: ssl.SSLContext | None) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.seen))
        server.daemon_threads = True
        if trust:
            server.socket = trust.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

    def end(self) -> None:
        """Listen no more."""
        for server in self._servers:
            server.shutdown()
            server.server_close()


@contextmanager
def identity_services(folder: Path) -> Iterator[IdentityServices]:
    """Run them."""
    services = IdentityServices(folder)
    try:
        yield services
    finally:
        services.end()


def _answered(request: Request) -> tuple[int, str]:  # noqa: PLR0911 - a table
    """Return status and body."""
    target = request.headers.get("x-amz-target", "")
    if "Action=AssumeRoleWithWebIdentity" in request.path + request.body.decode(errors="replace"):
        return 200, _STS
    if request.path == "/agent":
        given = {"AccessKeyId": AGENT, "SecretAccessKey": "x", "Token": "session", "Expiration": _UNTIL}
        return 200, json.dumps(given)
    if request.path.endswith("/oauth2/v2.0/token"):
        return 200, json.dumps({"access_token": ENTRA, "expires_in": 3600, "token_type": "Bearer"})
    if target.endswith("GetSecretValue"):
        return 200, json.dumps({"Name": "loopline-ledger", "SecretString": "postgresql://one", "VersionId": "1" * 32})
    if target.endswith("BatchGetItem"):
        return 200, json.dumps({"Responses": {}, "UnprocessedKeys": {}})
    if "list-type=2" in request.path:
        return 200, _BUCKET
    if "comp=list" in request.path:
        return 200, _CONTAINER
    return 404, ""


def _handler(seen: list[Request]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *told: object) -> None:
            """Say nothing."""

        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, body)
            seen.append(request)
            status, text = _answered(request)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else text.encode())

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do  # noqa: N815 - the library's names

    return Handler
