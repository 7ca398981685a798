"""Model graphs: several steps that answer as one model, from one endpoint, as one version."""

from __future__ import annotations

from loopline.platform_core.graphs.candidates import Rank
from loopline.platform_core.graphs.graph import Graph
from loopline.platform_core.graphs.route import Route
from loopline.platform_core.graphs.steps import Apply, Given, Mean, Predict, Step

__all__ = ["Apply", "Given", "Graph", "Mean", "Predict", "Rank", "Route", "Step"]
