"""Stream scoring, exactly once: scores records of one stream onto another, answers and offsets in one commit."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.platform_core.alarms.untrusted import alarmed
from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.errors import BadRequest, LooplineError, NotFound, TaskFailed, Transient, Unsupported
from loopline.platform_core.foundation.collection import no_collection
from loopline.platform_core.loop.deployments import packages
from loopline.platform_core.loop.deployments.deployments import deployment
from loopline.platform_core.redaction import redacted
from loopline.platform_core.runtime.answering.inference import Inference, ModelState
from loopline.platform_core.runtime.answering.routes import Route
from loopline.platform_core.scoring.event_scoring import EventScoring, event_scoring
from loopline.platform_core.scoring.scorer_status import SHOW_SECONDS, PartitionStatus, ScorerStatus, StatusFile
from loopline.platform_core.scoring.stream_log import StreamLog
from loopline.platform_core.scoring.stream_records import answered, as_request, dead, parsed, refuse_hiding

if TYPE_CHECKING:
    from threading import Event

    import pyarrow as pa

    from loopline.platform_core.contracts.event_stream import Member, Record
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.runtime.model.manifest import Manifest
    from loopline.platform_core.specs import Team

LOOK_SECONDS = 1.0
"""How often it is looked up which version is live; also how long a turn waits for its first record."""
LAST_LOOKS, JOIN_LOOKS = 5, 60
"""So often in a row nothing may come until who works ``once`` has done: once it has partitions, and before."""
READ = ("partition", "offset", "next", "key", "value")
"""What is looked at of each record by itself."""
Answers = Mapping[str, "Sequence[Record]"]


@dataclass
class StreamScorer:
    """Scores for one member of a group; ``report`` is told what went wrong and is tried again."""

    platform: Platform
    ref: ModelRef
    source: str
    target: str
    member: Member
    report: Callable[[str], None]
    limit: int = 500
    team: Team | None = None
    """Who declares the source of events, where they are that, with its contract."""
    counted: Counter[str] = field(default_factory=Counter)
    _log: StreamLog = field(init=False)
    _inference: Inference = field(init=False)
    _loop: asyncio.Runner = field(init=False, default_factory=asyncio.Runner)
    _looked: float = field(init=False, default=float("-inf"))
    _moves: int = field(init=False, default=-1)
    events: EventScoring | None = field(init=False, default=None)
    """What scores events, where the model has windows over them."""
    failures: Counter[str] = field(default_factory=Counter)
    shown: ScorerStatus | None = field(init=False, default=None)
    """What was written down last of how it is."""
    _places: dict[int, int] = field(init=False, default_factory=dict)
    _shown: float = field(init=False, default=float("-inf"))
    _status: StatusFile = field(init=False)

    def __post_init__(self) -> None:
        """Open the log."""
        self._log = StreamLog(root_of(self.platform), self.ref.dotted, f"{self.source}:")
        self._status = StatusFile(root_of(self.platform), self.ref.dotted)
        store, clock = self.platform.online_store, self.platform.clock
        self._inference = Inference(store, self._log.write, clock, most_ahead_us=sys.maxsize)

    def run(self, stop: Event, *, once: bool = False) -> None:
        """Turn until told to stop; ``once``: until nothing has come for a while.

        Raises:
            LooplineError: trying again would not help, such as nothing being live.
        """
        idle = 0
        while not stop.is_set() and not (once and idle >= (LAST_LOOKS if self.member.moves else JOIN_LOOKS)):
            moves = self.member.moves
            try:
                idle = 0 if self.turn(LOOK_SECONDS) or self.member.moves != moves else idle + 1
            except Transient as error:
                self.report(redacted(f"{type(error).__name__}: {error}"))
                self.failures[type(error).__name__] += 1
                self._start_over()
                stop.wait(error.delay_seconds)

    def turn(self, wait_seconds: float) -> int:
        """Score what is there, log it, and commit answers, dead records and the place; gives the records done."""
        self._follow()
        records = self.member.take(self.limit, wait_seconds)
        if self.member.moves != self._moves:  # another member may have logged what is given here now
            self._moves = self.member.moves
            self._log.look_again()
            self._places.clear()
            if self.events:
                self.events.state.look_again()
        self._show()
        if not len(records):
            return 0
        with no_collection():
            return self._answer(records)

    def _answer(self, records: pa.Table) -> int:
        """Score, log and commit what was taken."""
        from pyarrow import compute

        rows = records.select(READ).to_pylist()
        self._log.expect(compute.min(records["at"]).as_py())
        try:
            out = self._said(records, rows)
            self._log.sync()
            self.member.commit(out)
        except BaseException:
            if self.events:
                self.events.state.take_back()
            raise
        if self.events:
            self.events.state.settle(rows)
        self._places |= {row["partition"]: row["next"] for row in rows}
        self._log.committed(self._name(row) for row in rows)
        self.counted.update({stream: len(each) for stream, each in out.items()})
        return len(rows)

    def close(self) -> None:
        """Leave the group and close the log."""
        self.member.close()
        self._log.close()
        self._status.leave()
        self._loop.close()

    def status(self) -> ScorerStatus:
        """Say how far it is, with what state.

        Raises:
            StoreUnavailable: the broker does not answer.
        """
        ends = self.platform.event_stream.ends(self.source) if self._places else {}
        state = self.events.state if self.events else None
        counted = {"answers": self.counted[self.target], "dead": self.counted[f"{self.source}.dead"]}
        return ScorerStatus(
            self.ref.dotted,
            self.source,
            time.time(),
            os.getpid(),
            state.hash if state else "",
            [
                PartitionStatus(
                    number, place, max(0, ends.get(number, 0) - place), *(state.sizes(number) if state else ())
                )
                for number, place in sorted(self._places.items())
            ],
            counted | (state.counted if state else {}),
            dict(self.failures),
            state.replay_seconds if state else 0.0,
        )

    def _show(self) -> None:
        """Write down how it is, now and then; that no disk takes it, or no broker tells, is no reason to fall."""
        if time.monotonic() - self._shown > SHOW_SECONDS:
            self._shown = time.monotonic()
            with contextlib.suppress(Transient, OSError):
                self.shown = self.status()
                self._status.write(self.shown)

    def _start_over(self) -> None:
        """Take again what was not committed; what of it is logged is not logged twice."""
        self.member.abandon()
        self._log.look_again()

    def _follow(self) -> None:
        """Load the version that is live, if it is another one."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        current = deployment(self.platform.ledger, self.ref)
        if current is None or current.stable is None:
            raise NotFound(f"no version of {self.ref} is live", "promote one first: the stable version scores")
        before = self._inference.models.get(self.ref.dotted, ModelState()).route
        stable = packages.at_hand(self.platform, self.ref, current.stable)
        if before is None or before.stable.served != stable:
            self._load(DesiredState(self.ref.dotted, current.generation, stable), before)
        self._looked = time.monotonic()

    def _load(self, state: DesiredState, before: Route | None) -> None:
        """Load a version; where that fails the one before goes on."""
        try:
            with alarmed(self.platform, self.ref, state.stable.version):
                route = Route.build(state, before, self.platform.trust)
            refuse_hiding(self.ref.dotted, [one.name for one in route.stable.model.outputs.each])
            self.events = self._event_scoring(route.stable.model.manifest)
            self._inference.models[self.ref.dotted] = ModelState(route)
        except LooplineError as error:
            if before is None:
                raise
            self.report(
                f"version {state.stable.version} cannot be loaded, {before.stable.served.version} goes on: {error}"
            )

    def _event_scoring(self, known: Manifest) -> EventScoring | None:
        """Return what scores events for a version; with state as it is where the definition is the same."""
        made = event_scoring(
            self.platform,
            self.team,
            self.source,
            known,
            self.target,
            self._name,
            self.report,
        )
        now = self.events
        if made and now:
            made.state.go_on(now.state)
        return made

    def _said(self, records: pa.Table, rows: Sequence[Mapping[str, Any]]) -> Answers:
        """Score events, or requests; answers keep the order of what they answer."""
        if self.events is None:
            results = self._loop.run(self._score(rows))
        else:
            results = self.events.said(self._inference, self._log, records, rows)
        out: dict[str, list[Record]] = {}
        for stream, record in results:
            out.setdefault(stream, []).append(record)
        return out

    async def _score(self, rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, Record]]:
        """Score rows at once, so that their look-ups travel together."""
        tasks = [asyncio.ensure_future(self._one(row)) for row in rows]
        try:
            return await asyncio.gather(*tasks)
        finally:  # one that went on after another failed would log its record in a later turn, which has it logged
            await _end(tasks)

    def _name(self, row: Mapping[str, Any]) -> str:
        """Name a record in the log: its place is nobody else's, as an id of the caller's may be."""
        return f"{self.source}:{row['partition']}:{row['offset']}"

    async def _one(self, row: Mapping[str, Any]) -> tuple[str, Record]:
        name = self._name(row)
        recipe = self._inference.route(self.ref.dotted).stable.recipe
        try:
            asked = parsed(row["value"])
            answer = await self._inference.infer(self.ref.dotted, as_request(asked, name, recipe))
            return self.target, answered(row["key"], asked, name, self.ref.dotted, answer)
        except (BadRequest, TaskFailed) as error:
            reason = str(error)
        except (TypeError, ValueError, OverflowError) as error:  # it would come again after each restart
            reason = redacted(f"cannot be answered: {type(error).__name__}: {error} → mend the record")
        return f"{self.source}.dead", dead(row["key"], row["value"], name, reason)


async def _end(tasks: Sequence[asyncio.Future[Any]]) -> None:
    """Stop those that still run, and wait until they have."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def root_of(platform: Platform) -> Path:
    """Return the folder of the prediction log.

    Raises:
        Unsupported: the endpoint keeps none here.
    """
    root = getattr(platform.serving, "root", None)
    if root is None:
        raise Unsupported(
            f"{type(platform.serving).__name__} keeps no prediction log into which a stream's answers could be written",
            "bind serving to a vendor with a root, such as 'local'",
        )
    return Path(root)
