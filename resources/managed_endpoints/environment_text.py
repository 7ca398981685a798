"""Environment file packed into environment variables of a container, and unpacked there."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from pathlib import Path

from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.foundation.files import write

_NAME = "LOOPLINE_ENVIRONMENT_TEXT_{}"
_MOST_CHARS = 1000
"""Of one variable's value: SageMaker takes 1024, and the others more."""


def packed(text: str) -> dict[str, str]:
    """Return the variables that hold a text; secrets are no part of it, since such a file only names them."""
    whole = base64.b64encode(zlib.compress(text.encode(), 9)).decode()
    pieces = [whole[at : at + _MOST_CHARS] for at in range(0, len(whole), _MOST_CHARS)]
    return {_NAME.format(number): piece for number, piece in enumerate(pieces)}


def land(variables: Mapping[str, str], file: Path) -> Path:
    """Write the text that the variables hold into a file.

    Raises:
        InvalidEnvironment: they hold none.
    """
    pieces: list[str] = []
    while (piece := variables.get(_NAME.format(len(pieces)))) is not None:
        pieces.append(piece)
    try:
        text = zlib.decompress(base64.b64decode("".join(pieces), validate=True))
    except (ValueError, zlib.error) as error:
        raise InvalidEnvironment(
            f"{_NAME.format(0)} and those after it hold no environment file: {error}",
            "let the platform make the endpoint: it gives its containers these variables",
        ) from error
    file.parent.mkdir(parents=True, exist_ok=True)
    write(file, text)
    return file
