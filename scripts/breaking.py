"""Names what breaks whoever uses the public classes: ``python -m scripts.breaking [REF]``.

What ``specs`` and ``contracts`` export is compared with a commit: REF, else the newest tag ``v*``, else the commit
before. It ends with an error unless each broken name stands in a line ``- Breaking: `Name` ...`` of CHANGELOG.md above
the release that it is compared with.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import griffe

ROOT = Path(__file__).parents[1]
PUBLIC = ("specs", "contracts")
PACKAGES = (*PUBLIC, "targets")
"""What is exported, and where it is defined."""
PREFIX = "loopline.platform_core."


def main() -> None:
    """Compare the working tree with a commit, and hold what broke against the change log."""
    ref = sys.argv[1] if sys.argv[1:] else _newest_release()
    if ref is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        _extract(ref, Path(folder))
        found = list(broken(Path(folder) / "platform_core", ROOT / "platform_core"))
    known = allowed(ROOT.joinpath("CHANGELOG.md").read_text(encoding="utf-8"), ref)
    unsaid = [says for name, says in found if name not in known]
    print(f"public classes since {ref}: {len(found)} breaking changes, {len(unsaid)} not in CHANGELOG.md")
    if unsaid:
        sys.exit("\n".join([*unsaid, "say so in CHANGELOG.md, '- Breaking: `Name` ...', or change it otherwise"]))


def broken(old: Path, new: Path) -> Iterator[tuple[str, str]]:
    """Yield each public name that broke between two folders of packages, with what broke."""
    before, now = _loaded(old), _loaded(new)
    for package in PUBLIC:
        for name in before[package].exports or []:
            was, is_now = _defined(before, package, name), _defined(now, package, name)
            if was is None:
                continue
            if is_now is None:
                yield name, f"{package}: {name}: is gone"
                continue
            for change in griffe.find_breaking_changes(was, is_now):
                inside = f"{name}{change.obj.path.removeprefix(was.path)}".removesuffix(".__init__")
                yield inside, f"{package}: {_said(change)}"


def allowed(changelog: str, ref: str) -> set[str]:
    """Return the names in lines of the change log that say what breaks, above the release ``ref``."""
    text = changelog.partition(f"\n## [{ref.removeprefix('v')}]")[0]
    lines = re.findall(r"^- Breaking: .*(?:\n  .*)*", text, re.MULTILINE)
    return {name for line in lines for name in re.findall(r"`([\w.]+)`", line)}


def _loaded(folder: Path) -> griffe.ModulesCollection:
    loader = griffe.GriffeLoader(search_paths=[folder], allow_inspection=False)
    for package in PACKAGES:
        loader.load(package)
    return loader.modules_collection


def _defined(modules: griffe.ModulesCollection, package: str, name: str) -> griffe.Object | None:
    """Return what an exported name stands for, along imports of our own packages; a module of its name is not meant."""
    path = modules[package].imports.get(name, f"{package}.{name}").removeprefix(PREFIX)
    try:
        found = modules.get_member(path)
    except KeyError:
        return None
    return _defined(modules, *path.rsplit(".", 1)) if found.is_alias else found


def _said(change: griffe.Breakage) -> str:
    text = re.sub(r"\x1b\[\d+m", "", change.explain(griffe.ExplanationStyle.ONE_LINE))
    return text.partition(": ")[2]


def _newest_release() -> str | None:
    for command in (["describe", "--tags", "--abbrev=0", "--match", "v*"], ["rev-parse", "-q", "--verify", "HEAD~1"]):
        done = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.strip()
    return None


def _extract(ref: str, folder: Path) -> None:
    paths = [f"platform_core/{package}" for package in PACKAGES]
    archive = subprocess.run(["git", "archive", ref, *paths], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


if __name__ == "__main__":
    main()
