"""What is written in one turn of the loop goes out at its end, in order, and nothing of it is lost by closing."""

from __future__ import annotations

import asyncio

import pytest

from loopline.platform_core.runtime.wire.sending import Sending, Turn


class Wire(asyncio.Transport):
    """A transport that keeps what is done to it."""

    def __init__(self):
        """Begin open."""
        self.done = []

    def write(self, data):
        """Keep bytes."""
        self.done.append(data)

    def close(self):
        """Close."""
        self.done.append("closed")

    def is_closing(self):
        """Say whether it is closed."""
        return "closed" in self.done

    def get_extra_info(self, name, default=None):
        """Know the peer only."""
        return "peer" if name == "peername" else default


def in_a_loop(doing):
    """Run a function in a loop, and let the turn end."""

    async def run():
        doing()
        await asyncio.sleep(0)

    asyncio.run(run())


def test_head_and_body_are_one_write_at_the_end_of_the_turn():
    """Nothing is written before; then each connection writes once."""
    turn, wires = Turn(), [Wire(), Wire()]
    first, second = (Sending(wire, turn) for wire in wires)

    def answer():
        first.write(b"head ")
        second.write(b"other")
        first.write(b"body")
        assert [wire.done for wire in wires] == [[], []]

    in_a_loop(answer)
    assert [wire.done for wire in wires] == [[b"head body"], [b"other"]]


def test_the_next_turn_writes_again():
    """What is written after a turn waits for the end of its own."""
    wire = Wire()
    sending = Sending(wire, Turn())
    for word in (b"one", b"two"):
        in_a_loop(lambda word=word: sending.write(word))
    assert wire.done == [b"one", b"two"]


def test_closing_sends_what_waits():
    """An answer after which the connection ends goes out before that, and once."""
    wire = Wire()
    sending = Sending(wire, Turn())

    def answer():
        sending.write(b"last")
        sending.close()

    in_a_loop(answer)
    assert wire.done == [b"last", "closed"]


def test_who_is_gone_is_sent_nothing():
    """A connection that closed meanwhile is left alone."""
    wire = Wire()
    sending = Sending(wire, Turn())

    def answer():
        sending.write(b"too late")
        wire.close()

    in_a_loop(answer)
    assert wire.done == ["closed"]


@pytest.mark.parametrize(("name", "known"), [("peername", "peer"), ("sslcontext", None)])
def test_all_else_is_the_transports_business(name, known):
    """Who asks it for something else asks the transport."""
    assert Sending(Wire(), Turn()).get_extra_info(name) == known
