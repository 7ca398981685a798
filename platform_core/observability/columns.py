"""Column schemas of datasets for lineage, from declarations and the feature registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.contracts.lineage import Field, Origin
from loopline.platform_core.errors import LooplineError
from loopline.platform_core.foundation.names import EVENT_TIME, LABEL, versioned, view_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.platform_core.features.compute.reads import Reader
    from loopline.platform_core.features.registry.view_table import ViewRecord
    from loopline.platform_core.foundation.names import AssetName
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Team
    from loopline.platform_core.specs.contracts.contract_file import RowContract


class Columns:
    """Answers for one team; reads the registry once, and each contract when it is asked for."""

    def __init__(self, platform: Platform, team: Team) -> None:
        self.platform, self.team = platform, team
        self._views: dict[str, ViewRecord] | None = None

    def of(self, asset: AssetName) -> tuple[Field, ...]:
        """Return the columns of an asset; none where nobody declares them."""
        team, stage, name = asset
        kinds: dict[str, Callable[[str], tuple[Field, ...]]] = {
            "arrivals": self._arriving,
            "raw": self._raw,
            "features": self._view,
            "training_set": self._training_set,
        }
        if team != self.team.name or stage not in kinds:
            return ()
        try:
            return kinds[stage](name)
        except LooplineError:  # a declaration that is gone or broken is told elsewhere
            return ()

    def _arriving(self, name: str) -> tuple[Field, ...]:
        return tuple(Field(column.physical_name, column.type) for column in self._contract(name).columns)

    def _raw(self, name: str) -> tuple[Field, ...]:
        came = f"{self.team.name}/arrivals/{name}"
        return tuple(
            Field(column.name, column.type, (Origin(came, column.physical_name, same=True),))
            for column in self._contract(name).columns
        )

    def _contract(self, name: str) -> RowContract:
        from loopline.platform_core.specs.contracts.odcs import contract_of

        return contract_of(self.team, self.team.source(name))

    def _read(self, reader: Reader) -> tuple[Origin, ...]:
        """Return the raw columns that a view or labels read: which of them a feature is made of, nobody knows."""
        from loopline.platform_core.features.compute.reads import columns_read

        if not self.platform.engine.is_light:
            return ()
        source = reader.source.name
        try:
            read = columns_read(self.platform.engine, reader, self._contract(source))
        except Exception:  # noqa: BLE001 - a team's function may raise anything, and is told of elsewhere
            return ()
        return tuple(Origin(f"{self.team.name}/raw/{source}", column) for column in sorted(read))

    def _view(self, name: str) -> tuple[Field, ...]:
        record = self._registered().get(name)
        if record is None:
            return ()
        view = next((view for view in self.team.views if view_name(view) == name), None)
        read = self._read(view) if view else ()
        raw = f"{self.team.name}/raw/{record.meaning.source}"
        entity, time = (Origin(raw, column, same=True) for column in (record.meaning.entity, record.meaning.time))
        features = tuple(Field(*feature, read) for feature in record.meaning.features.items())
        return (Field(entity.column, "", (entity,)), Field(EVENT_TIME, "timestamp", (time,)), *features)

    def _training_set(self, name: str) -> tuple[Field, ...]:
        model = self.team.model(name)
        views = {view_name(view): self._registered().get(view_name(view)) for view in model.features}
        features = (
            Field(feature, kind, (Origin(f"{self.team.name}/features/{view}", feature, same=True),))
            for view, record in views.items()
            if record
            for feature, kind in record.meaning.features.items()
        )
        entities = (Field(entity, "") for entity in model.labels.entities)
        label = Field(LABEL, "double", self._read(model.labels))
        return (*entities, Field(EVENT_TIME, "timestamp"), *features, label)

    def _registered(self) -> dict[str, ViewRecord]:
        from loopline.platform_core.features.registry.view_table import read_views

        if self._views is None:
            with self.platform.ledger.reading() as connection:
                found = read_views(connection, self.team.name)
            self._views = {versioned(ref.view, ref.version): record for ref, record in found.items()}
        return self._views
