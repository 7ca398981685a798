"""What clouds' environment files bind takes the identity that a pod is given, by variables and files alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.emulators.faults import Request
from tests.emulators.identity_services import AGENT, ENTRA, POD_TOKEN, WEB, IdentityServices, identity_services
from tests.emulators.metadata_server import metadata_server

FILES = Path(__file__).parents[2] / "deploy" / "environments"
GKE = "token-of-gke"
AS_A_POD = """
import sys
from contextlib import suppress
from pathlib import Path
from loopline.platform_core import environment
from loopline.platform_core.errors import NotFound
contracts = sys.argv[2].split(",")
bound = environment.read(Path(sys.argv[1]), only=tuple(contracts)).bindings
assert bound["event_source"].arrivals("shop/orders") == []
with suppress(NotFound):
    bound["lake"].version("shop/raw/orders")
if "secrets" in contracts:
    assert bound["secrets"].current("loopline-ledger") == "postgresql://one"
if "online_store" in contracts:
    assert bound["online_store"].read([("shop.orders.v1", ["1"])]) == [[None]]
"""
_MUST = re.compile(r"\$\{(\w+)\}")
STORES, ALL = "event_source,lake", "event_source,lake,secrets,online_store"
_OTHERS = ("AWS_", "AZURE_", "GOOGLE_", "GCE_", "LOOPLINE_", "IDENTITY_", "MSI_", "STORAGE_EMULATOR_", "REQUESTS_CA_")


@pytest.fixture
def services(tmp_path: Path) -> Iterator[IdentityServices]:
    """Run who gives identities, and stores."""
    with identity_services(tmp_path) as running:
        yield running


def _asked(
    services: IdentityServices, cloud: str, contracts: str, variables: Mapping[str, str]
) -> tuple[list[Request], list[Request]]:
    """Ask what a cloud's file binds, as a pod with these variables; returns what givers and stores were asked."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(_OTHERS)}
    given |= dict.fromkeys(_MUST.findall((FILES / f"{cloud}.yaml").read_text()), "unused")
    given |= {"SSL_CERT_FILE": str(services.authority), "HOME": str(services.token.parent), **variables}
    command = [sys.executable, "-c", AS_A_POD, str(FILES / f"{cloud}.yaml"), contracts]
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    givers = [one for one in services.seen if _gives(one)]
    return givers, [one for one in services.seen if not _gives(one)]


def _gives(request: Request) -> bool:
    asked = request.path + request.body.decode(errors="replace")
    return "AssumeRole" in asked or request.path == "/agent" or "/oauth2/" in request.path


def _aws(services: IdentityServices) -> dict[str, str]:
    names = ("S3", "SECRETS", "DYNAMODB")
    return {
        **{f"LOOPLINE_{name}_ENDPOINT": services.url for name in names},
        "AWS_CA_BUNDLE": str(services.authority),
        "LOOPLINE_STORE": "s3://acme/prod",
        "LOOPLINE_REGION": "eu-central-1",
    }


def _folders(asked: list[Request], bucket: str) -> set[str]:
    """Return below which folders of a bucket something was asked: the lake's client is another than the landing's."""
    said = [one.path.replace("%2F", "/") for one in asked]
    return {folder for folder in ("lake", "landing") if any(bucket in one and f"prod/{folder}" in one for one in said)}


def test_irsa(services: IdentityServices) -> None:
    """The service account's token is changed into a session of the role, by which everything is asked."""
    own = {
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/loopline-loop",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(services.token),
        "AWS_ENDPOINT_URL_STS": services.url,
    }
    givers, asked = _asked(services, "aws", ALL, _aws(services) | own)
    for one in givers:
        said = parse_qs(urlsplit(one.path).query + one.body.decode())
        assert (said["WebIdentityToken"], said["RoleArn"]) == ([POD_TOKEN], [own["AWS_ROLE_ARN"]])
    _are_of(asked, WEB)


def test_eks_pod_identity(services: IdentityServices) -> None:
    """The agent of the node gives a session for the pod's token, by which everything is asked."""
    own = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{services.plain}/agent",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(services.token),
    }
    givers, asked = _asked(services, "aws", ALL, _aws(services) | own)
    assert givers
    assert {one.headers["authorization"] for one in givers} == {POD_TOKEN}
    _are_of(asked, AGENT)


def _are_of(asked: list[Request], key: str) -> None:
    assert _folders(asked, "acme") == {"lake", "landing"}
    assert {one.headers["x-amz-target"].rpartition(".")[2] for one in asked if "x-amz-target" in one.headers} == {
        "GetSecretValue",
        "BatchGetItem",
    }
    for one in asked:
        assert f"Credential={key}/" in one.headers["authorization"]
        assert one.headers["x-amz-security-token"] == "session"


def test_gke_workload_identity(services: IdentityServices) -> None:
    """The metadata server gives a token, by which the bucket is asked; no file is read."""
    with metadata_server("acme", GKE) as host:
        own = {"GCE_METADATA_HOST": host, "GOOGLE_BASE_URL": services.url, "LOOPLINE_STORE": "gs://acme/prod"}
        _, asked = _asked(services, "gcp", STORES, own)
    assert _folders(asked, "acme") == {"lake", "landing"}
    assert {one.headers["authorization"] for one in asked} == {f"Bearer {GKE}"}


def test_azure_workload_identity(services: IdentityServices) -> None:
    """The service account's token is changed into one of the identity, by which the container is asked."""
    own = {
        "AZURE_FEDERATED_TOKEN_FILE": str(services.token),
        "AZURE_CLIENT_ID": "client",
        "AZURE_TENANT_ID": "tenant",
        "AZURE_AUTHORITY_HOST": services.url,
        "LOOPLINE_STORE": "az://acme/prod",
        "LOOPLINE_ACCOUNT": "acme",
        "LOOPLINE_BLOB_ENDPOINT": f"{services.url}/acme",
    }
    givers, asked = _asked(services, "azure", STORES, own)
    for one in givers:
        said = parse_qs(one.body.decode())
        assert one.path == "/tenant/oauth2/v2.0/token"
        assert (said["client_assertion"], said["client_id"]) == ([POD_TOKEN], ["client"])
    assert _folders(asked, "acme") == {"lake", "landing"}
    assert {one.headers["authorization"] for one in asked} == {f"Bearer {ENTRA}"}
