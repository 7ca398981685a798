"""Conformance kit of log stores.

Subclass ``LogStoreKit`` and give the fixtures ``store`` and ``sink``, the two sides of one place.
"""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from loopline.platform_core.contracts.log_store import LogSink, LogStore
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.runtime.prediction_log.log import PredictionLog, Record, log_folder
from loopline.platform_core.testing.parts.endpoints import new_model


def record(request_id: str) -> Record:
    """Make a request of one row that was answered."""
    return Record(request_id, 1, 2, "1", "cycle-1", "stable", 200, 1.0, [0.5], ["{}"], ["{}"], [[]])


class Writer:
    """A worker of a server, which writes files of its own."""

    def __init__(self, folder: Path, server: str, model: str) -> None:
        self.server, self.model, self.name = server, model, f"20260101T000000-{uuid.uuid4().hex[:6]}-7"
        self._folder = folder / server / self.name
        self._log = PredictionLog(self._folder, self.name, segment_bytes=600)
        self.ids: list[str] = []

    def answer(self, count: int) -> None:
        """Answer requests: a few fill a file."""
        for _ in range(count):
            self.ids.append(f"{self.server}-{self.name}-{len(self.ids)}")
            self._log.write(self.model, record(self.ids[-1]))

    @property
    def files(self) -> list[Path]:
        """Return its files, oldest first."""
        return sorted(log_folder(self._folder, self.model).iterdir())

    def send(self, sink: LogSink) -> None:
        """Send what is not kept, as whoever was cut off does."""
        for file in self.files:
            kept = sink.put(self.server, self.model, file.name, 0, b"")
            if frames := file.read_bytes()[kept:]:
                assert sink.put(self.server, self.model, file.name, kept, frames) == file.stat().st_size


def ids(store: LogStore, model: str, after: str | None = None) -> list[str]:
    """Return whose rows come after a cursor."""
    found: list[str] = store.read(model, after)[0]["request_id"].to_pylist()
    return found


class LogStoreKit:
    """Subclass it, give ``store`` and ``sink``; every test is one promise."""

    def test_1_what_was_put_is_read_once(self, store: LogStore, sink: LogSink, tmp_path: Path) -> None:
        """Of two servers, several workers and files, each in its order; of another model nothing."""
        model = new_model()
        writers = [Writer(tmp_path, server, model) for server in ("one", "one", "two")]
        for writer in writers:
            for count in (1, 9, 4):
                writer.answer(count)
                writer.send(sink)
            assert len(writer.files) > 1
        found = ids(store, model)
        assert sorted(found) == sorted(one for writer in writers for one in writer.ids)
        for writer in writers:
            assert [one for one in found if writer.name in one] == writer.ids
        assert ids(store, new_model()) == []

    def test_1_put_again_changes_nothing(self, store: LogStore, sink: LogSink, tmp_path: Path) -> None:
        """From the beginning, whole or cut elsewhere: what is kept stays as it is."""
        writer = Writer(tmp_path, "one", new_model())
        writer.answer(2)
        writer.send(sink)
        writer.answer(1)
        (file,) = writer.files
        size, frames = file.stat().st_size, file.read_bytes()
        sink.put("one", writer.model, file.name, 0, frames)
        writer.send(sink)
        for end in (size, size // 3):
            assert sink.put("one", writer.model, file.name, 0, frames[:end]) == size
        assert ids(store, writer.model) == writer.ids

    def test_2_how_much_is_kept_is_told(self, sink: LogSink, tmp_path: Path) -> None:
        """Of a file that nobody sent, nothing; of another, what was sent."""
        writer = Writer(tmp_path, "one", new_model())
        writer.answer(3)
        (file,) = writer.files
        size, frames = file.stat().st_size, file.read_bytes()
        assert sink.put("one", writer.model, file.name, 0, b"") == 0
        assert sink.put("one", writer.model, file.name, 0, frames[: size // 3]) == size // 3
        assert sink.put("one", writer.model, file.name, 0, b"") == size // 3
        assert sink.put("two", writer.model, file.name, 0, b"") == 0

    def test_3_a_cursor_gives_only_what_came_later(self, store: LogStore, sink: LogSink, tmp_path: Path) -> None:
        """Whether it was read or asked for, for ever."""
        model = new_model()
        writers = [Writer(tmp_path, server, model) for server in ("one", "two")]
        cursors: list[tuple[str | None, int]] = [(None, 0)]
        every: list[str] = []
        for turn in range(6):
            writer = writers[turn % 2]
            writer.answer(turn + 1)
            writer.send(sink)
            every += writer.ids[-turn - 1 :]
            before = cursors[-1][0]
            assert sorted(ids(store, model, before)) == sorted(writer.ids[-turn - 1 :])
            cursors.append((store.end(model, before) if turn % 2 else store.read(model, before)[1], len(every)))
        for cursor, seen in cursors:
            assert sorted(ids(store, model, cursor)) == sorted(every[seen:])
        assert ids(store, model, store.end(model, None)) == []
        with pytest.raises(ContractBroken):
            store.read(model, "no cursor")

    def test_4_only_what_everybody_read_goes(self, store: LogStore, sink: LogSink, tmp_path: Path) -> None:
        """And nothing that is to be kept longer, and nothing while nobody has read."""
        writer = Writer(tmp_path, "one", new_model())
        writer.answer(2)
        writer.send(sink)
        early = store.end(writer.model, None)
        writer.answer(12)
        writer.send(sink)
        late, every = store.end(writer.model, None), list(writer.ids)
        assert store.forget(writer.model, [], 0) == 0
        assert store.forget(writer.model, [late], 3600) == 0
        store.forget(writer.model, [early, late], 0)
        assert ids(store, writer.model, early) == every[2:]
        assert store.forget(writer.model, [late], -1) > 0
        assert ids(store, writer.model, late) == []
        writer.answer(1)
        writer.send(sink)
        assert ids(store, writer.model, late) == writer.ids[-1:]
