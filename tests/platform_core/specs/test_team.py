"""A team is refused by the name that would clash: in the lake, the registry or the asset graph."""

from __future__ import annotations

from dataclasses import replace

import pytest
import retail

from loopline.platform_core.errors import InvalidSpec

MODEL = retail.team.model("cancellations")
VIEW = MODEL.features[0]


@pytest.mark.parametrize("name", ["two__underscores", "ends_"])
def test_a_name_that_a_folder_would_share_is_refused(name: str) -> None:
    """Of the team, a model, a view beside those of models, a source that labels alone read."""
    refused = f"the name '{name}' has two underscores together or one at its end"
    labels = replace(MODEL.labels, source=replace(MODEL.labels.source, name=name))
    for changed in (
        {"name": name},
        {"models": (replace(MODEL, name=name),)},
        {"features": (replace(VIEW, name=name),)},
        {"models": (replace(MODEL, labels=labels),)},
    ):
        with pytest.raises(InvalidSpec, match=refused):
            replace(retail.team, **changed)


@pytest.mark.parametrize("models", [(MODEL, MODEL), (replace(MODEL, name="no name"),)])
def test_a_model_s_name_is_an_identifier_of_its_own(models: tuple[object, ...]) -> None:
    """Each model is asked for by its name."""
    with pytest.raises(InvalidSpec, match=r"model .* is repeated or no identifier"):
        replace(retail.team, models=models)
