"""Two scorers share a stream and are killed (-9), on a real broker and in a folder.

Every request has one answer, and one record in the log.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.loop.deployments.deployments import change
from loopline.platform_core.runtime.model import manifest
from loopline.platform_core.runtime.prediction_log import log
from loopline.platform_core.testing.parts.model_packages import Constant, write_package
from tests.repeats import repeats
from tests.resources.kafka.scorer_nursery import Forking

HERE = Path(__file__).parent
KILLS = repeats(4)
A_KILL = 150
POISON_EVERY = 37


class Site(Forking):
    """The topics, the scorers, and what was asked."""

    def __init__(self, home: Path, platform: Any, nursery: subprocess.Popen[str]) -> None:
        super().__init__(home, platform, nursery)
        self.sent = Counter[str]()

    def send(self, count: int) -> None:
        """Ask, now and then what is no request."""
        records = []
        for number in range(self.sent.total(), self.sent.total() + count):
            kind = "good" if number % POISON_EVERY else "poison"
            asked = {"id": number, "entities": {"customer_id": number}, "features": {"amount": 1.0}}
            value = json.dumps(asked if kind == "good" else number).encode()
            records.append(Record(value, b"%d" % number))
            self.sent[kind] += 1
        self.platform.event_stream.publish("kit/ask", records)

    def read(self, stream: str) -> list[dict[str, Any]]:
        """Read what is on a stream."""
        return self.platform.event_stream.read(stream, {}, 100_000).to_pylist()

    def answered(self, seconds: float = 300.0) -> None:
        """Wait until everything is answered or put aside."""
        end = time.monotonic() + seconds
        while len(self.read("kit/say")) + len(self.read("kit/ask.dead")) < self.sent.total() and time.monotonic() < end:
            time.sleep(0.5)  # between two looks: what is looked at tells nobody


@pytest.fixture(params=["kafka", "folder"])
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Give a live version, streams of four partitions, and a process that starts scorers."""
    kafka = request.getfixturevalue("kafka") if request.param == "kafka" else ""
    monkeypatch.syspath_prepend(str(HERE))
    import stream_scorers

    platform = stream_scorers.opened(tmp_path, kafka)
    served = Served("1", write_package(tmp_path / "package", Constant(0.25)), "cycle-1")
    msgspec.structs.replace(manifest.load(served.package), model=stream_scorers.REF.dotted).save(served.package)
    platform.registry.publish(Publication(stream_scorers.REF.dotted, served.package, None, None))
    why = {"actor": "t", "reason": "t", "cycle": "cycle-1", "now": platform.clock.now()}
    change(platform, stream_scorers.REF, served, None, 0, **why)
    command = [sys.executable, str(HERE / "stream_scorers.py"), str(tmp_path), kafka]
    nursery = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for name in ("kit/ask", "kit/say", "kit/ask.dead") if kafka else ():
        platform.event_stream._make(name.replace("/", "."))
    yield Site(tmp_path, platform, nursery)
    nursery.stdin.close()
    nursery.wait(300)
    platform.close()


def test_kills_lose_and_double_nothing(site: Site) -> None:
    """Kills of either member at any moment; each comes back under its name, once under another's absence."""
    chance = random.Random()
    site.send(A_KILL)
    running = {name: site.start(name) for name in ("a", "b")}
    site.answered()
    for _ in range(KILLS):
        site.send(A_KILL)
        time.sleep(chance.uniform(0, 0.5))  # any moment
        name = chance.choice("ab")
        site.kill(running[name])
        running[name] = site.start(name)
        time.sleep(chance.uniform(0, 1.5))  # any moment
    site.answered()
    files = sorted(log.log_folder(site.home / "serving", "kit.model").glob("*.frames"))
    logged = [record.request_id for file in files for records, _ in log.read(file) for record in records]
    shares = Counter(file.name for file in files)
    for process in running.values():
        site.kill(process)
    answers = [json.loads(row["value"]) for row in site.read("kit/say")]
    poison = [int(row["value"]) for row in site.read("kit/ask.dead")]
    numbers = range(site.sent.total())
    print(f"\n{KILLS} kills, {len(answers)} answers, {len(poison)} dead, {len(shares)} log files")  # noqa: T201
    assert Counter(answer["id"] for answer in answers) == Counter(n for n in numbers if n % POISON_EVERY)
    assert Counter(poison) == Counter(n for n in numbers if not n % POISON_EVERY)
    assert Counter(logged) == Counter(answer["request_id"] for answer in answers)
    assert len(shares) >= 2


def test_two_members_share_the_partitions(site: Site) -> None:
    """Both answer: what each has logged came from partitions of its own."""
    running = [site.start(name) for name in ("a", "b")]
    for _ in range(30):
        site.send(40)
        time.sleep(0.3)  # records go on coming for a while
    site.answered()
    by_file = [
        {record.request_id.split(":")[1] for records, _ in log.read(file) for record in records}
        for file in log.log_folder(site.home / "serving", "kit.model").glob("*.frames")
    ]
    for process in running:
        site.kill(process)
    print(f"\npartitions by member: {by_file}")  # noqa: T201
    assert len(by_file) == 2
    assert min(map(len, by_file)) >= 1
