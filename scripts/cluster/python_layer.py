"""What a program of Python needs below its packages: interpreter, standard library and the system's libraries."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

OF_WHEELS = (
    *("libgomp.so.1", "libstdc++.so.6", "libgcc_s.so.1", "libz.so.1"),
    *("libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1", "libm.so.6", "libresolv.so.2"),
)
"""Libraries of the system that wheels expect; the others bring their own along."""
PROGRAMS = ("tail",)
"""Programs of the system without which something is lost: by this one Dagster captures what a run prints."""
_LEFT_OUT = {
    "test",
    "tests",
    "idlelib",
    "tkinter",
    "site-packages",
    "dist-packages",
    "lib2to3",
    "ensurepip",
    "turtledemo",
}
TIME_ZONES = Path("/usr/share/zoneinfo")
"""Arrow reads no moment that names a zone without them, UTC neither."""
USERS = "root:x:0:0::/:/bin/false\nloopline:x:1000:1000::/tmp:/bin/false\n"


def interpreter() -> Path:
    """Return the interpreter behind the virtual environment; it has the same path in the image."""
    return Path(sys.executable).resolve()


def files(scratch: Path) -> Iterator[tuple[Path, str]]:
    """Give what belongs into the layer with its name there."""
    standard = Path(sysconfig.get_path("stdlib"))
    for path in standard.iterdir():
        if path.name not in _LEFT_OUT and not path.name.startswith("config-3"):
            yield path, str(path)
    yield interpreter(), str(interpreter())
    for name in ("python", "python3"):
        yield interpreter(), f"/usr/bin/{name}"
    for program in _programs():
        yield program, f"/usr/bin/{program.name}"
    for library in _libraries(standard):
        yield library, str(library)
    if TIME_ZONES.is_dir():
        yield TIME_ZONES, str(TIME_ZONES)
    for name, text in {"etc/passwd": USERS, "etc/group": "root:x:0:\nloopline:x:1000:\n"}.items():
        scratch.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        scratch.joinpath(name).write_text(text)
        yield scratch / name, name
    scratch.joinpath("tmp").mkdir(parents=True, exist_ok=True)
    scratch.joinpath("tmp").chmod(0o1777)
    yield scratch / "tmp", "tmp"


def _programs() -> list[Path]:
    found = {name: shutil.which(name) for name in PROGRAMS}
    if absent := [name for name, path in found.items() if path is None]:
        raise FileNotFoundError(f"{', '.join(absent)} missing: install coreutils, which the images take it from")
    return [Path(path) for path in found.values() if path]


def _libraries(standard: Path) -> set[Path]:
    found = {_known()[name] for name in OF_WHEELS if name in _known()}
    for binary in (interpreter(), *_programs(), *standard.glob("lib-dynload/*.so"), *found):
        listed = subprocess.run(["ldd", binary], check=False, capture_output=True, text=True).stdout
        found |= {Path(path) for path in re.findall(r"(/\S+) \(0x", listed)}
    return found


def _known() -> dict[str, Path]:
    listed = subprocess.run(["ldconfig", "-p"], check=True, capture_output=True, text=True).stdout
    return {name: Path(path) for name, path in re.findall(r"^\s*(\S+) \(.*x86-64\) => (\S+)$", listed, re.MULTILINE)}
