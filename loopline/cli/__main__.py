"""``python -m loopline.cli``: the command line where no script lies on the path, as in an image."""

from __future__ import annotations

from loopline.cli import main

if __name__ == "__main__":
    main()
