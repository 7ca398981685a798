"""Contract of lineage backends: receive runs with their input and output datasets and columns."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from loopline.platform_core.contracts.base import Vendor

Happened = Literal["START", "COMPLETE", "FAIL", "ABORT"]


@dataclass(frozen=True)
class Origin:
    """A column of a dataset that another column came from: the ``same`` value, or one that was made with it."""

    dataset: str
    column: str
    same: bool = False


@dataclass(frozen=True)
class Field:
    """A column of a dataset, its type in the words of whoever knows it (a contract's, Arrow's), and what it is from."""

    name: str
    type: str
    origins: tuple[Origin, ...] = ()


@dataclass(frozen=True)
class Check:
    """What a check said of a dataset; one that ``blocks`` holds up what comes behind it."""

    name: str
    passed: bool
    blocks: bool = False


@dataclass(frozen=True)
class Dataset:
    """What was read or written: ``name`` is ``team/stage/name``; what is not known is left empty.

    ``version`` is that of the table, or what stands for it; ``rows`` how many a run added to an output. ``place`` is
    where it lies, a path or a URL, by which others know it too; ``checks`` are those of a dataset that was read.
    """

    name: str
    fields: tuple[Field, ...] = ()
    version: str = ""
    rows: int | None = None
    place: str = ""
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Run:
    """One execution of a job, by a name that stays and an id that no other execution has."""

    job: str
    run_id: UUID


@dataclass(frozen=True)
class RunEvent:
    """Something that happened to a run; ``at`` is the wall's time, in UTC.

    Each run has one START and one of the others. ``parent`` is the run of which this is a part. ``problem`` says why
    it failed, ``tags`` hold the cycle, the model and the like.
    """

    what: Happened
    at: datetime
    run: Run
    inputs: tuple[Dataset, ...] = ()
    outputs: tuple[Dataset, ...] = ()
    parent: Run | None = None
    problem: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


class Lineage(Vendor):
    """Where it is told what made what; an environment may bind none.

    Promises, each with a test in ``loopline.platform_core.testing.lineage``:
      1. When ``emit`` returns, the receiver has every event, in the order given.
      2. Nothing that an event says is lost: job and run, inputs and outputs with columns and their origins, versions,
         rows, places and checks, parent, problem and tags.
      3. The same event again is told in the same words: a receiver that knows it learns nothing new.
      4. A receiver that does not answer, or has too much to do, raises ``StoreUnavailable``: the call may be repeated.
      5. A receiver that refuses an event raises a ``Permanent`` error: repeating it would not help.

    ``namespace`` is what the receiver calls this installation.
    """

    namespace: str = "loopline"

    @abc.abstractmethod
    def emit(self, events: Sequence[RunEvent]) -> None:
        """Tell what happened."""
