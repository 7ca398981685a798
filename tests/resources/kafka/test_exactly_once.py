"""Writers of one stream are killed (-9) and overtake each other: every record is there, once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.ingestion.inbox import Inbox
from loopline.platform_core.ingestion.streams.dead_records import dead_stream
from loopline.platform_core.ingestion.streams.streaming import catch_up, lag
from tests.hanging import hang
from tests.repeats import repeats

HERE = Path(__file__).parent
KILLS = repeats(10)
RECORDS_A_KILL = 300
POISON_EVERY = 53
AT_STAKE = ("checking", "letters", "publishing", "published", "rows")
"""Phases between the read and the commit of a batch."""
BEFORE_COMMIT = AT_STAKE[:-1]
"""Those in which rows are not being committed yet."""


@pytest.fixture
def site(kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Give a lake, a topic of three partitions, and a process that starts writers."""
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setenv("PHASES", str(tmp_path))
    import stream_writers

    (tmp_path / "orders.yaml").write_text(stream_writers.CONTRACT)
    platform, team, source = stream_writers.opened(tmp_path, kafka)
    command = [sys.executable, str(HERE / "stream_writers.py"), str(tmp_path), kafka]
    nursery = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield Site(tmp_path, (platform, team, source), nursery)
    nursery.stdin.close()
    nursery.wait(300)
    platform.close()


class Site:
    """What is written to, by whom."""

    def __init__(self, home: Path, args: Any, nursery: subprocess.Popen[str]) -> None:
        self.home, self.args, self.nursery = home, args, nursery
        self.sent: dict[str, list[str]] = {"good": [], "poison": []}

    @property
    def inbox(self) -> Inbox:
        """Name its tables."""
        return Inbox.of(*self.args)

    def send(self, count: int) -> None:
        """Publish numbers, some of them poison."""
        records = []
        for _ in range(count):
            number = sum(map(len, self.sent.values()))
            kind = "good" if number % POISON_EVERY else "poison"
            self.sent[kind].append(str(number if kind == "good" else -1 - number))
            records.append(Record(json.dumps({"Number": int(self.sent[kind][-1])}).encode(), str(number).encode()))
        self.args[0].event_stream.publish(self.inbox.where, records)

    def start(self) -> int:
        """Start a writer; gives its process."""
        self.nursery.stdin.write("start\n")
        self.nursery.stdin.flush()
        return int(self.nursery.stdout.readline())

    def wait_for(self, process: int, phases: Collection[str]) -> None:
        """Wait until a writer is in one of the phases; it has something to land."""
        end = time.monotonic() + 200
        while self.phase(process) not in phases and time.monotonic() < end:
            time.sleep(0.0005)  # between two looks: what is looked at tells nobody

    def phase(self, process: int) -> str:
        """Return what a writer was about to do."""
        noted = self.home / f"phase.{process}"
        return (noted.read_text().strip() if noted.exists() else "") or "starting"

    def overtaken(self, process: int) -> int:
        """Count how often a writer began again since the other had committed first."""
        noted = self.home / f"overtaken.{process}"
        return noted.read_text().count("CommitConflict") if noted.exists() else 0

    def stop_before_its_commit(self, writers: list[int]) -> int:
        """Stop one of the writers that has read a batch and not committed it; there is always more to land."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for writer in writers:
                if self.phase(writer) in BEFORE_COMMIT:
                    hang(writer)
                    if self.phase(writer) in BEFORE_COMMIT:
                        return writer
                    os.kill(writer, signal.SIGCONT)
            if lag(*self.args).total == 0:
                self.send(300)
        pytest.fail("no writer was found between its read and its commit within a minute")

    def kill(self, process: int) -> str:
        """Kill a writer; gives what it was about to do."""
        os.kill(process, signal.SIGKILL)
        while Path(f"/proc/{process}").exists():
            time.sleep(0.002)  # between two looks: what is looked at tells nobody
        return self.phase(process)

    def exact(self) -> None:
        """Land the rest here, and look for every record where it belongs."""
        platform, inbox = self.args[0], self.inbox
        catch_up(*self.args)
        assert lag(*self.args).total == 0
        landed = [str(number) for number in platform.lake.read(inbox.raw)["number"].to_pylist()]
        assert Counter(landed) == Counter(self.sent["good"])
        letters = platform.lake.read(inbox.dead_letters).to_pylist()
        assert sorted(json.loads(letter["row"])["Number"] for letter in letters) == sorted(self.sent["poison"])
        published = platform.event_stream.read(dead_stream(inbox), {}, 100_000).to_pylist()
        assert {row["key"].decode() for row in published} == {letter["letter_id"] for letter in letters}


def test_kills_at_random_moments_lose_and_double_nothing(site: Site) -> None:
    """Kills: every other at any time, the rest within a batch; often the next writer is there before."""
    chance, died = random.Random(), Counter[str]()
    site.send(RECORDS_A_KILL)
    writer = site.start()
    for kill in range(KILLS):
        site.send(RECORDS_A_KILL)
        if kill % 2:
            site.wait_for(writer, [chance.choice(AT_STAKE)])
        time.sleep(chance.uniform(0, 0.003 if kill % 2 else 0.8))  # any moment
        successor = site.start() if kill % 3 == 0 else None
        died[site.kill(writer)] += 1
        writer = successor or site.start()
    site.kill(writer)
    in_batch = sum(died[phase] for phase in AT_STAKE)
    print(f"\n{KILLS} kills, {in_batch} between the read and the commit: {dict(died.most_common())}")  # noqa: T201
    site.exact()
    assert in_batch >= KILLS // 4


def test_two_writers_at_once_land_each_record_once(site: Site) -> None:
    """They overtake each other all the time; the one that is stale is refused, and goes on from where the other is."""
    writers = [site.start(), site.start()]
    for _ in range(repeats(3)):
        before = {writer: site.overtaken(writer) for writer in writers}
        site.send(300)
        stale = site.stop_before_its_commit(writers)
        until(lambda: lag(*site.args).total == 0, "the other writer lands everything")
        os.kill(stale, signal.SIGCONT)
        until(lambda stale=stale, before=before: site.overtaken(stale) > before[stale], "the stale writer is refused")
    for writer in writers:
        site.kill(writer)
    site.exact()


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds, for a minute at most."""
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, f"not within a minute: {what}"
        time.sleep(0.005)  # between two looks: what is looked at tells nobody
