"""Java as an image needs it that runs Spark, with the shell by which Spark starts its driver."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

_LEFT_OUT = re.compile(
    r"(ct\.sym|src\.zip|psfont.*|lib(awt_xawt|splashscreen|jawt|jsound|fontmanager|atk-wrapper|j2pcsc|javajpeg|lcms)\.so)$"
)
"""Parts of Java for compilers, screens and cards."""
_FOLDERS = ("bin/java", "conf", "lib/jfr", "lib/security", "lib/server")
_SHELL = ("bash", "env", "dirname", "rm")


def home() -> Path:
    """Return where Java lies, here and in the image.

    Raises:
        FileNotFoundError: there is none.
    """
    if named := os.environ.get("JAVA_HOME"):
        return Path(named).resolve()
    if found := shutil.which("java"):
        return Path(found).resolve().parents[1]
    raise FileNotFoundError("there is no Java here: install a JRE of version 17 (scripts/system-packages.sh)")


def files() -> Iterator[tuple[Path, str]]:
    """Give what belongs into the layer with its name there; links are to be followed."""
    java = home()
    own = [path for path in sorted((java / "lib").iterdir()) if path.is_file() and not _LEFT_OUT.search(path.name)]
    for path in (*own, *(java / name for name in _FOLDERS)):
        yield path, str(path)
    shell = {name: Path(str(shutil.which(name))) for name in _SHELL}
    for name, path in shell.items():
        yield path, f"/usr/bin/{name}"
    linked = [java / "bin/java", java / "lib/server/libjvm.so", *own, *shell.values()]
    for library in sorted(_libraries(linked)):
        if not library.startswith(str(java)):  # Java finds its own by where it lies
            yield Path(library), library


def _libraries(programs: list[Path]) -> set[str]:
    linked = [str(path) for path in programs if path.suffix in {"", ".so"}]
    listed = subprocess.run(["ldd", *linked], check=False, capture_output=True, text=True).stdout
    return set(re.findall(r"(/\S+) \(0x", listed))
