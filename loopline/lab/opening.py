"""Opens the platform in a notebook: ``lab.open()`` and the models of installed teams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from loopline.lab import showing
from loopline.lab.comparing import Comparison, compared
from loopline.lab.fitting import Fitted, fitted
from loopline.lab.rows import Frame, TrainingRows
from loopline.lab.versions import Version, found
from loopline.platform_core import plugins
from loopline.platform_core.contracts.registry import CANDIDATE, CHAMPION
from loopline.platform_core.errors import NotFound
from loopline.platform_core.features.compute.row_scope import Reach, Tables
from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME, GONE, ModelRef
from loopline.platform_core.loop.ledger.entry_kinds import PINNED
from loopline.platform_core.platform import Platform
from loopline.platform_core.training import training_set
from loopline.platform_core.training.packaging.of_version import training_set_of

if TYPE_CHECKING:
    from loopline.platform_core.plugins import Installed
    from loopline.platform_core.specs import Estimator, FeatureView, Model, Team

ALIASES = (CHAMPION, CANDIDATE)


def open(environment: str | Path | None = None) -> Lab:  # noqa: A001 - ``lab.open()``, as of files
    """Open the environment in force, or that of a file; ``with lab.open() as shop`` closes it.

    Raises:
        InvalidEnvironment: it cannot be read.
    """
    return Lab(Platform.open(Path(environment) if environment else None), plugins.installed())


@dataclass(frozen=True, eq=False, repr=False)
class Lab(showing.Table):
    """Models of the installed teams by ``team/model`` (or ``model`` alone, where one team has it)."""

    platform: Platform
    installed: Installed

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what is open."""
        self.platform.close()

    def training_set(self, model: str, when: str | datetime | None = None) -> TrainingRows:
        """Return a pinned training set, its rows rebuilt bit for bit.

        The newest that a cycle pinned; of a version (``"3"``, ``"champion"``) the one that it learnt from; of an
        instant what was known then. Nothing is written down.

        Raises:
            NotFound: nothing was pinned, or there is no such version. ContractBroken: the rows cannot be had again.
        """
        team, spec, ref = self._named(model)
        if isinstance(when, datetime):
            pinned = training_set.build(self.platform, team, spec, when)
        elif when is not None:
            pinned = training_set_of(self.platform.ledger, ref, self._version(ref, when))
        else:
            last = self.platform.ledger.entries(ref, [PINNED], limit=1, newest_first=True)
            if not last:
                fix = f"open one with 'loopline cycle start {ref}', or give an instant: when=datetime.now(UTC)"
                raise NotFound(f"no cycle of {ref} has pinned a training set yet", fix)
            pinned = training_set.from_json(last[0].details)
        return TrainingRows.of(self.platform, team, spec, pinned)

    def view(self, view: str, day: date | None = None) -> Frame:
        """Return a view's rows (``team/view``) of events on a day in UTC, yesterday's unless told, as they are known.

        Raises:
            NotFound: no team has such a view, or it was never materialized.
        """
        team, spec = self._view(view)
        day = day or self.platform.clock.now().date() - timedelta(days=1)
        tables = Tables(self.platform, team, spec)
        begin = datetime.fromisoformat(f"{day}T00:00:00+00:00")
        rows = tables.held(Reach(None, begin, begin + timedelta(days=1)))
        return Frame(f"{team.name}/{spec.name} of {day}", _newest(rows, spec.entity))

    def version(self, model: str, version: str = CHAMPION) -> Version:
        """Return a version by its number, or the one that an alias points at: ``champion``, ``candidate``.

        Raises:
            NotFound: there is none.
        """
        team, spec, ref = self._named(model)
        return found(self.platform, team, spec, self._version(ref, version))

    def fit(self, rows: TrainingRows, fit: Callable[..., Estimator], **params: Any) -> Fitted:
        """Fit on the part of a training set that every training learns from; nothing is published.

        Raises:
            ContractBroken: the rows are too few to be split. InvalidSpec: the estimator is of another kind.
        """
        return fitted(rows, fit, params)

    def compare(self, rows: TrainingRows, *sides: Fitted | Version) -> Comparison:
        """Measure fits and versions on the same held-out rows; the first is what the others are held against.

        Raises:
            InvalidSpec: there is nothing to compare, or a version of another kind.
        """
        return compared(rows, sides)

    def _named(self, model: str) -> tuple[Team, Model, ModelRef]:
        name = model.rpartition("/")[2]
        team = self.installed.owner_of(model)
        return team, team.model(name), ModelRef(team.name, name)

    def _version(self, ref: ModelRef, version: str) -> str:
        if version not in ALIASES:
            return version
        one = self.platform.registry.by_alias(ref.dotted, version)
        if one is None:
            known = ", ".join(each.version for each in self.platform.registry.versions(ref.dotted)) or "none"
            raise NotFound(f"{ref} has no {version}", f"name a version: {known}")
        return one.version

    def _view(self, view: str) -> tuple[Team, FeatureView]:
        team_name, _, name = view.rpartition("/")
        every = [(team, one) for team in self.installed.teams for one in team.views]
        mine = [(team, one) for team, one in every if one.name == name and team_name in {"", team.name}]
        if len(mine) != 1:
            known = ", ".join(sorted(f"{team.name}/{one.name}" for team, one in every)) or "none"
            raise NotFound(f"{len(mine)} views are called {view!r}", f"views are {known}")
        return mine[0]

    @property
    def _shown(self) -> showing.Shown:
        every = [(team, model) for team in self.installed.teams for model in team.models]
        rows = [[f"{team.name}/{model.name}", model.target.kind, model.description] for team, model in every]
        return f"environment {self.platform.environment.name}", ["model", "kind", "what it says"], rows


def _newest(rows: Any, entity: str) -> Any:
    """Keep of each entity and event what became known last, and leave out what is no more."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if GONE in rows.column_names:
        rows = rows.filter(pc.invert(pc.fill_null(rows[GONE], fill_value=False)))
    rows = rows.sort_by([(EVENT_TIME, "ascending"), (entity, "ascending"), (CREATED_AT, "ascending")])
    places = pa.table({"entity": rows[entity], "at": rows[EVENT_TIME], "place": pa.array(range(len(rows)), pa.int64())})
    last = places.group_by(["entity", "at"]).aggregate([("place", "max")])["place_max"]
    kept = [name for name in rows.column_names if not name.startswith("_")]
    return rows.take(last.sort()).select(kept)
