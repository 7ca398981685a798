"""Spec of a team: its sources and models, validated as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.platform_core.errors import InvalidSpec, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopline.platform_core.specs.contracts.source import Source
    from loopline.platform_core.specs.model import Model
    from loopline.platform_core.specs.views.features import FeatureView


@dataclass(frozen=True)
class Team:
    """One package, one code location.

    ``package`` is the folder of the team's package, against which contract paths are read; give ``__file__``.
    ``features`` are views beside those of the models: an older version that a live model still reads, or what only
    applications read.
    """

    name: str
    package: str | Path
    models: tuple[Model, ...] = field(default=())
    owner: str = ""
    features: tuple[FeatureView, ...] = field(default=())

    def __post_init__(self) -> None:
        """Refuse what would clash in the lake, the registry or the asset graph."""
        models = [model.name for model in self.models]
        for name in (self.name, *models):
            if not name.isidentifier() or models.count(name) > 1:
                kind = "name" if name == self.name else "model"
                raise InvalidSpec(
                    f"team {self.name!r}: {kind} {name!r} is repeated or no identifier",
                    "use letters, digits and underscores, each name once",
                )
        for name in (self.name, *models, *(view.name for view in self.views), *(s.name for s in self.sources)):
            if "__" in name or name.endswith("_"):  # a table's folder has two of them for a dot of its name
                raise InvalidSpec(
                    f"team {self.name!r}: the name {name!r} has two underscores together or one at its end",
                    "name it without: it is part of a folder's name, where two underscores stand for a dot",
                )

    def with_files(self, *paths: str) -> Team:
        """Return the team with the models of YAML files as well; paths are relative to the package.

        Raises:
            InvalidSpec: with every problem of the first broken file, each as ``file:line: field: message``.
        """
        from loopline.platform_core.specs.yaml_files.model_file import read_model_file

        more = tuple(read_model_file(self.folder / path) for path in paths)
        return replace(self, models=(*self.models, *more))

    @property
    def folder(self) -> Path:
        """Return the folder of the package."""
        path = Path(self.package)
        return path.parent if path.suffix == ".py" else path

    @cached_property
    def views(self) -> tuple[FeatureView, ...]:
        """Return every feature view of the team and its models, each version once, in order of name and version."""
        declared = (*self.features, *(view for m in self.models for view in m.features))
        found = {(view.name, view.version): view for view in declared}
        return tuple(view for _, view in sorted(found.items()))

    @property
    def sources(self) -> tuple[Source, ...]:
        """Return every source of the team's views and labels, once, in order of name."""
        return tuple(sorted({source.name: source for source in self._sources()}.values(), key=_name))

    def model(self, name: str) -> Model:
        """Return a model by name."""
        for model in self.models:
            if model.name == name:
                return model
        raise NotFound(f"team {self.name!r} has no model {name!r}", f"use one of {[m.name for m in self.models]}")

    def source(self, name: str) -> Source:
        """Return a source by name."""
        for source in self.sources:
            if source.name == name:
                return source
        raise NotFound(f"team {self.name!r} has no source {name!r}", f"use one of {[s.name for s in self.sources]}")

    def _sources(self) -> Iterator[Source]:
        for model in self.models:
            yield model.labels.source
            yield from (view.source for view in model.features)
            if model.batch is not None:
                yield model.batch.rows.source
        yield from (view.source for view in self.features)


def _name(spec: Source) -> str:
    return spec.name
