"""Notifier by e-mail (SMTP)."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from loopline.platform_core.contracts.notifier import Message, Notifier
from loopline.platform_core.errors import LooplineError, Refused, StoreUnavailable

LATER = range(400, 500)
"""SMTP's answers that say: not now."""


class SmtpNotifier(Notifier):
    """Sends a message to everybody in ``to``, as plain text.

    ``security`` is ``starttls`` (a server that does not offer it is refused), ``tls`` from the first byte, or ``none``
    for a relay on this machine. ``authority`` is the file of a certificate authority of your own. The header
    ``Message-ID`` is made of the message's id, so that the second of two copies is dropped by most mail servers.
    """

    host: str
    port: int = 587
    sender: str = Field(pattern=r"^[^@\s<>]+@[^@\s<>]+$")
    to: tuple[str, ...] = Field(min_length=1)
    user: str = ""
    password: SecretStr = SecretStr("")
    security: Literal["starttls", "tls", "none"] = "starttls"
    authority: Path | None = None

    def send(self, message: Message) -> None:
        """Hand it to the mail server."""
        problem: LooplineError
        try:
            server = self._connected()
            try:
                server.send_message(self.written(message))
            finally:
                _leave(server)
        except smtplib.SMTPException as error:
            problem = self._refused(error)
        except ssl.SSLError as error:
            problem = Refused(f"{self.host} cannot be trusted: {error.reason}", "give its authority's certificate")
        except OSError as error:
            problem = self._gone(type(error).__name__)
        else:
            return
        raise problem  # outside the handlers: what the server said may hold more than is to be shown

    def written(self, message: Message) -> EmailMessage:
        """Write a message as a mail."""
        mail = EmailMessage(policy=SMTP)
        mail["From"], mail["To"] = self.sender, ", ".join(self.to)
        mail["Subject"] = message.title
        mail["Date"] = formatdate()
        mail["Message-ID"] = f"<{message.message_id}@{self.sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text)
        return mail

    def _connected(self) -> smtplib.SMTP:
        if self.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, timeout=self.timeout_seconds, context=self._trust()
            )
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=self.timeout_seconds)
        try:
            if self.security == "starttls":
                server.starttls(context=self._trust())
            if self.user:
                server.login(self.user, self.password.get_secret_value())
        except BaseException:
            server.close()
            raise
        return server

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority)

    def _refused(self, error: smtplib.SMTPException) -> LooplineError:
        if isinstance(error, smtplib.SMTPServerDisconnected):
            return self._gone("it hung up")
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return Refused(f"{self.host} does not offer STARTTLS or logins", "choose another 'security', or no 'user'")
        codes = (
            [code for code, _ in error.recipients.values()]
            if isinstance(error, smtplib.SMTPRecipientsRefused)
            else [getattr(error, "smtp_code", 500)]
        )
        said = f"{self.host} answered {codes[0]}"
        if all(code in LATER for code in codes):
            return StoreUnavailable(said, "nothing: it is tried again", delay_seconds=60)
        if isinstance(error, smtplib.SMTPAuthenticationError):
            return Refused(f"{said} to the login", "correct the notifier's user or password")
        return Refused(said, "look at the addresses 'sender' and 'to'")

    def _gone(self, why: str) -> StoreUnavailable:
        return StoreUnavailable(
            f"{self.host}:{self.port} does not answer: {why}", "look whether it runs and is reached"
        )


def _leave(server: smtplib.SMTP) -> None:
    """Say goodbye; a mail that was taken stays taken, whatever the answer."""
    with contextlib.suppress(smtplib.SMTPException, OSError):
        server.quit()
    server.close()
