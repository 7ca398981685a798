"""An alarm is N of M windows for every N and M, not only the default's two of three."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loopline.platform_core.monitor.drift.alarm import alarm
from loopline.platform_core.monitor.drift.drift_verdicts import ColumnVerdict, WindowVerdict
from loopline.platform_core.specs import Drift

COLUMNS = ("amount", "country")


def window(drifted: frozenset[str]) -> WindowVerdict:
    """Make a window in which these columns drifted."""
    columns = {name: ColumnVerdict(0.5 if name in drifted else 0.0, 0.1, name in drifted, 0, 0) for name in COLUMNS}
    return WindowVerdict(500, True, columns)


@given(
    history=st.lists(st.frozensets(st.sampled_from(COLUMNS), max_size=1), min_size=1, max_size=8),
    alarms=st.integers(1, 4),
    windows=st.integers(1, 6),
)
def test_the_same_column_in_n_of_the_last_m_windows(history, alarms, windows):
    """The alarm names exactly the columns that drifted often enough lately; older windows do not count."""
    found = alarm(Drift(alarms=alarms, windows=windows, share=1.0), [window(drifted) for drifted in history])
    recent = history[-windows:]
    expected = tuple(name for name in COLUMNS if sum(name in drifted for drifted in recent) >= alarms)
    assert (found.columns if found else ()) == expected
