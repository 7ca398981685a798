"""Conformance kit of notifiers.

Subclass ``NotifierKit`` and give three fixtures: ``notifier`` (with ``timeout_seconds`` of at most 1), ``receiver``,
and ``secrets``, the texts that nobody may see. The receiver is a real one of your kind; it shows each message as a
person or a program would see it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, Protocol

import pytest

from loopline.platform_core.contracts.notifier import LONGEST, Message, Notifier
from loopline.platform_core.errors import LooplineError, Permanent, Transient

Mood = Literal["well", "busy", "refuses", "silent"]
MESSAGE = Message(
    message_id="5f3a9c0011aa22bb33cc44dd",
    what="raised",
    severity="error",
    cause="drift:retail/cancellations",
    problem="drifted in 2 of 3 windows: value 0.41 (from 0.10)",
    fix="look at the report, then retrain",
    since=datetime(2011, 3, 1, 14, 3, tzinfo=UTC),
    subject="retail/cancellations",
    link="https://dagster.example/assets/retail/drift/cancellations?view=checks",
)
HOSTILE = (
    'row 7: "a"\r\nBcc: everybody@example.com\r\n\r\n<!channel> <b>{bold}</b> & *stars* _lines_ ünï→💥 \x07 `code`'
)


@dataclass(frozen=True)
class Received:
    """A message as its receiver has it: the first line, the whole text as shown, its id, and all headers."""

    title: str
    text: str
    message_id: str
    headers: Mapping[str, str]


class Receiver(Protocol):
    """The other end."""

    def feel(self, mood: Mood) -> None:
        """Answer so from now on."""

    def received(self) -> Sequence[Received]:
        """Return what came, oldest first."""


class NotifierKit:
    """One test a promise of ``Notifier``."""

    def test_1_delivers_once_with_everything(self, notifier: Notifier, receiver: Receiver) -> None:
        """The receiver has the message when ``send`` returns, once, with all that a person needs."""
        notifier.send(MESSAGE)
        assert len(receiver.received()) == 1
        got = receiver.received()[0]
        for part in (MESSAGE.problem, MESSAGE.fix, MESSAGE.cause, MESSAGE.link, MESSAGE.subject):
            assert part in got.text
        assert MESSAGE.problem in got.title
        notifier.send(replace(MESSAGE, message_id="another", what="over", until=MESSAGE.since, note="came late"))
        assert "came late" in receiver.received()[1].text

    def test_2_the_id_travels_along(self, notifier: Notifier, receiver: Receiver) -> None:
        """The same message sent again has the same id, another one another."""
        for message in (MESSAGE, MESSAGE, replace(MESSAGE, message_id="0" * 24)):
            notifier.send(message)
        first, again, other = (got.message_id for got in receiver.received())
        assert MESSAGE.message_id in first
        assert first == again != other

    def test_3_the_first_line_tells_what_and_how_severe(self, notifier: Notifier, receiver: Receiver) -> None:
        """Raised with each severity, and over: four first lines that differ."""
        shown = [replace(MESSAGE, severity=severity) for severity in ("info", "warning", "error")]
        shown.append(replace(MESSAGE, what="over", until=MESSAGE.since))
        for message in shown:
            notifier.send(message)
        titles = [got.title for got in receiver.received()]
        assert len(set(titles)) == len(shown)
        for word, title in zip(("info", "warning", "error", "over"), titles, strict=True):
            assert word in title

    @pytest.mark.parametrize("mood", ["busy", "silent"])
    def test_4_busy_or_silent_is_transient(self, notifier: Notifier, receiver: Receiver, mood: Mood) -> None:
        """Whoever is busy, or does not answer in time, is worth another try; then the message comes."""
        receiver.feel(mood)
        begun = time.monotonic()
        with pytest.raises(Transient) as caught:
            notifier.send(MESSAGE)
        assert time.monotonic() - begun < 5 * notifier.timeout_seconds
        assert caught.value.delay_seconds > 0
        receiver.feel("well")
        before = len(receiver.received())
        notifier.send(MESSAGE)
        assert len(receiver.received()) == before + 1

    def test_5_a_refusal_is_permanent(self, notifier: Notifier, receiver: Receiver) -> None:
        """Whoever refuses will refuse again: a person must mend something, and is told what."""
        receiver.feel("refuses")
        with pytest.raises(Permanent) as caught:
            notifier.send(MESSAGE)
        assert caught.value.fix
        assert not receiver.received()

    def test_6_no_secret_shows(
        self, notifier: Notifier, receiver: Receiver, secrets: Sequence[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        """Neither errors, nor logs, nor the notifier written out show a secret; nor do the errors behind an error."""
        assert secrets
        seen = [repr(notifier), str(notifier), notifier.model_dump_json()]
        with caplog.at_level(logging.DEBUG):
            for mood in ("refuses", "busy", "well"):
                receiver.feel(mood)
                try:
                    notifier.send(MESSAGE)
                except LooplineError as error:
                    seen += _chain(error)
        for text in (*seen, caplog.text):
            assert not [secret for secret in secrets if secret in text]

    def test_7_text_from_outside_stays_text(self, notifier: Notifier, receiver: Receiver) -> None:
        """Line breaks, mentions and markup are shown as they are; what is too long is cut, and says so."""
        notifier.send(replace(MESSAGE, problem=HOSTILE, cause="check:retail/raw/orders"))
        notifier.send(replace(MESSAGE, problem="x" * (LONGEST + 5000)))
        hostile, long = receiver.received()
        assert not {"bcc"} & {name.lower() for name in hostile.headers}
        for part in ('row 7: "a"', "Bcc: everybody@example.com", "<!channel> <b>{bold}</b> & *stars* _lines_ ünï→💥"):
            assert part in hostile.text
        assert "characters more" in long.text
        assert len(long.text) < LONGEST + 2500


def _chain(error: BaseException | None) -> list[str]:
    """Write out an error and all behind it, as a traceback would."""
    said = []
    while error is not None:
        said += [str(error), repr(error), repr(vars(error))]
        error = error.__cause__ or error.__context__
    return said
