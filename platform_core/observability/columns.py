"""The columns of what the platform reads and writes, as declarations and the feature registry know them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.contracts.lineage import Field
from loopline.platform_core.errors import LooplineError
from loopline.platform_core.foundation.names import EVENT_TIME, LABEL, versioned, view_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.platform_core.features.view_table import ViewRecord
    from loopline.platform_core.foundation.names import AssetName
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Team


class Columns:
    """Answers for one team; reads the registry once, and each contract when it is asked for."""

    def __init__(self, platform: Platform, team: Team) -> None:
        self.platform, self.team = platform, team
        self._views: dict[str, ViewRecord] | None = None

    def of(self, asset: AssetName) -> tuple[Field, ...]:
        """Return the columns of an asset; none where nobody declares them."""
        team, stage, name = asset
        kinds: dict[str, Callable[[str], tuple[Field, ...]]] = {
            "arrivals": self._source,
            "raw": self._source,
            "features": self._view,
            "training_set": self._training_set,
        }
        if team != self.team.name or stage not in kinds:
            return ()
        try:
            return kinds[stage](name)
        except LooplineError:  # a declaration that is gone or broken is told elsewhere
            return ()

    def _source(self, name: str) -> tuple[Field, ...]:
        from loopline.platform_core.specs.odcs import read_contract

        contract = read_contract(self.team.folder / self.team.source(name).contract)
        return tuple(Field(column.name, column.type) for column in contract.columns)

    def _view(self, name: str) -> tuple[Field, ...]:
        record = self._registered().get(name)
        if record is None:
            return ()
        features = tuple(Field(*feature) for feature in record.meaning.features.items())
        return (Field(record.meaning.entity, ""), Field(EVENT_TIME, "timestamp"), *features)

    def _training_set(self, name: str) -> tuple[Field, ...]:
        model = self.team.model(name)
        views = (self._registered().get(view_name(view)) for view in model.features)
        features = (Field(*each) for record in views if record for each in record.meaning.features.items())
        entities = (Field(entity, "") for entity in model.labels.entities)
        return (*entities, Field(EVENT_TIME, "timestamp"), *features, Field(LABEL, "double"))

    def _registered(self) -> dict[str, ViewRecord]:
        from loopline.platform_core.features.view_table import read_views

        if self._views is None:
            with self.platform.ledger.reading() as connection:
                found = read_views(connection, self.team.name)
            self._views = {versioned(ref.view, ref.version): record for ref, record in found.items()}
        return self._views
