"""The mail notifier keeps its promises to a real mail server, over TLS and with a login."""

from __future__ import annotations

import asyncio
import base64
import email
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from loopline.platform_core.errors import Refused, StoreUnavailable
from loopline.platform_core.testing.notifier import MESSAGE, Mood, NotifierKit, Received
from loopline.resources.smtp.notifier import SmtpNotifier
from tests.emulators.http_server import certified

PASSWORD = "s3cret-of-the-mailbox"
Tls = tuple[Path, ssl.SSLContext]


@dataclass
class MailServer:
    """Speaks as much SMTP as a mail server needs: EHLO, STARTTLS, AUTH PLAIN, MAIL, RCPT, DATA, QUIT."""

    trust: ssl.SSLContext | None
    tls_at_once: bool = False
    mood: Mood = "well"
    mails: list[EmailMessage] = field(default_factory=list)
    secured: list[bool] = field(default_factory=list)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to one client."""
        if self.mood == "silent":
            await asyncio.sleep(3)  # longer than the notifier waits
        await _say(writer, "220 mill.example")
        while line := (await reader.readline()).decode().strip():
            verb = line.split()[0].upper()
            if verb == "STARTTLS":
                await _say(writer, "220 go ahead")
                await writer.start_tls(self.trust)
            elif verb == "DATA":
                await _say(writer, "354 end with a dot")
                await self._take(reader, writer)
            elif verb != "QUIT":
                await _say(writer, self._answer(verb, line, writer))
            if verb == "QUIT":
                break  # without an answer: a mail that was taken stays taken
        writer.close()

    def _answer(self, verb: str, line: str, writer: asyncio.StreamWriter) -> str:
        if verb == "EHLO":
            offered = "AUTH PLAIN" if _is_secure(writer) or not self.trust else "STARTTLS"
            return f"250-mill.example\r\n250 {offered}"
        if verb == "AUTH":
            _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
            known = (user, password) == ("ada", PASSWORD) and self.mood != "refuses"
            return "235 welcome" if known else f"535 not you, {password}"
        if verb == "RCPT" and self.mood == "busy":
            return "451 later"
        return "250 well"

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = []
        while (line := await reader.readline()) != b".\r\n":
            lines.append(line.removeprefix(b"."))
        self.mails.append(email.message_from_bytes(b"".join(lines), policy=default))
        self.secured.append(_is_secure(writer))
        await _say(writer, "250 taken")


async def _say(writer: asyncio.StreamWriter, line: str) -> None:
    writer.write(f"{line}\r\n".encode())
    await writer.drain()


def _is_secure(writer: asyncio.StreamWriter) -> bool:
    return writer.get_extra_info("ssl_object") is not None


@contextmanager
def running(server: MailServer) -> Iterator[MailServer]:
    """Run a mail server in a thread of its own."""
    loop = asyncio.new_event_loop()
    at_once = server.trust if server.tls_at_once else None
    listening = loop.run_until_complete(asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=at_once))
    server.port = listening.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        listening.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
            loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        loop.close()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """Who signed for 127.0.0.1, and the server's end of TLS."""
    return certified(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server(tls: Tls) -> Iterator[MailServer]:
    """A mail server that wants STARTTLS and a login."""
    with running(MailServer(tls[1])) as started:
        yield started


def to(server: MailServer, **more: object) -> SmtpNotifier:
    """Make a notifier that sends to a server."""
    fields = {"host": "127.0.0.1", "port": server.port, "sender": "loopline@mill.example", "timeout_seconds": 0.5}
    return SmtpNotifier(**fields | {"to": ("ada@mill.example", "bob@mill.example")} | more)


@pytest.fixture
def notifier(server: MailServer, tls: Tls) -> SmtpNotifier:
    """A notifier with the mailbox's password."""
    return to(server, user="ada", password=PASSWORD, authority=tls[0])


class Mailbox:
    """Reads mails as a mail program does."""

    def __init__(self, server: MailServer) -> None:
        self.server = server

    def feel(self, mood: Mood) -> None:
        self.server.mood = mood

    def received(self) -> Sequence[Received]:
        return [
            Received(
                mail["Subject"], f"{mail['Subject']}\n{mail.get_content()}", mail["Message-ID"], dict(mail.items())
            )
            for mail in self.server.mails
        ]


class TestSmtp(NotifierKit):
    """Every promise, over STARTTLS and with a login."""

    tested_on = "strict fake: a mail server with STARTTLS"

    @pytest.fixture
    def receiver(self, server: MailServer) -> Mailbox:
        return Mailbox(server)

    @pytest.fixture
    def secrets(self) -> list[str]:
        return [PASSWORD]


def test_nothing_is_said_before_the_line_is_secure(notifier: SmtpNotifier, server: MailServer) -> None:
    """The mail came over TLS, to everybody, and says that a machine wrote it."""
    notifier.send(MESSAGE)
    assert server.secured == [True]
    assert server.mails[0]["To"] == "ada@mill.example, bob@mill.example"
    assert server.mails[0]["Message-ID"] == f"<{MESSAGE.message_id}@mill.example>"
    assert server.mails[0]["Auto-Submitted"] == "auto-generated"


def test_tls_from_the_first_byte(tls: Tls) -> None:
    """As port 465 wants it."""
    with running(MailServer(tls[1], tls_at_once=True)) as server:
        to(server, security="tls", authority=tls[0]).send(MESSAGE)
        assert server.secured == [True]


def test_a_stranger_s_certificate_is_refused(server: MailServer) -> None:
    """Without our authority the server could be anybody: a person must mend that."""
    with pytest.raises(Refused, match="cannot be trusted"):
        to(server).send(MESSAGE)
    assert not server.mails


def test_a_server_without_starttls_is_refused() -> None:
    """What was to be secret is not sent in the clear instead; a relay that needs none is asked for by ``none``."""
    with running(MailServer(None)) as server:
        with pytest.raises(Refused, match="does not offer STARTTLS"):
            to(server).send(MESSAGE)
        to(server, security="none").send(MESSAGE)
        assert server.secured == [False]


def test_nobody_there_is_worth_another_try() -> None:
    """A port that nobody listens on is transient."""
    with pytest.raises(StoreUnavailable, match="ConnectionRefusedError"):
        SmtpNotifier(host="127.0.0.1", port=9, sender="a@b", to=("c@d",), timeout_seconds=0.5).send(MESSAGE)
