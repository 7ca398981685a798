"""Alarm delivery: sends what is due through every notifier, with retries per notifier, also after a restart."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from loopline.platform_core.alarms import active_alarms, deliveries, messages
from loopline.platform_core.alarms.active_alarms import Standing
from loopline.platform_core.alarms.alarm import Alarm
from loopline.platform_core.alarms.debounce import Delivery, News, news, pause
from loopline.platform_core.alarms.deliveries import Post
from loopline.platform_core.contracts.notifier import SEVERITIES
from loopline.platform_core.errors import LooplineError, Refused, Transient
from loopline.platform_core.loop.freezes import frozen

if TYPE_CHECKING:
    from loopline.platform_core.contracts.notifier import Message, Notifier
    from loopline.platform_core.platform import Platform

BETWEEN_SUMMARIES = timedelta(hours=1)
LOOKED_BACK = timedelta(days=7)
"""How long a notifier may be down and still tell what ended meanwhile."""
DOWN_AFTER = 3
"""Failed attempts in a row after which a notifier itself is an alarm, for the others to tell."""
Due = tuple[Standing, News]


@dataclass(frozen=True)
class Sent:
    """A message that a notifier delivered, or did not and why."""

    notifier: str
    message: Message
    problem: str = ""


def deliver(platform: Platform, now: datetime | None = None) -> list[Sent]:
    """Tell every notifier what it is still to tell; ``now`` is the wall's time, by which people live.

    What was told is in the ledger, so whoever calls next goes on from there. A message whose telling was cut off
    before that was written is sent again, under the same id.
    """
    moment, began = now or datetime.now(UTC), time.monotonic()
    alarms = [*active_alarms.standing(platform.ledger), *active_alarms.past(platform.ledger, moment - LOOKED_BACK)]
    return [sent for notifier in platform.notifiers for sent in _Round(platform, notifier, moment, began).run(alarms)]


@dataclass(frozen=True)
class _Round:
    """One notifier's turn in the round of ``now``, which began at ``began`` of this process's clock (seconds)."""

    platform: Platform
    notifier: Notifier
    now: datetime
    began: float

    @property
    def post(self) -> Post:
        """Return the notifier's book."""
        return Post(self.platform.ledger, self.notifier.name)

    def run(self, alarms: Sequence[Standing]) -> list[Sent]:
        """Send what is due: singly as far as the budget goes, the rest in one summary."""
        known = self.post.deliveries([one.alarm.cause for one in alarms])
        due = [(one, what) for one in alarms if (what := self._news(one, known.get(one.alarm.cause, Delivery())))]
        if not due:
            return []
        due.sort(key=lambda each: -SEVERITIES.index(each[0].alarm.severity))  # the gravest first, then the oldest
        used, summed_at = self.post.spent(self.now)
        room = max(0, self.notifier.daily_budget - used)
        batches = [[each] for each in due[:room]]
        if due[room:] and (summed_at is None or self.now >= summed_at + BETWEEN_SUMMARIES):
            batches.append(due[room:])
        return self._send_all(batches, known)

    def _news(self, one: Standing, delivery: Delivery) -> News | None:
        """Say what is to be told; of what is frozen nothing, which the ledger says in its place."""
        if one.alarm.cause == _cause(self.notifier):
            return None  # a notifier that is down cannot say so itself
        what = news(self.notifier, one, delivery, self.now)
        if what is None or what == "over" or one.alarm.subject is None or not one.alarm.subject.model:
            return what
        freeze = frozen(self.platform.ledger, one.alarm.subject)
        if freeze is None:
            return what
        why = f"frozen by {freeze.actor}: {freeze.reason}"
        if not deliveries.why_silenced(self.platform.ledger, one):  # the usual case takes no lock
            deliveries.silence(self.platform.ledger, one, why, self.platform.clock.now())
        return None

    def _send_all(self, batches: Sequence[Sequence[Due]], known: dict[str, Delivery]) -> list[Sent]:
        """Send batch by batch; one that the receiver refuses is put off, one that finds it down puts off all."""
        sent: list[Sent] = []
        for number, batch in enumerate(batches):
            try:
                sent += self._send(batch, known)
            except LooplineError as error:
                down = isinstance(error, Transient)
                off = [each for later in batches[number:] for each in later] if down else batch
                self._put_off(off, known, error)
                sent.append(Sent(self.notifier.name, self._message(batch), error.problem))
                if down:
                    break
        return sent

    def _send(self, batch: Sequence[Due], known: dict[str, Delivery]) -> list[Sent]:
        by_now = self.now + timedelta(seconds=time.monotonic() - self.began)  # receivers before may have taken long
        causes = [one.alarm.cause for one, _ in batch]
        claimed = {cause for cause in causes if self.post.claim(cause, known.get(cause), by_now)}
        mine = [each for each in batch if each[0].alarm.cause in claimed]
        if not mine:
            return []
        message = self._message(mine)
        self._hand_over(message)
        self.post.record_delivery(message, mine, self.platform.clock.now(), self.now)
        active_alarms.clear(self.platform, _cause(self.notifier), "it delivers again")
        return [Sent(self.notifier.name, message)]

    def _hand_over(self, message: Message) -> None:
        """Let the notifier send; of what its vendor raises only the kind is said, for its words may hold a secret.

        Raises:
            LooplineError: it was not sent.
        """
        try:
            self.notifier.send(message)
        except LooplineError:
            raise
        except Exception as error:  # noqa: BLE001 - the round goes on, whatever a vendor's defect
            said = f"its vendor failed: {type(error).__name__}"
        else:
            return
        raise Refused(said, "look at the notifier's settings; else report it")  # no context: it holds the words

    def _message(self, batch: Sequence[Due]) -> Message:
        if len(batch) > 1:
            return messages.summary(self.notifier.name, batch, self.notifier.daily_budget)
        one, what = batch[0]
        kept = deliveries.why_silenced(self.platform.ledger, one)
        return messages.message(self.notifier.name, one, what, f"kept back while {kept}" if kept else "")

    def _put_off(self, batch: Sequence[Due], known: dict[str, Delivery], error: LooplineError) -> None:
        asked = error.delay_seconds if isinstance(error, Transient) else 0
        attempts = {o.alarm.cause: known.get(o.alarm.cause, Delivery()).attempts + 1 for o, _ in batch}
        until = {cause: self.now + pause(count, asked) for cause, count in attempts.items()}
        self.post.postpone(until, error.problem)
        if max(attempts.values()) >= DOWN_AFTER:
            active_alarms.raise_alarm(self.platform, _down(self.notifier, error))


def _cause(notifier: Notifier) -> str:
    return f"notifier:{notifier.name}"


def _down(notifier: Notifier, error: LooplineError) -> Alarm:
    return Alarm(
        cause=_cause(notifier),
        severity="error",
        problem=f"the notifier {notifier.name} does not deliver: {error.problem}",
        fix=error.fix,
    )
