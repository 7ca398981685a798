"""The real server over TLS, with certificates that openssl makes: who is let in, and who is not."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest

from loopline.gateway import api_keys
from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.foundation.tls import Tls
from loopline.platform_core.testing.parts.inference_server import inference_server
from loopline.platform_core.testing.parts.model_packages import AMOUNT, ENTITY
from loopline.platform_core.testing.parts.ports import free_port
from loopline.platform_core.testing.serving import come_to, served
from loopline.resources.local.serving import LocalServing
from loopline.up.start import _lives
from tests.platform_core.runtime.conftest import MODEL, environment_of, tensors


def openssl(*arguments, folder):
    """Run openssl."""
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def authority(folder, name):
    """Make a certificate authority."""
    new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    what = ["-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    openssl(*new, *what, "-keyout", f"{name}.key", "-out", f"{name}.pem", folder=folder)


def certificate(folder, name, by):
    """Make a certificate for this machine."""
    new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}"]
    openssl(*new, "-keyout", f"{name}.key", "-out", f"{name}.csr", folder=folder)
    folder.joinpath("names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    signed = ["x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-CAcreateserial"]
    openssl(*signed, "-days", "1", "-extfile", "names", "-out", f"{name}.pem", folder=folder)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Make two authorities, a server's certificate, a client's, and one of a client that nobody knows."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("ours", "theirs"):
        authority(folder, name)
    for name, by in (("server", "ours"), ("client", "ours"), ("stranger", "theirs")):
        certificate(folder, name, by)
    return folder


class Running:
    """A server over TLS, and the vendor as the platform binds it."""

    def __init__(self, folder: Path, certificates: Path, *, mutual: bool, gateway: str = "") -> None:
        self.port, self.grpc_port = free_port(), free_port()
        tls = {"certificate": "server.pem", "key": "server.key", "trust": "ours.pem"}
        if mutual:
            tls |= {"clients": "ours.pem", "own_certificate": "client.pem", "own_key": "client.key"}
        self.tls = Tls(**{name: certificates / file for name, file in tls.items()})
        self.serving = LocalServing(root=f"{folder}/serving", port=self.port, tls=self.tls)
        written = json.dumps(self.tls.model_dump(mode="json", exclude_none=True))
        self.file = environment_of(folder, self.port, self.grpc_port, f", tls: {written}{gateway}")

    def start(self):
        """Start the server."""
        return inference_server(self.file, self.port, context=self.tls.client_context())

    def ask(self, context, headers=None):
        """Ask the endpoint; the status and the answer."""
        url = urlsplit(self.serving.endpoint(MODEL))
        assert url.scheme == "https"
        connection = http.client.HTTPSConnection(url.hostname, url.port, timeout=10, context=context)
        inputs = tensors(**{ENTITY: ["k"], AMOUNT: [1.0]})
        connection.request("POST", f"{url.path}/infer", json.dumps({"inputs": inputs}), headers or {})
        reply = connection.getresponse()
        return reply.status, json.load(reply)


def client(trust, certificates, own=None):
    """Make a client that believes an authority, and shows a certificate or none."""
    context = ssl.create_default_context(cafile=str(certificates / trust))
    if own:
        context.load_cert_chain(certificates / f"{own}.pem", certificates / f"{own}.key")
    return context


def test_tls_and_keys_behind_it(tmp_path, certificates):
    """A client that knows the authority is heard, others and plain HTTP are not; key, id and access log go together."""
    keys, log = tmp_path / "keys.json", tmp_path / "access.jsonl"
    gateway = f', gateway: {{keys: "{keys}", access_log: "{log}"}}'
    running = Running(tmp_path, certificates, mutual=False, gateway=gateway)
    key = api_keys.create(keys, "shop")
    with running.start():
        come_to(running.serving, DesiredState(MODEL, 1, served(tmp_path, "1")))
        assert running.ask(client("ours.pem", certificates))[0] == 401
        status, answer = running.ask(running.tls.client_context(), {"X-API-Key": key, "X-Request-Id": "r1"})
        assert (status, answer["id"]) == (200, "r1")
        with pytest.raises(ssl.SSLCertVerificationError):
            running.ask(client("theirs.pem", certificates))
        plain = http.client.HTTPConnection("127.0.0.1", running.port, timeout=5)
        plain.request("GET", "/v2/health/live")
        with pytest.raises((http.client.HTTPException, OSError)):
            plain.getresponse()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    mine = [(line["status"], line["tenant"], line["request_id"] == "r1") for line in lines if line["model"]]
    assert mine == [(401, "", False), (200, "shop", True)]


def test_mutual_tls(tmp_path, certificates):
    """Who shows no certificate, or one of another authority, gets no answer, not even about health, nor over gRPC."""
    running = Running(tmp_path, certificates, mutual=True)

    def ask_grpc(own):
        pair = [certificates.joinpath(f"{own}.{end}").read_bytes() for end in ("key", "pem")] if own else [None, None]
        shown = grpc.ssl_channel_credentials(certificates.joinpath("ours.pem").read_bytes(), *pair)
        with grpc.secure_channel(f"127.0.0.1:{running.grpc_port}", shown) as channel:
            channel.unary_unary("/inference.GRPCInferenceService/ServerLive")(b"", timeout=5)

    with running.start():
        come_to(running.serving, DesiredState(MODEL, 1, served(tmp_path, "1")))
        assert running.ask(client("ours.pem", certificates, own="client"))[0] == 200
        ask_grpc("client")
        for own in (None, "stranger"):
            with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
                running.ask(client("ours.pem", certificates, own=own))
            with pytest.raises(grpc.RpcError) as refused:
                ask_grpc(own)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        url = running.serving.endpoint(MODEL).partition("/v2/")[0]
        assert _lives(f"{url}/v2/health/live", running.serving)
        assert not _lives(f"{url}/v2/health/live", LocalServing(root="", port=1))


@pytest.mark.parametrize("wrong", [{"certificate": "nothing.pem"}, {"key": "client.key"}, {"clients": "names"}])
def test_files_that_are_wrong_are_told_before_the_server_starts(certificates, wrong):
    """A missing file, another certificate's key, an authority that is none."""
    files = {"certificate": "server.pem", "key": "server.key"} | wrong
    with pytest.raises(InvalidEnvironment, match=r"serving\.tls"):
        Tls(**{name: certificates / file for name, file in files.items()}).for_uvicorn()


def test_a_key_with_a_password_is_refused(tmp_path, certificates):
    """Nobody is asked for it at the terminal, while the server stands still, at its start or later."""
    secured = ["ec", "-in", "server.key", "-aes256", "-passout", "pass:word", "-out", tmp_path / "secured.key"]
    openssl(*secured, folder=certificates)
    tls = Tls(certificate=certificates / "server.pem", key=tmp_path / "secured.key")
    with pytest.raises(InvalidEnvironment, match="the key has a password"):
        tls.for_uvicorn()
    own = {"own_certificate": tls.certificate, "own_key": tls.key}
    with pytest.raises(OSError, match="the key has a password"):
        Tls(certificate=tls.certificate, key=tls.key, **own).client_context()


def test_an_own_certificate_needs_its_key(certificates):
    """One without the other is a mistake in the environment file."""
    with pytest.raises(ValueError, match="belong together"):
        Tls(certificate="a", key="b", own_certificate="c")
