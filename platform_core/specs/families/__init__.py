"""Estimator families that a hyperparameter search may choose among, by name.

The next one is a file beside these: a ``Family``, named in ``FAMILIES``.
"""

from __future__ import annotations

from collections.abc import Mapping

from loopline.platform_core.specs.families.family import Family, Learning
from loopline.platform_core.specs.families.linear import LINEAR
from loopline.platform_core.specs.families.neighbours import NEIGHBOURS
from loopline.platform_core.specs.families.network import NETWORK
from loopline.platform_core.specs.families.trees import TREES

__all__ = ["FAMILIES", "Family", "Learning"]

FAMILIES: Mapping[str, Family] = {one.name: one for one in (TREES, LINEAR, NEIGHBOURS, NETWORK)}
