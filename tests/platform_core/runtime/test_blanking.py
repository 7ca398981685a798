"""Rows are taken out of a prediction log where they stand: no cursor moves, and nothing else changes."""

from __future__ import annotations

import random

import msgspec
import pytest

from loopline.platform_core.runtime.prediction_log import log
from loopline.platform_core.runtime.prediction_log.blanking import blank
from loopline.platform_core.runtime.prediction_log.log_table import read_after

ANN, BEN = '{"member_id":"p:ann"}', '{"member_id":"p:ben"}'


def record(number: int, keys: list[str], width: int, *, short: bool = False) -> log.Record:
    """Make a request about some keys, whose features are so many letters."""
    size = len(keys)
    lists = {"scores": [0.5] * size, "keys": keys, "features": ["x" * width] * size, "missing": [["view"]] * size}
    said = log.Record(f"r{number}", 1, 2, "1", "c", "stable", 200, 1.5, **lists)
    more = {"stale": [[] for _ in keys], "asked_at_us": 1, "raw": [[0.5, 0.25]] * size}
    return said if short else msgspec.structs.replace(said, **more)


@pytest.mark.parametrize("short", [False, True])
def test_no_place_moves_and_others_stay(tmp_path, short) -> None:
    """Requests of any size: the file is as long as it was, cursors go on, and all other rows are the same."""
    written, chosen = log.PredictionLog(tmp_path, "one"), random.Random(7)
    requests = []
    for number in range(120):
        keys = [chosen.choice([ANN, BEN]) for _ in range(chosen.choice([1, 1, 1, 2, 3, 20]))]
        requests.append(record(number, keys, chosen.choice([0, 1, 5, 30, 100, 240, 300, 70_000]), short=short))
    written.write_many("m", requests[:80])
    _, cursor = read_after(tmp_path, "m", None)
    (file,) = log.log_folder(tmp_path, "m").iterdir()
    if short:  # as frames were before there were more fields
        fields = [msgspec.msgpack.decode(msgspec.msgpack.encode(one))[:12] for one in requests]
        frames = [log.frame(msgspec.msgpack.encode(each)) for each in fields]
        file.write_bytes(b"".join(frames[:80]))
        _, cursor = read_after(tmp_path, "m", None)
        file.write_bytes(b"".join(frames))
    else:
        written.write_many("m", requests[80:])
    size, before = file.stat().st_size, read_after(tmp_path, "m", None)[0].to_pylist()
    meant = sum(row["keys"] == ANN for row in before)
    assert blank(tmp_path, "m", {ANN}) == meant > 0
    assert file.stat().st_size == size
    assert b"p:ann" not in file.read_bytes()

    def others(rows: list[dict]) -> list[dict]:
        return [{name: value for name, value in row.items() if name != "row"} for row in rows if row["keys"] != ANN]

    assert others(read_after(tmp_path, "m", None)[0].to_pylist()) == others(before)
    assert len(read_after(tmp_path, "m", cursor)[0]) == sum(key == BEN for one in requests[80:] for key in one.keys)
    assert [len(records) for records, _ in log.read(file, most=1_000)] == [120]
    assert blank(tmp_path, "m", {ANN}) == 0
    written.write_many("m", [record(301, [BEN], 3)])
    written.close()
    assert len(read_after(tmp_path, "m", None)[0]) == len(before) - meant + 1


def test_a_torn_frame_stays_torn(tmp_path) -> None:
    """What a killed writer left half is stepped over, and what comes behind it is found."""
    written = log.PredictionLog(tmp_path, "one")
    written.write_many("m", [record(1, [ANN, BEN], 9), record(2, [ANN], 9)])
    written.close()
    (file,) = log.log_folder(tmp_path, "m").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:50] + whole)
    assert blank(tmp_path, "m", {ANN}) == 2
    assert read_after(tmp_path, "m", None)[0]["keys"].to_pylist() == [BEN]
