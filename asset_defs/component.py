"""Dagster Component of a model declared in ``defs.yaml``: ``type: asset_defs.LooplineModel``."""

from collections.abc import Sequence
from typing import Self

import dagster as dg
from pydantic import BaseModel

from loopline.asset_defs import training
from loopline.asset_defs.platform_resource import BOUND
from loopline.asset_defs.team import model_assets
from loopline.platform_core.specs import Team
from loopline.platform_core.specs.yaml_files.model_file import ModelFile


class LooplineModel(dg.Component):
    """One model from YAML; its attributes are ``loopline.platform_core.specs.yaml_files.model_file.ModelFile``."""

    def __init__(self, model_file: ModelFile) -> None:
        self.model_file = model_file

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """Tell Dagster what the attributes are."""
        return ModelFile

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:  # noqa: ARG003
        """Make the component of checked attributes."""
        assert isinstance(attributes, ModelFile)
        return cls(attributes)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the model's assets and gates under the name of the package that holds the file."""
        model = self.model_file.to_model()
        team = Team(context.defs_module_name.split(".", maxsplit=1)[0], context.path, models=(model,))
        return dg.Definitions(
            assets=list(model_assets(team, model)),
            asset_checks=[training.gates_check(team, model)],
            resources={"platform": BOUND},
        )


__all__: Sequence[str] = ["LooplineModel"]
