"""What a relay carries in spite of what it meets on its disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopline.platform_core.contracts.log_store import LogSink
from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.contracts.state_store import Asked, ServerReport, StateFeed
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.runtime import states
from loopline.platform_core.runtime.prediction_log.log import PredictionLog, log_folder
from loopline.platform_core.testing.log_store import record
from loopline.platform_core.testing.state_store import package
from loopline.relay.shipping import PIECE_BYTES, Shipping
from loopline.relay.states import CARRIED, StateRelay


class Feed(StateFeed):
    """Asks for one state, and keeps what is reported."""

    def __init__(self, state: DesiredState) -> None:
        self.state = state
        self.reports: list[ServerReport] = []
        self.is_away = False

    def asked(self, packages: Path, token: str | None = None) -> Asked | None:
        """Say it each time."""
        if self.is_away:
            raise StoreUnavailable("away", "wait")
        return Asked("t", {self.state.model: self.state}, {"other": "no package"})

    def report(self, server: str, report: ServerReport) -> None:
        """Keep it."""
        self.reports.append(report)

    def leave(self, server: str) -> None:
        """Leave."""


class Sink(LogSink):
    """Keeps what is put; what is refused is named."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], bytes] = {}
        self.refused: set[str] = set()

    def put(self, server: str, model: str, file: str, offset: int, frames: bytes) -> int:
        """Keep what is new."""
        if model in self.refused:
            raise StoreUnavailable("away", "wait")
        before = self.kept.get((model, file), b"")
        self.kept[model, file] = before + frames[len(before) - offset :]
        return len(self.kept[model, file])


def test_a_file_that_is_no_state_is_written_anew(tmp_path: Path) -> None:
    """A disk that was full left half of it; the server gets its state, and trouble with another model is told."""
    state = DesiredState("m", 3, package(tmp_path, "1"))
    (states.desired_folder(tmp_path) / "m.json").write_text("{")
    feed = Feed(state)
    StateRelay(tmp_path, "one", feed).step()
    assert states.desired(tmp_path, "m") == state
    assert (tmp_path / CARRIED).exists()
    assert feed.reports[-1].models["other"].problem == "no package"
    assert "does not run" in feed.reports[-1].models["m"].problem


def test_what_cannot_be_brought_keeps_nothing_from_being_told(tmp_path: Path) -> None:
    """States may be away while reports are taken."""
    feed = Feed(DesiredState("m", 1, package(tmp_path, "1")))
    feed.is_away = True
    StateRelay(tmp_path, "one", feed).step()
    assert len(feed.reports) == 1
    assert not (tmp_path / CARRIED).exists()


def test_pieces_end_at_whole_frames(tmp_path: Path) -> None:
    """A frame that is being written is sent when it is whole; one longer than a piece is sent in one."""
    log, sink = PredictionLog(tmp_path, "20260101T000000-7"), Sink()
    shipping = Shipping(tmp_path, "one", sink, keep_seconds=60)
    log.write("m", record("x" * (PIECE_BYTES + 10)))
    (file,) = log_folder(tmp_path, "m").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-5])
    assert shipping.step() == 0
    assert sink.kept["m", file.name] == b""
    file.write_bytes(whole + whole[:100])
    shipping.step()
    assert sink.kept["m", file.name] == whole


@pytest.mark.parametrize("note", [None, b"{", b"[]"])
def test_a_note_that_is_lost_or_torn_costs_nothing(tmp_path: Path, note: bytes | None) -> None:
    """The store knows how far it has come."""
    log, sink = PredictionLog(tmp_path, "20260101T000000-7"), Sink()
    log.write("m", record("a"))
    Shipping(tmp_path, "one", sink, keep_seconds=60).step()
    log.write("m", record("b"))
    if note is None:
        (tmp_path / "shipped.json").unlink()
    else:
        (tmp_path / "shipped.json").write_bytes(note)
    Shipping(tmp_path, "one", sink, keep_seconds=60).step()
    (file,) = log_folder(tmp_path, "m").iterdir()
    assert sink.kept["m", file.name] == file.read_bytes()


def test_one_model_s_log_keeps_no_other_back_and_stays_until_it_is_sent(tmp_path: Path) -> None:
    """What is unsent is told in bytes, and nothing of it is let go, however old; an empty file is no trouble."""
    log, sink = PredictionLog(tmp_path, "20260101T000000-7"), Sink()
    log.write("bad", record("a"))
    log.write("good", record("a"))
    (log_folder(tmp_path, "bad") / "20250101T000000-6-000000.frames").touch()
    sink.refused = {"bad"}
    shipping = Shipping(tmp_path, "one", sink, keep_seconds=-1)
    assert shipping.step() > 0
    assert any(content for (model, _), content in sink.kept.items() if model == "good")
    assert any(file.stat().st_size for file in log_folder(tmp_path, "bad").iterdir())
    sink.refused = set()
    assert shipping.step() == 0
