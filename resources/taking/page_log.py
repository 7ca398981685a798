"""Log of the pages pulled from a source, in pieces that are each written once (first writer wins).

``<folder>/log/<number>.json`` is one page: when it could be known, and ``cursor``, from where its source goes on behind
it. A page is there once this piece is, and its rows were written before; who finds the number taken lost the race,
forgets his page and asks again from where the other one stopped. So a row is in one page, whoever is killed. Now and
then all pieces up to a number are written once more in one, ``whole``, for processes that begin.

Where a source needs it for its next look, ``<folder>/answers/<name>`` says what it answered; the next piece's takes its
place. A piece without rows says that an answer had less than the one before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from loopline.platform_core.errors import CommitConflict, ContractBroken
from loopline.resources.taking.page_store import Shelf

PAGES, ANSWERS, LOG, WHOLE = "pages", "answers", "log", "whole"
"""Folders of a source, and the piece of the log that has all up to a number."""
MANY_PIECES = 64
"""After so many pieces they are written once more in one."""
NAMED_BY = 12
"""Letters of a hash in a page's name."""
DIGEST = 16
"""Bytes by which a row of an answer is known again."""


class Page(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, rename={"arrival_id": "id"}):
    """A page: its file's name, its id, when it could be known (µs of UTC), and ``cursor`` as its source writes it.

    Without rows it has neither name nor id. ``answer`` is the file that says what was answered, "" if none does.
    """

    name: str
    arrival_id: str
    at: int
    cursor: str
    answer: str = ""


class Content(msgspec.Struct, frozen=True):
    """What becomes a page: its file (empty: no rows), what names its rows, when it could be known (µs of UTC), cursor.

    ``answer`` is what its source needs of the answer for the next look, None if nothing.
    """

    data: bytes
    digest: str
    at: int
    cursor: str
    answer: bytes | None = None


@dataclass
class PageLog:
    """The pages of one source, in their order; for one process, which looks at what others add."""

    shelf: Shelf
    folder: str
    pages: list[Page] = field(default_factory=list)
    _ids: set[str] = field(default_factory=set)
    _whole: int = -1

    def catch_up(self) -> None:
        """Read what was added since.

        Raises:
            ContractBroken: what lies there is no log.
        """
        if self._whole < 0:
            found = self.shelf.read(f"{self.folder}/{LOG}/{WHOLE}")
            self._keep(found[0] if found else b"")
            self._whole = len(self.pages)
        while (found := self.shelf.read(self._key(len(self.pages) + 1))) is not None:
            self._keep(found[0])

    def add(self, content: Content) -> bool:
        """Write a page behind the last one that is known; say whether it is there, or another came first.

        A page is known no earlier than the one before it. Rows that look like those of an earlier page are others, so
        that its id is another.
        """
        number, before = len(self.pages) + 1, self.pages[-1].answer if self.pages else ""
        page = self._draft(number, content)
        line = _encoder.encode(page) + b"\n"
        if not self.shelf.write_if(self._key(number), line, None):
            self.catch_up()
            return self.pages[number - 1] == page  # ours, of which the answer was lost
        self._keep(line)
        self._write_whole()
        if before:
            self.shelf.delete([f"{self.folder}/{ANSWERS}/{before}"])
        return True

    def _draft(self, number: int, content: Content) -> Page:
        """Write what a page needs before it is there."""
        name = self._put(PAGES, number, content.data) if content.data else ""
        answer = "" if content.answer is None else self._put(ANSWERS, number, content.answer)
        again = hashlib.sha256(f"{content.digest}\n{name}".encode()).hexdigest()
        arrival_id = again if content.digest in self._ids else content.digest
        at = max(content.at, self.pages[-1].at) if self.pages else content.at
        return Page(name, arrival_id if name else "", at, content.cursor, answer)

    def _put(self, folder: str, number: int, data: bytes) -> str:
        name = f"{number:012}-{hashlib.sha256(data).hexdigest()[:NAMED_BY]}"
        self.shelf.write(f"{self.folder}/{folder}/{name}", data)
        return name

    def answered(self) -> bytes | None:
        """Return what is kept of the last answer; None where nothing is.

        Raises:
            CommitConflict: another process put the next one in its place.
        """
        if not self.pages[-1].answer:
            return None
        found = self.shelf.read(f"{self.folder}/{ANSWERS}/{self.pages[-1].answer}")
        if found is None and self.shelf.read(self._key(len(self.pages) + 1)) is not None:
            raise CommitConflict(f"{self.folder}: another process took a page", "nothing is lost: look again")
        return None if found is None else found[0]

    def kept(self, page: Page) -> bytes:
        """Return the rows of a page.

        Raises:
            ContractBroken: its file is gone.
        """
        content = self.content(page.name) if page.name else b""
        if content is None:
            fix = "restore it from a backup: without it rows would be taken twice"
            raise ContractBroken(f"{self.folder}/{PAGES}/{page.name} is gone", fix)
        return content

    def content(self, name: str) -> bytes | None:
        """Return a page's file, None where it is gone."""
        found = self.shelf.read(f"{self.folder}/{PAGES}/{name}")
        return None if found is None else found[0]

    def _key(self, number: int) -> str:
        return f"{self.folder}/{LOG}/{number:012}.json"

    def _keep(self, data: bytes) -> None:
        try:
            found = _decoder.decode_lines(data)
        except (msgspec.MsgspecError, ValueError) as error:
            fix = "restore it from a backup: what was taken is known from nowhere else"
            raise ContractBroken(f"{self.folder}/log is no log of pages: {error}", fix) from error
        self.pages += found
        self._ids.update(page.arrival_id for page in found)

    def _write_whole(self) -> None:
        if len(self.pages) - self._whole < MANY_PIECES:
            return
        self.shelf.write(f"{self.folder}/{LOG}/{WHOLE}", b"".join(_encoder.encode(page) + b"\n" for page in self.pages))
        self._whole = len(self.pages)


def digest(row: bytes) -> bytes:
    """Return by what a row is known again in the next answer."""
    return hashlib.blake2b(row, digest_size=DIGEST).digest()


def digests_in(kept: bytes) -> Iterator[bytes]:
    """Yield digests that stand one behind the other."""
    return (kept[at : at + DIGEST] for at in range(0, len(kept), DIGEST))


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Page)
