"""Redaction of secrets in errors that Dagster records, around every asset, op, check, sensor and schedule."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from loopline.platform_core.redaction import told

Body = TypeVar("Body", bound=Callable[..., Any])


def redacting(body: Body) -> Body:
    """Stand between Dagster and what it calls: an asset, an op, a check, a sensor or a schedule."""

    @wraps(body)
    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            return body(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised again
            clean = told(error)
        raise clean  # outside of the handler: inside, what it stands for would be its context

    @wraps(body)
    def generated(*args: Any, **kwargs: Any) -> Any:
        try:
            return (yield from body(*args, **kwargs))
        except Exception as error:  # noqa: BLE001
            clean = told(error)
        raise clean

    return generated if inspect.isgeneratorfunction(body) else called  # type: ignore[return-value]
