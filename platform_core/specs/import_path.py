"""Import paths: resolves a text such as ``package.module:name`` to the object that it names."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from loopline.platform_core.errors import InvalidSpec


def imported(path: str, wanted: type | None = None) -> Any:
    """Return what an import path names: an object of ``wanted``, a subclass of it, or any function when None.

    Raises:
        InvalidSpec: nothing is there, its module does not load, or it is something else.
    """
    module, _, name = path.partition(":")
    if not module or not name:
        raise InvalidSpec(f"{path!r} is no import path", "write 'package.module:name'")
    try:
        found = getattr(import_module(module), name)
    except AttributeError as error:
        raise InvalidSpec(f"{module} has no {name!r}", f"define it there, or mend {path!r}") from error
    except Exception as error:
        raise InvalidSpec(f"{module} does not load: {type(error).__name__}: {error}", "mend the module") from error
    if not _is(found, wanted):
        kind = wanted.__name__ if wanted else "function"
        raise InvalidSpec(f"{path!r} is no {kind}", f"name one that is, not a {type(found).__name__}")
    return found


def _is(found: object, wanted: type | None) -> bool:
    if wanted is None:
        return callable(found)
    return issubclass(found, wanted) if inspect.isclass(found) else isinstance(found, wanted)
