"""The notifier's kit passes the fake, and catches a notifier that breaks any one promise."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr

from loopline.platform_core.contracts.notifier import Message
from loopline.platform_core.errors import Refused, StoreUnavailable
from loopline.platform_core.testing.fakes.notifier import InMemoryNotifier
from loopline.platform_core.testing.notifier import Mood, NotifierKit, Received
from loopline.platform_core.testing.parts.mutants import assert_catches
from tests.platform_core.testing.mutant import mutant, pairs, rescue

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


def delivered(change: Any) -> dict[str, Any]:
    """Make a notifier that changes a message before it delivers it."""
    return {"deliver": lambda up, own, message: up.deliver(replace(message, **change(message, own)))}


def written(**fields: Any) -> dict[str, Any]:
    """Make a notifier that writes something else into a message's fields; a function is given what stands there."""

    def others(message: Message) -> dict[str, Any]:
        return {name: to(getattr(message, name)) if callable(to) else to for name, to in fields.items()}

    return {"written": lambda up, _, message: up.written(replace(message, **others(message)))}


def refusing(refused: Any) -> dict[str, Any]:
    """Make a notifier that is otherwise when it is refused."""

    def send(up: Any, own: InMemoryNotifier, message: Message) -> None:
        if own._mood == "refuses":
            refused(own.token.get_secret_value())
        else:
            up.send(message)

    return {"send": send}


def tell(token: str) -> None:
    """Say too much."""
    raise Refused(f"token {token} is refused", "mend it")


def chain(token: str) -> None:
    """Keep the library's words."""
    raise Refused("refused", "mend it") from ValueError(f"401 for {token}")


class Stutters(InMemoryNotifier):
    """Breaks promise 1: the message comes twice."""

    def deliver(self, message: Message) -> None:
        super().deliver(message)
        super().deliver(message)


class WaitsForEver(InMemoryNotifier):
    """Breaks promise 4: a silent receiver holds everything up."""

    def send(self, message: Message) -> None:
        if self._mood == "silent":
            time.sleep(6 * self.timeout_seconds)  # longer than the kit allows
        super().send(message)


class LogsTheToken(InMemoryNotifier):
    """Breaks promise 6: the log shows the token."""

    def send(self, message: Message) -> None:
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


made = partial(mutant, InMemoryNotifier)
CAUGHT = {
    "test_1_delivers_once_with_everything": [
        Stutters,
        # nobody learns what to do
        made("ForgetsTheFix", **written(fix="")),
        # nobody learns why it comes late
        made("ForgetsTheNote", **written(note="")),
    ],
    "test_2_the_id_travels_along": [
        # each sending has an id of its own
        made("NumbersAnew", **delivered(lambda one, own: {"message_id": f"{one.message_id}{len(own.inbox)}"})),
        # two messages look like one sent again
        made("OneIdForAll", **delivered(lambda *_: {"message_id": "5f3a9c0011aa22bb33cc44dd"})),
    ],
    "test_3_the_first_line_tells_what_and_how_severe": [
        # what is over looks like what is raised
        made("NeverOver", **written(what="raised")),
        # an information looks like an emergency
        made("AllAlike", **written(severity="error")),
    ],
    "test_4_busy_or_silent_is_transient": [
        # a busy receiver is given up for good
        made("GivesUpOnBusy", **rescue("send", StoreUnavailable, lambda e, *_: Refused(e.problem, e.fix))),
        WaitsForEver,
    ],
    "test_5_a_refusal_is_permanent": [
        # a refusal is tried again
        made("KnocksForEver", **rescue("send", Refused, lambda e, *_: StoreUnavailable(e.problem, e.fix))),
        # nobody hears of a refusal
        made("SwallowsRefusals", **refusing(lambda _token: None)),
    ],
    "test_6_no_secret_shows": [
        # the error shows the token
        made("TellsTheToken", **refusing(tell)),
        # the error behind the error shows the token
        made("ChainsTheToken", **refusing(chain)),
        LogsTheToken,
        PlainToken,
    ],
    "test_7_text_from_outside_stays_text": [
        LetsHeadersIn,
        # what looks like markup is gone
        made("EatsMarkup", **written(problem=lambda text: text.replace("<!channel>", "everybody"))),
        # a long problem is sent in full
        made("NeverCuts", written=lambda up, _, message: up.written(message) + message.problem),
        # nobody sees that something is missing
        made("CutsInSilence", **written(problem=lambda text: text[:500])),
    ],
}
MOODS = {"GivesUpOnBusy": "busy", "WaitsForEver": "silent"}


@pytest.mark.parametrize(
    ("mutant", "test", "mood"), [(each, test, MOODS.get(each.__name__)) for each, test in pairs(CAUGHT)]
)
def test_the_kit_catches(
    mutant: type[InMemoryNotifier], test: str, mood: Mood | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Each promise's test fails on a notifier that breaks that promise."""
    notifier = mutant(token=SecretStr(SECRET), timeout_seconds=0.1)
    more = {"mood": mood} if mood else {}
    more |= {"secrets": [SECRET], "caplog": caplog} if "secret" in test else {}
    assert_catches(NotifierKit, test, notifier=notifier, receiver=Inbox(notifier), **more)
