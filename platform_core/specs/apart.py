"""Spec of process isolation: a model's estimator runs in its own process, with its own libraries."""

from __future__ import annotations

from dataclasses import dataclass

from loopline.platform_core.errors import InvalidSpec


@dataclass(frozen=True)
class Apart:
    """What that process needs: ``requirements`` as pip reads them, and how long a prediction may take.

    For what neither LightGBM nor ONNX serves and the server is not to have inside: PyTorch, JAX, code that may fall.

    Raises:
        InvalidSpec: the time is none, or the requirements are one text.
    """

    requirements: tuple[str, ...] = ()
    timeout_seconds: float = 10.0

    def __post_init__(self) -> None:
        """Take requirements in any sequence."""
        if isinstance(self.requirements, str):
            raise InvalidSpec(
                f"requirements {self.requirements!r} are one text",
                "write a tuple, such as requirements=('torch>=2.4',)",
            )
        if not self.timeout_seconds > 0:
            raise InvalidSpec(f"a prediction may take {self.timeout_seconds} s", "give a time above 0")
        object.__setattr__(self, "requirements", tuple(self.requirements))
