"""Spec of a model: features, labels, fit, search, gates, rollout, drift and all else that the loop needs."""

from __future__ import annotations

import math
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING, Literal

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.specs.automatic import Automatic, undeclared
from loopline.platform_core.specs.inputs import Inputs, form_of, refuse_unread
from loopline.platform_core.specs.judges.business_hours import business_hours
from loopline.platform_core.specs.metric_check import foreign
from loopline.platform_core.specs.quality import Quality
from loopline.platform_core.specs.search import Search
from loopline.platform_core.specs.slo import Slo
from loopline.platform_core.targets import Target, usual

if TYPE_CHECKING:
    from loopline.platform_core.specs.apart import Apart
    from loopline.platform_core.specs.batch import Batch
    from loopline.platform_core.specs.examples import Fit
    from loopline.platform_core.specs.experiment import Experiment
    from loopline.platform_core.specs.explain import Explain
    from loopline.platform_core.specs.judges.gates import Gate
    from loopline.platform_core.specs.judges.judges import Judge
    from loopline.platform_core.specs.labels import Labels
    from loopline.platform_core.specs.quality import Fairness
    from loopline.platform_core.specs.views.features import FeatureView
    from loopline.platform_core.specs.views.pictures import Watched


@dataclass(frozen=True)
class Requirements:
    """What heavy work needs: cores, memory in GB, GPUs; each of its ``workers`` as much.

    With several workers the task runs on all of them at once, each with an address (``Gang.here()``), and what the
    first one returns is its answer: for training that is distributed.

    Raises:
        InvalidSpec: there is no worker, or one asks for less than nothing or for no number.
    """

    cpu: float = 1
    memory_gb: float = 2
    gpu: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        """Refuse nobody, and less than nothing: of a quota or a budget it would leave others more than there is."""
        if self.workers < 1:
            raise InvalidSpec(f"compute asks for {self.workers} workers", "ask for one, or for more")
        for name in ("cpu", "memory_gb", "gpu"):
            asked = getattr(self, name)
            if not 0 <= asked < math.inf:
                raise InvalidSpec(f"compute asks for {asked:g} {name}", "ask for 0, or for more")


@dataclass(frozen=True)
class Rollout:
    """From a few percent to all.

    After each step ``bake_minutes`` pass and ``min_requests`` candidate requests are answered before the judges
    decide. Harm is acted on as soon as ``min_requests`` are there.

    With ``shadow_requests`` the candidate first answers nobody: so many requests that the stable version answered are
    replayed through it, and it is judged on those, before it takes its first percent.

    With ``hours`` ("Mon-Fri 09:00-17:00 Europe/London") it goes forward only then; harm goes back at any time. A
    candidate whose harm is neither proven nor gone after ``patience`` bake times is taken back: the old version stays.

    With ``watch_hours`` the version before goes on as a shadow for so long after a promotion. The judges go on looking,
    and harm that they prove then takes the promotion back by itself.

    Raises:
        InvalidSpec: ``hours`` are written otherwise.
    """

    percents: tuple[int, ...] = (5, 25, 100)
    bake_minutes: float = 10
    min_requests: int = 50
    judges: tuple[Judge, ...] = ()
    shadow_requests: int = 0
    hours: str = ""
    patience: float = 4
    watch_hours: float = 0

    def __post_init__(self) -> None:
        """Refuse hours that cannot be read."""
        if self.hours:
            business_hours(self.hours)


@dataclass(frozen=True)
class Drift:
    """When to turn the loop.

    Windows hold at least ``min_rows`` predictions, and whole rounds of entities that come back after the same time,
    such as shops by week; an alarm is the same column in ``alarms`` of the last ``windows``, or ``share`` of all
    columns at once; at most ``daily_budget`` cycles a day, ``cooldown_hours`` apart. String features named in ``texts``
    are measured by their words, those in ``categories`` by their values; of the others the training set decides. Where
    the rows of training depend on each other, a window has drifted only beyond what its own consecutive ``blocks``
    show; without them each season and each common move is told, as of independent rows.
    """

    min_rows: int = 500
    alarms: int = 2
    windows: int = 3
    share: float = 0.3
    cooldown_hours: float = 24
    daily_budget: int = 3
    texts: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    blocks: bool = True


@dataclass(frozen=True)
class Skew:
    """How far what was served may differ from what training would have seen.

    Two numbers are alike up to the ``relative`` difference. A version goes no further when more than ``at_most``
    (a share of the rows, 0..1) differ.
    """

    relative: float = 1e-6
    at_most: float = 0.001


@dataclass(frozen=True)
class Model:
    """What is predicted, from what, how it is fitted, what is good enough, and how it goes live.

    ``retention_days`` is how long the lake keeps what was predicted, by the day of the event (None: for ever).
    ``source_checks`` says what becomes of a cycle while checks of its sources fail: it is held until they pass or a
    person lets it go on (``hold``), or its story only says so (``warn``). ``training`` leaves rows out whose features
    were corrected after they were known (``without_corrected``; not where that goes with the label, as a state does),
    or learns them as they were known (``as_known``). ``segments`` are columns by which live
    figures are split: segment columns of the labels or features of the model (none: those of the labels). Without
    ``fairness`` what its ``FairAcross`` gates ask is asked of live answers too. ``sites`` are those of its team's sites
    where it is made and served (none: all of them); an environment that names no sites does not look at them.

    ``fit`` is left out where the search names ``estimators``. ``experiments`` may be asked for by name between two of
    its versions. With ``explain`` each day's predictions are explained.

    ``target`` is the kind of model; ``threshold=0.15`` is short for ``target=Binary(threshold=0.15)``.
    ``inputs`` is what ``fit`` and its estimator are given: a ``"matrix"``, ``"columns"`` (an Arrow table, with texts
    and lists as they are) or ``Tensor(shape=(8, 8))``. ``watched`` are functions at a module's top level that read a
    number a row off such tensors, for drift: ``brightness``, ``sharpness``, or a team's own. With ``apart`` the
    estimator runs in a process of its own, with libraries of its own.

    ``intended_use`` says for what its predictions are meant, and ``limits`` for what they are not, or where they fail:
    a version's card shows both.

    Raises:
        InvalidSpec: a metric is named that the target does not have, nothing or too much fits it, there are no such
            inputs, or nothing can be read off them.
    """

    name: str
    features: tuple[FeatureView, ...]
    labels: Labels
    fit: Fit = undeclared
    search: Search = field(default_factory=lambda: Search(trials=1))
    gates: tuple[Gate, ...] = ()
    rollout: Rollout = field(default_factory=Rollout)
    drift: Drift = field(default_factory=Drift)
    skew: Skew = field(default_factory=Skew)
    slo: Slo = field(default_factory=Slo)
    compute: Requirements = field(default_factory=Requirements)
    threshold: InitVar[float | None] = None
    owner: str = ""
    description: str = ""
    batch: Batch | None = None
    retention_days: int | None = None
    segments: tuple[str, ...] = ()
    quality: Quality = field(default_factory=Quality)
    fairness: tuple[Fairness, ...] = ()
    source_checks: Literal["hold", "warn"] = "hold"
    training: Literal["without_corrected", "as_known"] = "without_corrected"
    sites: tuple[str, ...] = ()
    target: Target = field(default_factory=usual)
    inputs: Inputs = "matrix"
    watched: tuple[Watched, ...] = ()
    experiments: tuple[Experiment, ...] = ()
    apart: Apart | None = None
    explain: Explain | None = None
    intended_use: str = ""
    limits: tuple[str, ...] = ()

    def __post_init__(self, threshold: float | None) -> None:
        """Let ``threshold`` stand for a binary target, and refuse metrics that the target does not have."""
        if threshold is not None:
            if self.target != usual():
                raise InvalidSpec(f"model {self.name!r} has a threshold and a target", "give the target alone")
            object.__setattr__(self, "target", usual(threshold))
        refuse_unread(self.name, form_of(self.inputs), self.watched)
        for _, error in foreign(self):
            raise error
        for problem, fix in (said for one in self.experiments for said in one.problems(self.target)):
            raise InvalidSpec(f"model {self.name!r}: {problem}", fix)
        object.__setattr__(self, "fit", fitted_by(self.name, self.fit, self.search, self.target))

    @property
    def searched(self) -> str:
        """Name the metric that a search goes by."""
        return self.search.metric or self.target.searched


def fitted_by(name: str, fit: Fit, search: Search, target: Target) -> Fit:
    """Return what fits a model: its own function, or whichever of its search's estimators a trial is of.

    Raises:
        InvalidSpec: there is neither or both, or families know nothing of what the target learns.
    """
    if not search.estimators:
        if fit is undeclared:
            raise InvalidSpec(f"model {name!r} names nothing that fits", "give it fit=, or Search(estimators=(...))")
        return fit
    if isinstance(fit, Automatic):  # a copy of a model that was declared already
        return Automatic(search, target)
    if fit is not undeclared:
        raise InvalidSpec(
            f"model {name!r} has a fit beside the estimators of its search", "name the function among the estimators"
        )
    ours = [one for one in search.estimators if isinstance(one, str)]
    if ours and not target.learns:
        raise InvalidSpec(
            f"model {name!r}: no family learns what a {target.kind} model does", "name functions as estimators, or fit="
        )
    return Automatic(search, target)
