"""Preprocessing for linear, distance and network models: imputation, scaling, one-hot encoding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loopline.platform_core.specs.examples import Examples


def prepared(train: Examples) -> Any:
    """Return what prepares rows: a missing number is the column's median, an unknown or missing category no column."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    none = SimpleImputer(strategy="constant", fill_value=-1.0, keep_empty_features=True)
    named = [list(map(float, range(len(train.vocabulary[train.features[at]])))) for at in train.categorical]
    categories = make_pipeline(none, OneHotEncoder(categories=named, handle_unknown="ignore", sparse_output=False))
    rest = [at for at in range(train.x.shape[1]) if at not in set(train.categorical)]
    steps = [("numbers", numbers, rest), ("categories", categories, train.categorical)]
    return ColumnTransformer([step for step in steps if step[2]])
