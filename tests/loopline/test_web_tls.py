"""Web servers over TLS by files that are renewed while they run, on real servers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import trustme
import uvicorn

from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.foundation import tls as tls_module
from loopline.platform_core.foundation.tls import Tls
from loopline.platform_core.testing.parts.ports import free_port
from loopline.web_tls import CERTIFICATE, CLIENTS, KEY, options
from tests.waiting import until


@pytest.fixture(autouse=True)
def _look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the files whenever somebody connects."""
    monkeypatch.setattr(tls_module, "LOOK_SECONDS", 0.0)


class Files:
    """A server's files, and the authorities that signed what is there."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key, self.clients = (folder / name for name in ("tls.crt", "tls.key", "ca.crt"))

    def show(self, authority: trustme.CA) -> None:
        """Put a certificate of an authority's there, as who renews them does: file after file."""
        issued = authority.issue_cert("127.0.0.1", "localhost")
        issued.private_key_pem.write_to_path(str(self.key))
        self.certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))

    def ask_for(self, authority: trustme.CA) -> None:
        """Let only those in who have a certificate of an authority's."""
        authority.cert_pem.write_to_path(str(self.clients))

    def variables(self, *, mutual: bool = False) -> dict[str, str]:
        """Return what names them."""
        named = {CERTIFICATE: str(self.certificate), KEY: str(self.key)}
        return named | {CLIENTS: str(self.clients)} if mutual else named


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Give a folder for them."""
    return Files(tmp_path)


async def _ok(scope, _receive, send) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@contextlib.contextmanager
def served(variables: dict[str, str]) -> Iterator[int]:
    """Serve a page in a thread."""
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(_ok, port=port, lifespan="off", log_level="error", **options("127.0.0.1", variables))
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started or not thread.is_alive())
    assert server.started
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join(10)


def asked(port: int, authority: trustme.CA, own: trustme.LeafCert | None = None) -> bytes:
    """Ask for the page, believing one authority alone."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if own is not None:
        own.configure_cert(context)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wire,
    ):
        wire.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: wire.recv(4096), b"")).rpartition(b"\r\n\r\n")[2]


def is_let_in(port: int, authority: trustme.CA, own: trustme.LeafCert | None) -> bool:
    """Say whether who shows this is answered; by TLS 1.3 a client learns of a refusal, or of an end, when it reads."""
    try:
        return asked(port, authority, own) == b"ok"
    except (ssl.SSLError, ConnectionError):
        return False


def test_a_renewed_certificate_is_shown_without_a_restart(files: Files) -> None:
    """And while only one of two files is new, the one before is."""
    first, second = trustme.CA(), trustme.CA()
    files.show(first)
    with served(files.variables()) as port:
        assert asked(port, first) == b"ok"
        with pytest.raises(ssl.SSLCertVerificationError):
            asked(port, second)
        certificate = files.certificate.read_bytes()
        files.show(second)
        renewed = files.certificate.read_bytes()
        files.certificate.write_bytes(certificate)  # the key is the new one's already
        assert asked(port, first) == b"ok"
        files.certificate.write_bytes(renewed)
        assert asked(port, second) == b"ok"
        with pytest.raises(ssl.SSLCertVerificationError):
            asked(port, first)
        files.certificate.unlink()  # somebody tidies up: who connects is answered all the same
        assert asked(port, second) == b"ok"


def test_who_may_connect_changes_without_a_restart(files: Files) -> None:
    """An authority that is taken out of the file lets nobody in any more."""
    own, first, second = trustme.CA(), trustme.CA(), trustme.CA()
    files.show(own)
    files.ask_for(first)
    with served(files.variables(mutual=True)) as port:
        known, stranger = first.issue_cert("a@example.org"), second.issue_cert("b@example.org")
        assert [is_let_in(port, own, one) for one in (known, None, stranger)] == [True, False, False]
        files.ask_for(second)
        assert [is_let_in(port, own, one) for one in (known, None, stranger)] == [False, False, True]


def test_grpc_shows_a_renewed_certificate(files: Files) -> None:
    """By the same files, at the port of gRPC."""
    first, second = trustme.CA(), trustme.CA()
    files.show(first)
    tls = Tls(certificate=files.certificate, key=files.key)

    async def reached(port: int, authority: trustme.CA) -> bool:
        trusted = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
        async with grpc.aio.secure_channel(f"localhost:{port}", trusted) as channel:
            state = channel.get_state(try_to_connect=True)
            while state not in {grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE}:
                await channel.wait_for_state_change(state)
                state = channel.get_state()
            return state is grpc.ChannelConnectivity.READY

    async def walk() -> list[bool]:
        server = grpc.aio.server()
        port = server.add_secure_port("127.0.0.1:0", tls.for_grpc())
        await server.start()
        before = [await reached(port, first), await reached(port, second)]
        files.show(second)
        after = [await reached(port, first), await reached(port, second)]
        await server.stop(None)
        return [*before, *after]

    assert asyncio.run(walk()) == [True, False, False, True]


def test_what_cannot_be_used_is_named(files: Files) -> None:
    """Before anybody is asked to connect."""
    files.show(trustme.CA())
    with pytest.raises(InvalidEnvironment, match=f"{CERTIFICATE} without {KEY}"):
        options("0.0.0.0", {CERTIFICATE: str(files.certificate)})
    files.certificate.write_text("no certificate")
    with pytest.raises(InvalidEnvironment, match="cannot be used"):
        options("127.0.0.1", files.variables())


@pytest.mark.parametrize(("host", "said"), [("127.0.0.1", ""), ("::1", ""), ("localhost", ""), ("0.0.0.0", "in clear")])
def test_a_server_that_others_reach_in_clear_says_so(host: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """On this machine alone there is nothing to say."""
    assert options(host, {}) == {}
    assert said in capsys.readouterr().err or not said
