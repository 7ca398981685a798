"""What one decision by policies costs, in process."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.page import Promise, Section
from loopline.platform_core.environment import Access, Environment
from loopline.platform_core.policies import files, rules
from loopline.platform_core.policies.question import LOOP, Circumstances, Question, Resource
from loopline.platform_core.policies.rules import Rules
from loopline.platform_core.specs.slo import Slo

HOW = """One decision by Cedar with the policies that ship: question, roles, resource and circumstances are made, asked,
and the answer is read back to the policies that gave it. "First of its kind" has a person or a resource that was not
asked about before, whose entities are parsed; "as the portal asks" looks first whether a file of roles or policies has
changed. p50 and p99 are of all calls; the last column is p99 of the quietest of the batches of 250 calls, which other
work on the machine disturbs least: it is what the promise is about."""
MODEL = Resource("Model", "retail/cancellations", "retail", slo=Slo())
ROLES = "teams: {retail: {owner: [ana, ben], operator: [cy]}}\n"
P99_US, BATCH = 100.0, 250
OWN = """@id("own-{n}") @grant("nobody") forbid (principal is User, action == Action::"roll back", resource is Model)
when {{ resource.team.name == "team-{n}" && context.production }};
"""


def compare(quick: bool = False) -> Section:
    """Measure each kind of question, in turns of a batch."""
    with TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "roles.yaml").write_text(ROLES)
        environment = Environment("bench", place, {}, "", None, place, access=Access(place / "roles.yaml"))
        many = replace(environment, access=Access(place / "roles.yaml", _own(place / "own", 100)))
        calls = _calls(environment, many)
        taken = _taken(calls, 8 if quick else 80)
    rows = [[name, *map(_us, figures)] for name, figures in taken.items()]
    promise = Promise("one decision, p99 of the quietest batch", next(iter(taken.values()))[2], P99_US, " µs")
    header = ("decision", "p50", "p99", "p99, quietest batch")
    return Section("Decisions by policies", HOW, header, rows, [promise])


def _calls(environment: Environment, many: Environment) -> dict[str, Callable[[], object]]:
    found, more = _rules(environment), _rules(many)
    numbers = count()
    production = Circumstances("bench", production=True)
    loop = Question(LOOP, frozenset(), "start rollout", MODEL, replace(production, judged=frozenset({"AtLeast(auc)"})))
    return {
        "an owner rolls back, allowed": lambda: found.decide("ana", "roll back", MODEL, production),
        "an override in production, denied": lambda: found.decide("ana", "override gate", MODEL, production),
        "the loop starts a rollout": lambda: found.engine.decide(loop),
        "first of its kind": lambda: found.decide(
            "ana", "roll back", replace(MODEL, name=f"a/{next(numbers)}"), production
        ),
        "as the portal asks": lambda: _rules(environment).decide("ana", "roll back", MODEL, production),
        "with 100 policies more": lambda: more.decide("ana", "roll back", MODEL, production),
    }


def _another(numbers: Iterator[int]) -> Resource:
    return replace(MODEL, name=f"retail/model_{next(numbers)}")


def _rules(environment: Environment) -> Rules:
    found = rules.of(environment)
    assert found is not None  # it names roles
    return found


def _own(folder: Path, size: int) -> Path:
    folder.mkdir()
    (folder / f"own{files.ENDING}").write_text("".join(OWN.format(n=n) for n in range(size)))
    return folder


def _taken(calls: Mapping[str, Callable[[], object]], turns: int) -> dict[str, tuple[float, float, float]]:
    """Return microseconds: p50 and p99 of all calls, and p99 of the quietest batch."""
    batches: dict[str, list[list[int]]] = {name: [] for name in calls}
    for call in calls.values():
        _batch(call)  # nothing is parsed for the first time any more
    gc.collect()
    for _ in range(turns):
        for name, call in calls.items():
            batches[name].append(_batch(call))
    return {name: _figures(found) for name, found in batches.items()}


def _figures(batches: list[list[int]]) -> tuple[float, float, float]:
    every = [one for batch in batches for one in batch]
    return _at(every, 0.5), _at(every, 0.99), min(_at(batch, 0.99) for batch in batches)


def _batch(call: Callable[[], object]) -> list[int]:
    return [_nanoseconds(call) for _ in range(BATCH)]


def _nanoseconds(call: Callable[[], object]) -> int:
    began = time.perf_counter_ns()
    call()
    return time.perf_counter_ns() - began


def _at(nanoseconds: list[int], share: float) -> float:
    return sorted(nanoseconds)[int(len(nanoseconds) * share)] / 1_000


def _us(value: float) -> str:
    return f"{value:.0f} µs"
