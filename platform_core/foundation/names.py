"""Naming scheme of assets, models, lake tables and online views, and of the columns that the platform adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.platform_core.specs.views.features import FeatureView

ARRIVED_AT = "_arrived_at"
"""Raw rows: when the platform could first know the row (UTC, µs)."""
ARRIVAL = "_arrival"
"""Raw rows and dead letters: id of the arrival (sha256 of the file) that brought the row."""
LINE = "_line"
"""Raw rows and dead letters: 1-based line in the file, header counted."""
OP = "_op"
"""Raw rows: what a row is for (``holding``); null for one that brings values. Only where something was taken back."""
SEQUENCE = "_sequence"
"""Raw rows, and dead letters of a stream: which landing, withdrawal or restoration they came with; a later one has a
higher number (``ingestion/sequence.py``)."""
SAID = "_said"
"""Raw rows that say something of a whole arrival: its name, who says it and why (a JSON object)."""
DELETED = "_deleted"
"""Rows as they arrive: true where a row ends the row of its key."""
CARRIED = (ARRIVAL, LINE, ARRIVED_AT)
"""What goes with a row, good or bad, through the check of its contract."""
DATE = "_date"
"""By which days of a table are found: the UTC date (``date32``) of the row's event time."""
EVENT_TIME = "event_time"
"""Feature rows, labels, training sets: when it happened (UTC, µs)."""
CREATED_AT = "created_at"
"""Feature rows: when the platform knew it (UTC, µs)."""
BEGUN_AT = "_begun_at"
"""Feature rows: when the platform began to write them online, on its clock (UTC, µs); ``created_at`` is when it had."""
GONE = "_gone"
"""Feature rows: true where the row of this entity and event is no more from ``created_at`` on; null for one that is."""
CORRECTS_SINCE = "_corrects_since"
"""Feature rows: where the row stands for one that rested on raw rows which hold no more, since when that one was known
(UTC, µs); null for any other row."""
KNOWN_AT = "known_at"
"""Labels: when the label became known (UTC, µs)."""
LABEL = "label"
"""Labels and training sets: what is to be predicted."""


PLATFORM = "loopline"
"""What the platform's own code location, asset keys and tables are called; no team may have the name."""


STAGES = (
    "arrivals", "raw", "dead_letters", "features", "training_set", "model", "deployment", "predictions", "drift",
    "quality", "scores", "explanations", "scorecard",
)  # fmt: skip
"""What an asset can be of a source, a view or a model; none ends with another, so a title says which it is."""


class AssetName(NamedTuple):
    """An asset by what it is of: ``stage`` of ``name``, of a team; ``team/stage/name`` as lake tables are named."""

    team: str
    stage: str
    name: str

    def __str__(self) -> str:
        """Write it as the lake, the ledger and causes of alarms do: they keep it whatever Dagster shows."""
        return f"{self.team}/{self.stage}/{self.name}"

    @property
    def path(self) -> tuple[str, str]:
        """Return its key in Dagster, whose last part is all that a box in a graph shows: ``cancellations_model``."""
        return (self.team, f"{self.name}_{self.stage}")

    @classmethod
    def of(cls, path: Sequence[str]) -> AssetName | None:
        """Read a key of Dagster; None for one that a team named otherwise."""
        if len(path) != 2:  # noqa: PLR2004 - team and title
            return None
        stage = next((stage for stage in STAGES if path[1].endswith(f"_{stage}")), None)
        return cls(path[0], stage, path[1].removesuffix(f"_{stage}")) if stage else None


class ModelRef(NamedTuple):
    """A model of a team; ``team/model`` for people, ``team.model`` for registry, server and the ledger's log."""

    team: str
    model: str

    def __str__(self) -> str:
        """Write it as people do."""
        return f"{self.team}/{self.model}"

    @property
    def dotted(self) -> str:
        """Write it as one name without a slash."""
        return f"{self.team}.{self.model}"


def version_order(version: str) -> tuple[int, str]:
    """Return what versions sort by: numbers by their size, after any other text."""
    return (int(version), "") if version.isdigit() else (0, version)


def raw_table(team: str, source: str) -> str:
    """Name the table of accepted rows of a source."""
    return f"{team}/raw/{source}"


def dead_letter_table(team: str, source: str) -> str:
    """Name the table of rows that broke the source's contract."""
    return f"{team}/dead_letters/{source}"


_CLOSED = ".resolved"


def closed_letter_table(team: str, source: str) -> str:
    """Name the table of dead letters that were replayed since: ``letter_id``, ``resolved_at``, ``_date``."""
    return f"{dead_letter_table(team, source)}{_CLOSED}"


def quality_table(team: str, source: str) -> str:
    """Name the table of what each landing of a source was like."""
    return f"{team}/quality/{source}"


def view_name(view: FeatureView) -> str:
    """Name a feature view among assets and in commands: from its second version on with the version."""
    return versioned(view.name, view.version)


def versioned(view: str, version: int) -> str:
    """Name a version of a view: from the second on with the version."""
    return view if version == 1 else f"{view}_v{version}"


def view_table(team: str, view: FeatureView) -> str:
    """Name the offline table of a feature view; a new version is a new table."""
    return f"{team}/features/{view.name}.v{view.version}"


def online_view(team: str, view: FeatureView) -> str:
    """Name a feature view in the online store."""
    return f"{team}.{view.name}.v{view.version}"


def prediction_table(team: str, model: str) -> str:
    """Name the table into which the prediction log of a model is compacted."""
    return f"{team}/predictions/{model}"


def realised_table(team: str, model: str) -> str:
    """Name the table of answered rows whose label has come."""
    return f"{team}/realised/{model}"


def scores_table(team: str, model: str) -> str:
    """Name the table of what a model's daily batches scored, in the form of the prediction log."""
    return f"{team}/scores/{model}"


def explanations_table(team: str, model: str) -> str:
    """Name the table of what each column contributed to a model's answers."""
    return f"{team}/explanations/{model}"


def scorecard_table(name: str) -> str:
    """Name a table of the scorecard; it is the platform's, no team's."""
    return f"{PLATFORM}/scorecard/{name}"


HOLDS = {
    "raw": "Accepted rows of the source {name} of team {team}",
    "dead_letters": "Rows of the source {name} of team {team} that broke its contract",
    "quality": "What each landing of the source {name} of team {team} was like",
    "features": "Feature view {name} of team {team}, each row with when it became known",
    "drift": "What was counted in each drift window of model {name} of team {team}",
    "predictions": "Requests that model {name} of team {team} answered",
    "realised": "Answers of model {name} of team {team} whose label has come",
    "scores": "Daily scores of model {name} of team {team}",
    "explanations": "What each column contributed to the answers of model {name} of team {team}",
    "scorecard": "The platform's scorecard: {name}",
}
"""What the tables of each stage hold."""


def described(table: str) -> str:
    """Say in a sentence what a table of the lake holds, for catalogs; "" for one of a stage that is not known here."""
    team, _, rest = table.partition("/")
    stage, _, name = rest.partition("/")
    if stage == "dead_letters" and name.endswith(_CLOSED):
        return f"Dead letters of the source {name.removesuffix(_CLOSED)} of team {team} that were replayed"
    return HOLDS[stage].format(team=team, name=name) if stage in HOLDS else ""
