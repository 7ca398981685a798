"""What is written in one turn of the loop goes out at its end, in order, and nothing of it is lost by closing."""

from __future__ import annotations

import asyncio

import pytest

from loopline.platform_core.runtime.wire.sending import Sending, Turn
from tests.platform_core.runtime.conftest import in_loop


class Wire(asyncio.Transport):
    """A transport that keeps what is done to it."""

    def __init__(self):
        self.done = []

    def write(self, data):
        self.done.append(data)

    def close(self):
        self.done.append("closed")

    def is_closing(self):
        return "closed" in self.done

    def get_extra_info(self, name, default=None):
        """Know the peer only."""
        return "peer" if name == "peername" else default


@in_loop
async def test_head_and_body_are_one_write_at_the_end_of_the_turn():
    """Nothing is written before; then each connection writes once."""
    turn, wires = Turn(), [Wire(), Wire()]
    first, second = (Sending(wire, turn) for wire in wires)
    first.write(b"head ")
    second.write(b"other")
    first.write(b"body")
    assert [wire.done for wire in wires] == [[], []]
    await asyncio.sleep(0)  # the turn's end
    assert [wire.done for wire in wires] == [[b"head body"], [b"other"]]


@in_loop
async def test_the_next_turn_writes_again():
    """What is written after a turn waits for the end of its own."""
    wire = Wire()
    sending = Sending(wire, Turn())
    for word in (b"one", b"two"):
        sending.write(word)
        await asyncio.sleep(0)  # the turn's end
    assert wire.done == [b"one", b"two"]


@in_loop
async def test_closing_sends_what_waits():
    """An answer after which the connection ends goes out before that, and once."""
    wire = Wire()
    sending = Sending(wire, Turn())
    sending.write(b"last")
    sending.close()
    await asyncio.sleep(0)  # the turn's end
    assert wire.done == [b"last", "closed"]


@in_loop
async def test_who_is_gone_is_sent_nothing():
    """A connection that closed meanwhile is left alone."""
    wire = Wire()
    Sending(wire, Turn()).write(b"too late")
    wire.close()
    await asyncio.sleep(0)  # the turn's end
    assert wire.done == ["closed"]


@pytest.mark.parametrize(("name", "known"), [("peername", "peer"), ("sslcontext", None)])
def test_all_else_is_the_transports_business(name, known):
    """Who asks it for something else asks the transport."""
    assert Sending(Wire(), Turn()).get_extra_info(name) == known
