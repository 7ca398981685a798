"""Who gives identities to pods, and stores that are empty and keep what they were asked, on two ports of this process.

Security Token Service (IRSA), EKS Pod Identity's agent and Microsoft Entra give tokens for that of the pod. All answer
over TLS, and in the clear, as the agent does. What is asked for else is an empty bucket, table or vault.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.emulators.http_server import Answer, Request, Serving, certified

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
        self.token = folder / "token"
        self.token.write_text(POD_TOKEN)
        self.authority, trust = certified(folder)
        self.servers = Serving(self._answer), Serving(self._answer, trust=trust)
        self.plain, self.url = (server.url for server in self.servers)

    def _answer(self, request: Request) -> Answer:
        asked = request._replace(headers=request.small)
        self.seen.append(asked)
        status, text = _answered(asked)
        return Answer(status, text.encode())


@contextmanager
def identity_services(folder: Path) -> Iterator[IdentityServices]:
    """Run them."""
    services = IdentityServices(folder)
    with ExitStack() as running:
        for server in services.servers:
            running.enter_context(server)
        yield services


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
