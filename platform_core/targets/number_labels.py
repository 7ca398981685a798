"""Numeric labels: conversion and validation, for every kind that has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def number_labels(labels: pa.ChunkedArray) -> tuple[pa.ChunkedArray, str]:
    """Return the labels that there are as float64, and what is wrong where they are texts: then there are none."""
    import pyarrow as pa

    there = labels.drop_null()
    if pa.types.is_floating(labels.type) or pa.types.is_integer(labels.type) or not len(there):
        return there.cast(pa.float64()), ""
    told = f"label {there[0]} in {len(there)} rows is a text: return numbers, or declare "
    return there.slice(0, 0).cast(pa.float64()), f"{told}Model(target=Multiclass(classes=(...)))"
