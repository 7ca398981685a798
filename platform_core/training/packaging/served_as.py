"""Served form of a version: a notice where it is the slow one, a pickled estimator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SLOW = "pickle"


def slow_form(fitted: Mapping[str, Any]) -> str:
    """Say of a version as ``training.task`` tells it that it is served as a pickled estimator; "" where it is not.

    Such a version answers by the estimator's own Python: some hundred µs a row in place of ten, and the server needs
    the libraries that it was fitted with. Before, only the endpoint's metadata said so.
    """
    if fitted.get("package_kind") != _SLOW:
        return ""
    _, _, refused = str(fitted.get("parity", {}).get("why", "")).partition("; ")
    why = refused or "only estimators of scikit-learn and LightGBM have another form"
    return (
        f"version {fitted.get('version', '')} is served as a pickled estimator, which is slow and needs its libraries "
        f"({why}) → return an estimator that skl2onnx converts, or one of LightGBM's"
    )
