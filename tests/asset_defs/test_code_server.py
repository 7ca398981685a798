"""What a code server holds while it waits."""

from __future__ import annotations

import subprocess
import sys

WITHOUT = """
import sys
from loopline.asset_defs import code_server
{kept_out}
import pyarrow as pa
pa.array([1, None]), pa.Table.from_pylist([{{"a": 1.5}}]), pa.table({{"a": ["x"]}})
print("pandas" in sys.modules)
frame = pa.table({{"a": [1.5, None]}}).to_pandas()
print(type(frame).__module__.partition(".")[0], frame.a.isna().tolist())
print(pa.Table.from_pandas(frame).column("a").to_pylist(), pa.array(frame.a).to_pylist())
"""


def said(kept_out: str) -> list[str]:
    """Make arrays and a frame in a fresh interpreter, after a call; gives what it prints."""
    code = WITHOUT.format(kept_out=kept_out)
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_arrow_makes_arrays_without_pandas_and_pandas_on_demand():
    """Kept out, pandas is not imported for an array; who asks for pandas' objects gets the same as ever."""
    alone, usual = said("code_server.keep_pandas_out()"), said("")
    assert usual[0] == "True", "Arrow imports pandas for an array no more: keep_pandas_out can go"
    assert alone[0] == "False"
    assert alone[1:] == usual[1:] == ["pandas [False, True]", "[1.5, None] [1.5, None]"]
