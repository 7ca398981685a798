"""The bytes of an online row: fixed for ever, since other languages read them and stores compare them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.platform_core.contracts.online_packing import TIME_BYTES, pack, pack_values, unpack, unpack_values
from loopline.platform_core.contracts.online_store import OnlineRow
from loopline.platform_core.errors import ContractBroken

times = st.integers(-(2**63), 2**63 - 1)
values = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text()


def test_the_bytes_are_these() -> None:
    """Eight bytes of shifted time, then a msgpack array."""
    assert pack(OnlineRow(0, ())).hex() == "8000000000000000" + "90"
    assert pack(OnlineRow(-1, (None,))).hex() == "7fffffffffffffff" + "91c0"
    row = OnlineRow(1_298_980_800_000_000, (1.5, 7, "Æ", True, None))
    assert pack(row).hex() == "80049d6a89277000" + "95" + "cb3ff8000000000000" + "07" + "a2c386" + "c3" + "c0"


@given(times, st.lists(values).map(tuple))
def test_what_is_packed_comes_back(time_us: int, given_values: tuple) -> None:
    """Values keep their Python type, the event time every microsecond."""
    row = unpack(pack(OnlineRow(time_us, given_values)))
    assert (row.event_time_us, row.values) == (time_us, given_values)
    assert [type(value) for value in row.values] == [type(value) for value in given_values]
    assert unpack_values(pack_values(given_values)) == given_values


@given(times, times)
def test_the_order_of_bytes_is_the_order_of_time(first: int, second: int) -> None:
    """A store that knows bytes only can tell which event is newer, before 1970 too."""
    heads = [pack(OnlineRow(time_us, ()))[:TIME_BYTES] for time_us in (first, second)]
    assert (heads[0] < heads[1]) == (first < second)


@pytest.mark.parametrize("packed", [b"", b"1234567", b"12345678", b"12345678\x01", b"12345678\x91", b"{}"])
def test_other_bytes_are_refused(packed: bytes) -> None:
    """Torn or foreign bytes are a broken contract, with what to do."""
    with pytest.raises(ContractBroken, match="refill"):
        unpack(packed)
    with pytest.raises(ContractBroken, match="refill"):
        unpack_values(packed)
