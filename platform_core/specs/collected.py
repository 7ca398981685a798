"""Collects a team's models from the modules of a package, one file a model."""

from __future__ import annotations

import importlib
import pkgutil

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.specs.model import Model


def models_in(package: str) -> tuple[Model, ...]:
    """Return the models that the modules of ``package`` hold, in order of name; a new file is a new model.

    Raises:
        InvalidSpec: two modules hold different models of one name.
    """
    folder = importlib.import_module(package)
    found: dict[str, Model] = {}
    for module in sorted(found.name for found in pkgutil.iter_modules(folder.__path__)):
        for model in vars(importlib.import_module(f"{package}.{module}")).values():
            if isinstance(model, Model) and found.setdefault(model.name, model) is not model:
                raise InvalidSpec(
                    f"{package}.{module} declares model {model.name!r}, as another module of {package} does",
                    "give one of them another name",
                )
    return tuple(found[name] for name in sorted(found))
