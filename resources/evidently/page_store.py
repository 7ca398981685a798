"""Drift pages in an object store, with their figures; links are signed on request."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from loopline.platform_core.errors import NotFound, StoreUnavailable, Unsupported
from loopline.resources.object_store.objects import Objects

HTML, JSON = {"Content-Type": "text/html; charset=utf-8"}, {"Content-Type": "application/json"}
"""By which a browser that follows a link shows what it gets."""


class PageStore:
    """``<model>/<page>.html`` and ``<model>/<page>.json`` below a URL."""

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        self._objects = Objects(url, options)

    def keep(self, model: str, name: str, page: bytes, figures: str) -> None:
        """Write a page behind its figures: where the page is, both are.

        Raises:
            StoreUnavailable: the store did not take them.
        """
        self._objects.write(f"{model}/{Path(name).stem}.json", figures.encode(), JSON)
        self._objects.write(f"{model}/{name}", page, HTML)

    def names(self, model: str) -> Sequence[str]:
        """Return the names of a model's pages, sorted."""
        found = (one.key.rpartition("/")[2] for one in self._objects.listed(model))
        return sorted(name for name in found if name.endswith(".html"))

    def fetch(self, model: str, page: Path) -> bool:
        """Bring a page to this machine."""
        found = self._objects.read(f"{model}/{page.name}")
        if found is None:
            return False
        page.parent.mkdir(parents=True, exist_ok=True)
        draft = page.with_name(f".{page.name}.{os.getpid()}.tmp")
        draft.write_bytes(found[0])
        draft.replace(page)
        return True

    def link(self, model: str, name: str, seconds: int) -> str:
        """Sign a link to a page, or its figures.

        Raises:
            NotFound: there is none. Unsupported: this identity cannot sign. StoreUnavailable: the store is away.
        """
        key = f"{model}/{name}"
        if not self._objects.has(key):
            raise NotFound(f"{self._objects.url}/{key} is not there", "draw it: an alarm does, or the monitoring job")
        try:
            return self._objects.link(key, seconds)
        except StoreUnavailable as error:  # the store answered just now: it is the signing that fails
            raise Unsupported(
                f"no link to {key} can be signed: {error.problem}",
                "let this identity sign (Google Cloud: iam.serviceAccounts.signBlob), or send people to the portal",
            ) from error
