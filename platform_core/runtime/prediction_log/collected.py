"""Pod annotations and HTTP headers that tell the prediction log of requests to runtimes that are not ours."""

from __future__ import annotations

MODEL, VERSION, CYCLE, FEATURES = (f"loopline.dev/{name}" for name in ("model", "model-version", "cycle", "features"))
"""Annotations of a version's pods; the features' names are separated by spaces, in the order of the model's columns."""
KEYS_HEADER, TIME_HEADER, LENGTH_HEADER = "Loopline-Keys", "Loopline-Event-Time", "Inference-Header-Content-Length"
"""Headers of a caller: the entities' keys as JSON, when it happened, and where binary tensors begin."""
