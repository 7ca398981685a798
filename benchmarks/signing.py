"""What it costs that a package is signed, and proven before it is loaded."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from benchmarks.page import Promise, Section
from loopline.platform_core.audit import keys, notes
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.signing import statement
from loopline.platform_core.signing.signer import Signer
from loopline.platform_core.signing.statement import FILE
from loopline.platform_core.signing.trust import Proof, Trust
from loopline.platform_core.sites import Sites
from loopline.platform_core.testing.parts.model_packages import Constant, write_package
from loopline.platform_core.trainers import Trainer

HOW = """A package of so many megabytes, in one file of random bytes that the estimator holds, is hashed and signed as a
training does, and proven as a server does before it loads: signature, names, contents. "Loaded" is the whole of
`load_model`, without a proof and with one. Medians of seven; files are in the page cache."""
MODEL, VERSION = "bench.model", "1"
SIZES_MB = (1, 100)
MOST_MS = 5.0


class Large(Constant):
    """An estimator that holds bytes."""

    def __init__(self, megabytes: int) -> None:
        super().__init__(0.5)
        self.weights = os.urandom(megabytes * 1_000_000)


def compare(quick: bool = False) -> Section:
    """Measure each size."""
    rows, small_ms = [], 0.0
    for size in SIZES_MB[:1] if quick else SIZES_MB:
        with TemporaryDirectory() as folder:
            signed_ms, proven_ms, plain_ms, loaded_ms = _taken(Path(folder, "package"), size, 3 if quick else 7)
        small_ms = small_ms or proven_ms
        rows.append([f"{size} MB", *(f"{one:.1f} ms" for one in (signed_ms, proven_ms, plain_ms, loaded_ms))])
    header = ("package", "signed", "proven", "loaded, off", "loaded, proven")
    promise = Promise("a package of 1 MB is proven", small_ms, MOST_MS, " ms")
    return Section("Packages that are signed", HOW, header, rows, [promise])


def _taken(package: Path, size: int, times: int) -> tuple[float, float, float, float]:
    key = keys.new("bench")
    write_package(package, Large(size))
    signer = Signer(key)
    signed = _median(lambda: signer.drafted(MODEL, "key", package), times)
    draft = notes.opened(signer.drafted(MODEL, "key", package), [key.verifying])[0]
    said = msgspec.structs.replace(statement.parsed(draft), version=VERSION)
    package.joinpath(FILE).write_text(notes.signed(said.text, key), encoding="utf-8")
    proof = Proof(Trust((Trainer("bench", key.verifying.text),), Sites()), MODEL, VERSION)
    proven = _median(lambda: proof.opened(package).release(), times)
    return (
        signed,
        proven,
        _median(lambda: load_model(package), times),
        _median(lambda: load_model(package, proof), times),
    )


def _median(call: Callable[[], object], times: int) -> float:
    """Return milliseconds."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        found.append((time.perf_counter() - began) * 1e3)
    return statistics.median(found)
