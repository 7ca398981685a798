"""In-memory notifier, which can be told to be busy, to refuse, or not to respond."""

from __future__ import annotations

from typing import Literal

from pydantic import PrivateAttr, SecretStr

from loopline.platform_core.contracts.notifier import Message, Notifier
from loopline.platform_core.errors import Refused, StoreUnavailable

Mood = Literal["well", "busy", "refuses", "silent"]


class InMemoryNotifier(Notifier):
    """Keeps what it delivered; ``token`` is a secret that no error may show."""

    token: SecretStr = SecretStr("open-sesame")
    _inbox: list[tuple[str, str]] = PrivateAttr(default_factory=list)
    _mood: Mood = PrivateAttr(default="well")

    def send(self, message: Message) -> None:
        """Put the message's id and text into the inbox, as the mood allows."""
        if self._mood == "refuses":
            raise Refused(f"the receiver of {self.name or 'the notifier'} refuses", "mend its token")
        if self._mood != "well":
            raise StoreUnavailable(f"the receiver is {self._mood}", "wait", delay_seconds=5)
        self.deliver(message)

    def deliver(self, message: Message) -> None:
        """Put a message into the inbox."""
        self._inbox.append((message.message_id, self.written(message)))

    def written(self, message: Message) -> str:
        """Write a message."""
        return f"{message.title}\n\n{message.text}"

    def feel(self, mood: Mood) -> None:
        """Tell the receiver how to answer from now on."""
        self._mood = mood

    @property
    def inbox(self) -> list[tuple[str, str]]:
        """Return id and text of what was delivered, oldest first."""
        return list(self._inbox)
