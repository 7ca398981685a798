"""The shadow's process beside the real server: kills, two at once, priority, and its word when it is not there."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pytest

from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.environment import Environment
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import gates
from loopline.platform_core.loop.cycles.gates import Verdict
from loopline.platform_core.loop.rollouts import rollouts
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import ErrorRate, Model, Rollout, ScoreShift
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.testing.parts.endpoints import (
    Load,
    ask_over_http,
    come_to,
    new_model,
    served,
    wait_for,
    wait_until,
)
from loopline.platform_core.testing.parts.inference_server import inference_server, shadow_process
from loopline.platform_core.testing.parts.model_packages import Column, Constant, write_package
from loopline.platform_core.testing.parts.ports import free_port
from loopline.platform_core.turn import start_rollout
from loopline.resources.local.serving import LocalServing
from tests.repeats import repeats

KILLS = repeats(3)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write an environment file."""
    folder = tmp_path_factory.mktemp("shadow")
    file = folder / "environment.yaml"
    file.write_text(f"""
name: test
bindings:
  serving: {{vendor: local, root: "{folder}/serving", port: {free_port()}}}
  online_store: {{vendor: sqlite, path: "{folder}/online.db"}}
""")
    return file


@pytest.fixture(scope="module")
def serving(environment: Path) -> Iterator[LocalServing]:
    """Run the server with two workers, without shadows."""
    port = int(environment.read_text().partition("port: ")[2].partition("}")[0])
    with inference_server(environment, port, workers=2):
        yield LocalServing(root=f"{environment.parent}/serving", port=port)


def shadowed(serving: LocalServing, model: str) -> list[str]:
    """Return the ids of what was replayed."""
    rows = serving.predictions(model)[0].to_pylist()
    return sorted(row["request_id"] for row in rows if row["role"] == "shadow")


@contextmanager
def in_a_hurry() -> Iterator[None]:
    """Let what is started here begin before everybody else, where that is allowed."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


def test_kills_lose_nothing_and_repeat_nothing(serving: LocalServing, environment: Path, tmp_path) -> None:
    """Killed again and again at random moments under load, every answer is replayed once; the callers see nothing."""
    model, stable, dice = new_model(), served(tmp_path, "1"), random.Random()
    come_to(serving, DesiredState(model, 1, stable))
    come_to(serving, DesiredState(model, 2, stable, shadow=served(tmp_path, "2")))
    with Load(serving, ask_over_http, model) as load:
        for _ in range(KILLS):
            before = len(shadowed(serving, model))
            with shadow_process(environment) as process:
                wait_until(lambda before=before: len(shadowed(serving, model)) > before)
                time.sleep(dice.uniform(0.0, 0.3))  # any moment
                os.kill(process.pid, signal.SIGKILL)
    assert {(answer.status, answer.version) for answer in load.answers} == {(200, "1")}
    asked = sorted(answer.request_id for answer in load.answers)
    assert len(asked) > 100
    with shadow_process(environment):
        assert wait_until(lambda: len(shadowed(serving, model)) >= len(asked))
    assert shadowed(serving, model) == asked


def test_of_two_processes_one_replays_and_the_other_takes_over(serving, environment, tmp_path):
    """Each request once, also when the first is killed."""
    model, stable = new_model(), served(tmp_path, "1")
    come_to(serving, DesiredState(model, 1, stable, shadow=served(tmp_path, "2")))
    with ExitStack() as stack:
        first, second = (stack.enter_context(shadow_process(environment)) for _ in range(2))
        asked = [ask_over_http(serving, model, f"k{n}", 1.0).request_id for n in range(20)]
        assert wait_until(lambda: len(shadowed(serving, model)) == len(asked))
        first.kill()
        first.wait()
        asked += [ask_over_http(serving, model, f"k{n}", 1.0).request_id for n in range(20)]
        assert wait_until(lambda: len(shadowed(serving, model)) >= len(asked))
        second.kill()
        second.wait()
    assert shadowed(serving, model) == sorted(asked)


def test_it_takes_only_time_that_nobody_wants_and_ends_when_told(serving, environment, tmp_path):
    """The kernel runs it when a processor is idle, whoever started it; what it did is in the log when it ends."""
    model = new_model()
    come_to(serving, DesiredState(model, 1, served(tmp_path, "1"), shadow=served(tmp_path, "2")))
    ask_over_http(serving, model, "k", 1.0)
    with in_a_hurry(), shadow_process(environment) as process:
        assert wait_until(lambda: len(shadowed(serving, model)) == 1)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == 19
        assert os.sched_getscheduler(process.pid) == os.SCHED_IDLE
        process.terminate()
        assert process.wait(100) == 0


def test_without_its_process_the_endpoint_says_so(serving, tmp_path):
    """The endpoint answers and is at its generation; the shadow alone is missing."""
    model = new_model()
    come_to(serving, DesiredState(model, 1, served(tmp_path, "1"), shadow=served(tmp_path, "2")))
    assert "no shadow process runs" in wait_for(serving, model, lambda seen: bool(seen.problem)).problem
    assert ask_over_http(serving, model, "k", 1.0).version == "1"
    come_to(serving, DesiredState(model, 2, served(tmp_path, "1")))
    assert serving.observe(model).problem == ""


@pytest.fixture
def loop(serving, tmp_path) -> Iterator[Platform]:
    """Bind the server to a ledger and a registry."""
    bindings = {"serving": serving, "registry": InMemoryRegistry()}
    platform = Platform(
        Environment("test", tmp_path / "e.yaml", bindings, f"sqlite:///{tmp_path}/ledger.db", None, tmp_path)
    )
    yield platform
    platform.close()


def roll_out(platform: Platform, ref: ModelRef, model: Model, estimator: object) -> rollouts.RolloutRecord:
    """Register a version that passed its gates and start its rollout."""
    package = write_package(platform.home / "built" / str(time.monotonic_ns()), estimator)
    published = platform.registry.publish(Publication(ref.dotted, package, None, pa.table({})))
    now = platform.clock.now()
    gates.record_verdict(platform.ledger, ref, "", published.version, Verdict(()), now)
    return start_rollout(platform, ref, model, published.version, "", now)


@pytest.mark.parametrize(("estimator", "action"), [(Constant(0.99), "roll_back"), (Column(0), "advance")])
def test_a_rollout_on_the_real_parts_judges_what_was_replayed(loop, environment, estimator, action):
    """A candidate that answers otherwise is taken back, one that answers alike goes on; callers meet version 1 only."""
    ref = ModelRef("kit", new_model().removeprefix("kit."))
    rule = Rollout(
        (50,), bake_minutes=0, min_requests=50, judges=(ErrorRate(0.05), ScoreShift(1.0)), shadow_requests=200
    )
    model = Model(ref.model, (), None, None, rollout=rule)  # type: ignore[arg-type]
    roll_out(loop, ref, model, Column(0))
    wait_for(loop.serving, ref.dotted, lambda seen: seen.ready)
    record = roll_out(loop, ref, model, estimator)
    assert record.in_shadow
    with shadow_process(environment):
        met = [ask_over_http(loop.serving, ref.dotted, f"k{n}", n / 240) for n in range(240)]
        assert wait_until(lambda: len(shadowed(loop.serving, ref.dotted)) == 240)
        wait_until(lambda: not loop.serving.observe(ref.dotted).problem)
        decision = rollouts.step(loop, model, record.rollout_id, loop.clock.now())
    assert {(answer.version, answer.role) for answer in met} == {("1", "stable")}
    assert decision.action == action, decision.reason
    assert decision.figures["candidate"]["requests"] == decision.figures["stable"]["requests"] == 240
