"""Position of a shadow's replay: where it began and how far it has come, from files that survive a crash.

A version is replayed from where the log ended when that was asked for. How far it has come stands in its own frames,
each of which names the record that it repeats. They are in files of their own, ``shadow-<process>-<n>.frames``.
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
    """A version that is replayed, and where the log ended when that was asked for."""

    version: str
    offsets: Offsets


_decode = msgspec.json.Decoder(list[Begun] | Begun).decode
"""A note of before held one version alone."""


def begin(root: Path, state: DesiredState) -> None:
    """Note where the log ends, for each version that is not replayed already; where nothing is, there is no note."""
    file, known = _begun_file(root, state.model), begun(root, state.model)
    wanted = [version.version for version in state.replaying]
    if not wanted:
        file.unlink(missing_ok=True)
    elif set(wanted) != {one.version for one in known}:
        ends = _sizes(answered(root, state.model))
        starts = dict.fromkeys(wanted, ends) | {one.version: one.offsets for one in known}
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, msgspec.json.encode([Begun(version, starts[version]) for version in wanted]))


def begun(root: Path, model: str) -> list[Begun]:
    """Return where the replays of a model began; none while it has none."""
    try:
        notes = _decode(_begun_file(root, model).read_bytes())
    except FileNotFoundError:
        return []
    return [notes] if isinstance(notes, Begun) else notes


def reached(root: Path, model: str, version: str) -> Offsets:
    """Return behind which record of each file a version goes on: its own frames know, or its beginning."""
    start = next((one for one in begun(root, model) if one.version == version), None)
    offsets = dict(start.offsets) if start else {}
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


def _begun_file(root: Path, model: str) -> Path:
    return root / "shadow" / "begun" / f"{model}.json"
