"""``python -m scripts.images [NAME ...]``: the images of a release, into build/images."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scripts.images.build import build
from scripts.images.contents import ROOT
from scripts.images.kinds import TAG, kinds


def main() -> int:
    """Build what is asked for, or all; print each digest."""
    known = kinds()
    parser = argparse.ArgumentParser(prog="python -m scripts.images", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(known)} [all]")
    parser.add_argument("--tag", default=TAG, help="the images' tag")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "images", help="the folder of the archives")
    given = parser.parse_args()
    if unknown := set(given.names) - set(known):
        print(f"there is no image {', '.join(unknown)}\n→ name some of {', '.join(known)}", file=sys.stderr)
        return 2
    for name in given.names or known:
        built = build(known[name], given.tag, given.output)
        print(f"{built.archive}  {built.digest}  {built.archive.stat().st_size / 1e6:.0f} MB  {built.sbom.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
