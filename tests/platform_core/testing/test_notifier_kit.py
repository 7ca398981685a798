"""The notifier's kit passes the fake, and catches a notifier that breaks any one promise."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from pydantic import SecretStr

from loopline.platform_core.contracts.notifier import Message
from loopline.platform_core.errors import Refused, StoreUnavailable
from loopline.platform_core.testing.fakes.notifier import InMemoryNotifier
from loopline.platform_core.testing.mutants import assert_catches
from loopline.platform_core.testing.notifier import Mood, NotifierKit, Received

SECRET = "open-sesame"


class Inbox:
    """The fake's other end."""

    def __init__(self, notifier: InMemoryNotifier) -> None:
        self.notifier = notifier

    def feel(self, mood: Mood) -> None:
        self.notifier.feel(mood)

    def received(self) -> Sequence[Received]:
        return [_parsed(identity, text) for identity, text in self.notifier.inbox]


def _parsed(identity: str, text: str) -> Received:
    """Read headers as a mail program would: lines before the first empty one."""
    head, _, _ = text.partition("\n\n")
    headers = dict(line.split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
    return Received(text.splitlines()[0], text, identity, headers)


class TestFake(NotifierKit):
    """The fake keeps every promise."""

    @pytest.fixture
    def notifier(self) -> InMemoryNotifier:
        return InMemoryNotifier(token=SecretStr(SECRET), timeout_seconds=0.1)

    @pytest.fixture
    def receiver(self, notifier: InMemoryNotifier) -> Inbox:
        return Inbox(notifier)

    @pytest.fixture
    def secrets(self) -> list[str]:
        return [SECRET]


class Stutters(InMemoryNotifier):
    """Breaks promise 1: the message comes twice."""

    def deliver(self, message: Message) -> None:
        """Deliver, and again."""
        super().deliver(message)
        super().deliver(message)


class ForgetsTheFix(InMemoryNotifier):
    """Breaks promise 1: nobody learns what to do."""

    def written(self, message: Message) -> str:
        """Leave the fix out."""
        return super().written(replace(message, fix=""))


class ForgetsTheNote(InMemoryNotifier):
    """Breaks promise 1: nobody learns why it comes late."""

    def written(self, message: Message) -> str:
        """Leave the note out."""
        return super().written(replace(message, note=""))


class NumbersAnew(InMemoryNotifier):
    """Breaks promise 2: each sending has an id of its own."""

    def deliver(self, message: Message) -> None:
        """Add a number."""
        super().deliver(replace(message, message_id=f"{message.message_id}{len(self.inbox)}"))


class OneIdForAll(InMemoryNotifier):
    """Breaks promise 2: two messages look like one sent again."""

    def deliver(self, message: Message) -> None:
        """Cut the id."""
        super().deliver(replace(message, message_id="5f3a9c0011aa22bb33cc44dd"))


class NeverOver(InMemoryNotifier):
    """Breaks promise 3: what is over looks like what is raised."""

    def written(self, message: Message) -> str:
        """Say raised."""
        return super().written(replace(message, what="raised"))


class AllAlike(InMemoryNotifier):
    """Breaks promise 3: an information looks like an emergency."""

    def written(self, message: Message) -> str:
        """Say error."""
        return super().written(replace(message, severity="error"))


class GivesUpOnBusy(InMemoryNotifier):
    """Breaks promise 4: a busy receiver is given up for good."""

    def send(self, message: Message) -> None:
        """Raise the wrong kind."""
        try:
            super().send(message)
        except StoreUnavailable as error:
            raise Refused(error.problem, error.fix) from None


class WaitsForEver(InMemoryNotifier):
    """Breaks promise 4: a silent receiver holds everything up."""

    def send(self, message: Message) -> None:
        """Wait first."""
        if self._mood == "silent":
            time.sleep(6 * self.timeout_seconds)
        super().send(message)


class KnocksForEver(InMemoryNotifier):
    """Breaks promise 5: a refusal is tried again."""

    def send(self, message: Message) -> None:
        """Raise the wrong kind."""
        try:
            super().send(message)
        except Refused as error:
            raise StoreUnavailable(error.problem, error.fix) from None


class SwallowsRefusals(InMemoryNotifier):
    """Breaks promise 5: nobody hears of a refusal."""

    def send(self, message: Message) -> None:
        """Keep quiet."""
        if self._mood != "refuses":
            super().send(message)


class TellsTheToken(InMemoryNotifier):
    """Breaks promise 6: the error shows the token."""

    def send(self, message: Message) -> None:
        """Say too much."""
        if self._mood == "refuses":
            raise Refused(f"token {self.token.get_secret_value()} is refused", "mend it")
        super().send(message)


class ChainsTheToken(InMemoryNotifier):
    """Breaks promise 6: the error behind the error shows the token."""

    def send(self, message: Message) -> None:
        """Keep the library's words."""
        if self._mood == "refuses":
            raise Refused("refused", "mend it") from ValueError(f"401 for {self.token.get_secret_value()}")
        super().send(message)


class LogsTheToken(InMemoryNotifier):
    """Breaks promise 6: the log shows the token."""

    def send(self, message: Message) -> None:
        """Log too much."""
        logging.getLogger(__name__).debug("sending with %s", self.token.get_secret_value())
        super().send(message)


class PlainToken(InMemoryNotifier):
    """Breaks promise 6: the notifier written out shows the token."""

    key: str = SECRET


class LetsHeadersIn(InMemoryNotifier):
    """Breaks promise 7: a line break in the problem begins a header."""

    def written(self, message: Message) -> str:
        """Write the problem into the head."""
        head = message.problem.replace("\r\n", "\n")
        return f"{message.title}\n{head}\n\n{message.text}"


class EatsMarkup(InMemoryNotifier):
    """Breaks promise 7: what looks like markup is gone."""

    def written(self, message: Message) -> str:
        """Drop tags."""
        return super().written(replace(message, problem=message.problem.replace("<!channel>", "everybody")))


class NeverCuts(InMemoryNotifier):
    """Breaks promise 7: a long problem is sent in full."""

    def written(self, message: Message) -> str:
        """Add the whole problem."""
        return super().written(message) + message.problem


class CutsInSilence(InMemoryNotifier):
    """Breaks promise 7: nobody sees that something is missing."""

    def written(self, message: Message) -> str:
        """Cut."""
        return super().written(replace(message, problem=message.problem[:500]))


@pytest.mark.parametrize(
    ("mutant", "test", "mood"),
    [
        (Stutters, "test_1_delivers_once_with_everything", None),
        (ForgetsTheFix, "test_1_delivers_once_with_everything", None),
        (ForgetsTheNote, "test_1_delivers_once_with_everything", None),
        (NumbersAnew, "test_2_the_id_travels_along", None),
        (OneIdForAll, "test_2_the_id_travels_along", None),
        (NeverOver, "test_3_the_first_line_tells_what_and_how_severe", None),
        (AllAlike, "test_3_the_first_line_tells_what_and_how_severe", None),
        (GivesUpOnBusy, "test_4_busy_or_silent_is_transient", "busy"),
        (WaitsForEver, "test_4_busy_or_silent_is_transient", "silent"),
        (KnocksForEver, "test_5_a_refusal_is_permanent", None),
        (SwallowsRefusals, "test_5_a_refusal_is_permanent", None),
        (TellsTheToken, "test_6_no_secret_shows", None),
        (ChainsTheToken, "test_6_no_secret_shows", None),
        (LogsTheToken, "test_6_no_secret_shows", None),
        (PlainToken, "test_6_no_secret_shows", None),
        (LetsHeadersIn, "test_7_text_from_outside_stays_text", None),
        (EatsMarkup, "test_7_text_from_outside_stays_text", None),
        (NeverCuts, "test_7_text_from_outside_stays_text", None),
        (CutsInSilence, "test_7_text_from_outside_stays_text", None),
    ],
)
def test_the_kit_catches(
    mutant: type[InMemoryNotifier], test: str, mood: Mood | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Each promise's test fails on a notifier that breaks that promise."""
    notifier = mutant(token=SecretStr(SECRET), timeout_seconds=0.1)
    more = {"mood": mood} if mood else {}
    more |= {"secrets": [SECRET], "caplog": caplog} if "secret" in test else {}
    assert_catches(NotifierKit, test, notifier=notifier, receiver=Inbox(notifier), **more)
