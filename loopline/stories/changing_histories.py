"""Twenty test histories of a shop with corrections, deletions and late data, each a list of hourly steps."""

from __future__ import annotations

from loopline.stories.changing_shop import Order, Step, came, mended, put_back, taken_back

History = tuple[tuple[float, tuple[Step, ...]], ...]


def _outcomes(*orders: Order, name: str = "o1") -> Step:
    return came(name, *orders, source="outcomes")


def _gone(number: int) -> Order:
    return Order(number, gone=True)


FIRST = came("f1", Order(1, 1, 2, 100), Order(2, 1, 5, 10), Order(3, 2, 4, 7))
ASKED = _outcomes(
    Order(91, 1, 8, 1), Order(92, 1, 12, 0), Order(93, 1, 25, 1), Order(94, 2, 25, 0), Order(95, 1, 33, 0)
)
"""Labels before, between and behind what happens at the hours 10, 20 and 30."""

HISTORIES: dict[str, History] = {
    "a corrected file": ((10, (FIRST, ASKED)), (20, (came("f2", Order(1, 1, 2, 1), Order(2, 1, 5, 10)),)), (40, ())),
    "the same file again": ((10, (FIRST, ASKED)), (20, (came("f2", *FIRST.rows),)), (40, ())),
    "corrected twice, back to the first": (
        (10, (FIRST, ASKED)),
        (20, (came("f2", Order(1, 1, 2, 1)),)),
        (30, (came("f3", Order(1, 1, 2, 100)),)),
        (40, ()),
    ),
    "the newest order is older now": ((10, (FIRST, ASKED)), (20, (came("f2", Order(2, 1, 1, 10)),)), (40, ())),
    "the newest order is newer now": ((10, (FIRST, ASKED)), (20, (came("f2", Order(2, 1, 18, 10)),)), (40, ())),
    "an order was another customer's": ((10, (FIRST, ASKED)), (20, (came("f2", Order(2, 2, 5, 10)),)), (40, ())),
    "a customer is left without an order": ((10, (FIRST, ASKED)), (20, (came("f2", Order(3, 1, 4, 7)),)), (40, ())),
    "the newest order is deleted": ((10, (FIRST, ASKED)), (20, (came("f2", _gone(2)),)), (40, ())),
    "the only order is deleted, in a file of keys": (
        (10, (FIRST, ASKED)),
        (20, (came("f2.deleted.csv", _gone(3)),)),
        (40, ()),
    ),
    "deleted and sent again": (
        (10, (FIRST, ASKED)),
        (20, (came("f2", _gone(2)),)),
        (30, (came("f3", Order(2, 1, 5, 3)),)),
        (40, ()),
    ),
    "deleted before it came": ((10, (came("f0", _gone(2)), ASKED)), (20, (FIRST,)), (40, ())),
    "a file is taken back": (
        (10, (FIRST, ASKED)),
        (20, (came("f2", Order(1, 1, 2, 1), Order(4, 3, 15, 5)),)),
        (30, (taken_back("f2"),)),
        (40, ()),
    ),
    "the first file is taken back": (
        (10, (FIRST, ASKED)),
        (20, (came("f2", Order(1, 1, 2, 1)),)),
        (30, (taken_back("f1"),)),
        (40, ()),
    ),
    "taken back and put back": (
        (10, (FIRST, ASKED)),
        (20, (taken_back("f1"),)),
        (30, (put_back("f1"),)),
        (40, ()),
    ),
    "a deletion is taken back": (
        (10, (FIRST, ASKED)),
        (20, (came("f2", _gone(1)),)),
        (30, (taken_back("f2"),)),
        (40, ()),
    ),
    "late rows": (
        (10, (FIRST, ASKED)),
        (20, (came("f2", Order(5, 1, 3, 20), Order(6, 2, 1, 4)),)),
        (30, (came("f3", Order(5, 1, 6, 25)),)),
        (40, ()),
    ),
    "a letter is mended, and corrected": (
        (10, (came("f1", *FIRST.rows, Order(7, 1, 6, -5)), ASKED)),
        (20, (mended(Order(7, amount=5)),)),
        (30, (came("f3", Order(7, 1, 6, 6)),)),
        (40, ()),
    ),
    "a label is retracted": (
        (10, (FIRST, ASKED)),
        (20, ()),
        (30, (_outcomes(_gone(91), Order(92, 1, 12, 1), name="o2"),)),
        (40, ()),
    ),
    "labels are taken back": (
        (10, (FIRST, ASKED)),
        (20, (_outcomes(Order(96, 2, 11, 1), name="o2"),)),
        (30, (taken_back("o2", "outcomes"),)),
        (40, ()),
    ),
    "all at once": (
        (10, (FIRST, ASKED, came("f1b", Order(8, 3, 7, 9)))),
        (20, (came("f2", Order(1, 2, 9, 1), _gone(8)), _outcomes(_gone(94), name="o2"))),
        (30, (taken_back("f1b"), came("f3", Order(3, 3, 4, 7), Order(9, 1, 29, 2)))),
        (40, (came("f4", Order(9, 1, 28, 2), _gone(2)),)),
        (50, ()),
    ),
}


def apart(history: History, number: int) -> History:
    """Give a history orders, customers and files of its own, so that it may be told together with others."""
    return tuple((hour, tuple(_apart(step, number) for step in steps)) for hour, steps in history)


def together(histories: list[History]) -> History:
    """Tell histories as one: what happens at one hour happens at once."""
    hours = sorted({hour for history in histories for hour, _ in history})
    told = [apart(history, number) for number, history in enumerate(histories)]
    return tuple(
        (hour, tuple(s for history in told for at, steps in history if at == hour for s in steps)) for hour in hours
    )


def customers(history: History) -> list[int]:
    """Name every customer of a history."""
    return sorted({order.customer for _, steps in history for step in steps for order in step.rows})


def _apart(step: Step, number: int) -> Step:
    def moved(order: Order) -> Order:
        return order._replace(number=1000 * number + order.number, customer=100 * number + order.customer)

    name = f"h{number}-{step.name}" if step.name else ""
    return Step(step.what, name, tuple(map(moved, step.rows)), step.source)
