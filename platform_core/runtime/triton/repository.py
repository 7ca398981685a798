"""Triton's model repository API: which models there are, their configuration and statistics.

Behind a gateway a caller is told of the models only that it may ask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from loopline.platform_core.runtime.answering import metadata
from loopline.platform_core.runtime.answering.inference import Inference
from loopline.platform_core.runtime.answering.routes import Version
from loopline.platform_core.runtime.metrics import Labels
from loopline.platform_core.runtime.request_context import may_ask
from loopline.platform_core.runtime.triton.usage_counts import Usage, UsageCounts
from loopline.platform_core.runtime.wire.tensors import TEXT

if TYPE_CHECKING:
    from loopline.platform_core.targets import Output

_BACKEND = "loopline"


class Repository:
    """Everything that a worker serves, as values of Triton's messages."""

    def __init__(self, inference: Inference, counts: UsageCounts) -> None:
        self._inference, self._counts = inference, counts

    def names(self) -> list[str]:
        """Name the models that the caller may ask."""
        return sorted(filter(may_ask, self._inference.models))

    def outputs(self) -> list[Output]:
        """Return the outputs of the models that the caller may ask, each once."""
        versions = (version for _, version in self._live("", ""))
        return list(dict.fromkeys(one for version in versions for one in version.model.outputs.each))

    def index(self, *, ready_only: bool = False) -> list[dict[str, str]]:
        """Tell each version that is live, and each model of which none is loaded."""
        return list(self._index(ready_only=ready_only))

    def _index(self, *, ready_only: bool) -> Iterator[dict[str, str]]:
        for name in self.names():
            state = self._inference.models[name]
            if state.route is not None:
                for version in state.route.versions:
                    yield {"name": name, "version": version.served.version, "state": "READY", "reason": ""}
            elif not ready_only:
                told = ("UNAVAILABLE", state.problem) if state.problem else ("LOADING", "loading")
                yield {"name": name, "version": "", "state": told[0], "reason": told[1]}

    def config(self, model: str, version: str = "") -> dict[str, Any]:
        """Describe a version's configuration; its tensors' first dimension is the batch, and there is no other.

        Raises:
            NotFound: the model or the version is unknown. StoreUnavailable: no version is loaded yet.
        """
        route = self._inference.route(model)
        chosen = route.named(version)[0] if version else route.stable
        told = metadata.model(model, route, chosen)
        parameters = {name: {"string_value": str(value)} for name, value in told["parameters"].items()}
        return {
            "name": model,
            "platform": told["platform"],
            "backend": _BACKEND,
            "max_batch_size": self._inference.most_rows,
            "input": [_tensor(tensor) for tensor in told["inputs"]],
            "output": [_tensor(tensor) for tensor in told["outputs"]],
            **({"dynamic_batching": {}} if chosen.model.batching.shared else {}),
            "parameters": parameters,
        }

    async def statistics(self, model: str = "", version: str = "") -> list[dict[str, Any]]:
        """Tell how much each live version was asked, of one model or of all.

        Raises:
            NotFound: the model or the version is unknown. StoreUnavailable: no version is loaded yet.
        """
        asked = self._live(model, version)
        counts = await self._counts.read()
        return [_statistics(name, one.served.version, counts) for name, one in asked]

    def _live(self, model: str, version: str) -> list[tuple[str, Version]]:
        if model:
            route = self._inference.route(model)
            versions = [route.named(version)[0]] if version else route.versions
            return [(model, one) for one in versions]
        routes = ((name, self._inference.models[name].route) for name in self.names())
        return [(name, one) for name, route in routes if route is not None for one in route.versions]


def _tensor(told: Mapping[str, Any]) -> dict[str, Any]:
    kind = "STRING" if told["datatype"] == TEXT else told["datatype"]
    return {"name": told["name"], "data_type": f"TYPE_{kind}", "dims": told["shape"][1:]}


def _statistics(model: str, version: str, counts: Mapping[Labels, Usage]) -> dict[str, Any]:
    """Write counts as Triton does; which part of a request took how long is not measured, so those are zero."""
    usage = counts.get((model, version)) or Usage(model, version)
    return {
        "name": model,
        "version": version,
        "last_inference": usage.last_ms,
        "inference_count": usage.rows,
        "execution_count": usage.succeeded,
        "inference_stats": {
            "success": {"count": usage.succeeded, "ns": usage.succeeded_ns},
            "fail": {"count": usage.failed, "ns": usage.failed_ns},
            **{part: {"count": 0, "ns": 0} for part in ("queue", "compute_input", "compute_infer", "compute_output")},
        },
    }
