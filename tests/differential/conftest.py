"""Feast's answers, given by Feast itself in its own environment."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pyarrow import parquet

from benchmarks.peers import ROOT, interpreter
from benchmarks.peers.feast_history import Question, write_job
from benchmarks.peers.feast_store import KINDS, View
from benchmarks.peers.histories import ROW, History
from loopline.platform_core.contracts.engine import Engine, ViewRows
from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME
from loopline.resources.polars.engine import PolarsEngine

Rows = list[tuple[Any, ...]]


class Asked(NamedTuple):
    """A history, and how Feast is asked about it."""

    history: History
    known: bool = False
    created_at: str = CREATED_AT

    @property
    def name(self) -> str:
        """Name the question."""
        return f"{self.history.name}_{'known' if self.known else 'default'}"


@dataclass(frozen=True)
class Answers:
    """What Feast said, and what we say."""

    folder: Path

    def feast(self, one: History, *, known: bool = False) -> Rows:
        """Return the features of each label, in the labels' order."""
        found = parquet.read_table(self.folder / f"{Asked(one, known).name}.parquet").sort_by(ROW)
        return list(zip(*(found[name].to_pylist() for name in one.features), strict=True))

    def ours(self, one: History, engine: Engine | None = None) -> Rows:
        """Return ours, by the engine on Polars if no other is given."""
        found = (engine or PolarsEngine()).point_in_time(one.labels, [ViewRows(one.view, one.rows)])
        return list(zip(*(found[name].to_pylist() for name in one.features), strict=True))


@pytest.fixture(scope="session")
def by_feast() -> Callable[..., str]:
    """Run a module, or a command, by Feast's Python; return what it printed."""

    def run(module: str, *arguments: object, folder: Path = ROOT) -> str:
        done = subprocess.run(
            [_python(), "-W", "ignore", "-m", module, *map(str, arguments)],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run


@pytest.fixture(scope="session")
def feast_program() -> Path:
    """Return the ``feast`` command."""
    return Path(_python()).parent / "feast"


@pytest.fixture(scope="session")
def ask(by_feast: Callable[..., str]) -> Callable[[Path, Sequence[Asked]], Answers]:
    """Ask Feast everything at once: it takes seconds to import."""

    def run(folder: Path, questions: Sequence[Asked]) -> Answers:
        write_job(folder / "job.json", [_question(folder, one) for one in questions])
        by_feast("benchmarks.peers.feast_history", folder / "job.json")
        return Answers(folder)

    return run


@pytest.fixture(scope="session")
def asked() -> type[Asked]:
    """How a question is made."""
    return Asked


def _question(folder: Path, one: Asked) -> Question:
    rows, labels = folder / f"{one.name}_rows.parquet", folder / f"{one.name}_labels.parquet"
    parquet.write_table(one.history.rows, rows)
    parquet.write_table(one.history.labels, labels)
    schema = one.history.rows.schema
    features = [(name, KINDS[str(schema.field(name).type)]) for name in one.history.features]
    kind, view = KINDS[str(schema.field("key").type)], one.history.view
    asked = View(view.name, "key", kind, str(rows), EVENT_TIME, one.created_at, features, view.ttl_days)
    return Question(one.name, asked, str(labels), one.known)


def _python() -> str:
    """Find Feast's Python; failing is better than a suite that quietly compares nothing."""
    try:
        return interpreter("feast")
    except FileNotFoundError as error:
        pytest.fail(str(error))
