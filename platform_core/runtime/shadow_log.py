"""Where the replay of a shadow begins, and how far it has come: both are read from files, so a kill forgets nothing.

A shadow begins where the log ended when it was asked for. How far it has come stands in its own frames, each of which
names the record that it repeats. They are in files of their own, ``shadow-<process>-<n>.frames``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.foundation.files import write
from loopline.platform_core.runtime.prediction_log import log

PREFIX = "shadow-"
Offsets = dict[str, int]
"""Bytes of each file of a model's log, by its name."""


class Begun(msgspec.Struct, frozen=True):
    """The version that is in shadow, and where the log ended when it was asked for."""

    version: str
    offsets: Offsets


_decode = msgspec.json.Decoder(Begun).decode


def begin(root: Path, state: DesiredState) -> None:
    """Note where the log ends, unless the same version is in shadow already; without a shadow there is no note."""
    file = _note(root, state.model)
    if state.shadow is None:
        file.unlink(missing_ok=True)
    elif (known := begun(root, state.model)) is None or known.version != state.shadow.version:
        ends = _sizes(answered(root, state.model))
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, msgspec.json.encode(Begun(state.shadow.version, ends)))


def begun(root: Path, model: str) -> Begun | None:
    """Return where the shadow of a model began; None while it has none."""
    try:
        return _decode(_note(root, model).read_bytes())
    except FileNotFoundError:
        return None


def reached(root: Path, model: str, version: str) -> Offsets:
    """Return behind which record of each file a version goes on: its own frames know, or its beginning."""
    start = begun(root, model)
    offsets = dict(start.offsets) if start and start.version == version else {}
    for name, after in _repeated(root, model, version):
        offsets[name] = max(after, offsets.get(name, 0))
    return offsets


def answered(root: Path, model: str) -> list[Path]:
    """Return the files in which callers' requests are, oldest first."""
    files = sorted(log.log_folder(root, model).glob(f"*{log.SUFFIX}"))
    return [file for file in files if not file.name.startswith(PREFIX)]


def _sizes(files: Iterable[Path]) -> Offsets:
    """Return the size of each file; one that is trimmed meanwhile holds nothing that a shadow would repeat."""
    sizes = {}
    for file in files:
        with suppress(FileNotFoundError):
            sizes[file.name] = file.stat().st_size
    return sizes


def _repeated(root: Path, model: str, version: str) -> Iterator[tuple[str, int]]:
    for file in log.log_folder(root, model).glob(f"{PREFIX}*{log.SUFFIX}"):
        for record, _ in log.each(file):
            if record.version == version and record.source is not None:
                yield record.source


def _note(root: Path, model: str) -> Path:
    return root / "shadow" / "begun" / f"{model}.json"
