"""So many requests are underway at once as a service takes."""

from __future__ import annotations

import threading
import time

from loopline.resources.aws.pace import Pace, pause_seconds


def _most_underway(pace: Pace, threads: int = 12) -> int:
    """Return how many of several threads are inside a slot at once."""
    underway, most, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal underway, most
        with pace.slot():
            with lock:
                underway += 1
                most = max(most, underway)
            time.sleep(0.03)  # so long that whoever may come in beside it does
            with lock:
                underway -= 1

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return most


def test_half_as_many_are_underway_once_it_throttles() -> None:
    """What is refused together halves it once; later refusals go on to one, and never to none."""
    pace = Pace(8)
    assert _most_underway(pace) == 8
    for _ in range(8):
        pace.throttled()
    assert _most_underway(pace) == 4
    for _ in range(4):
        pace._cut_at -= 0.11  # as long ago as tells one refusal from the next
        pace.throttled()
    assert _most_underway(pace, 3) == 1


def test_what_is_taken_lets_more_be_tried() -> None:
    """One more for as many as were underway, up to the most."""
    pace = Pace(8)
    pace.at_once = 2.0
    for _ in range(3):
        pace.taken()
    assert 3 <= pace.at_once < 4
    for _ in range(100):
        pace.taken()
    assert pace.at_once == 8
    assert _most_underway(pace) == 8


def test_pauses_double_at_random_up_to_a_bound() -> None:
    """Callers that were refused together do not come back together."""
    pauses = [[pause_seconds(tries, 0.5) for _ in range(200)] for tries in (0, 3, 1000)]
    for bound, several in zip((0.02, 0.16, 0.5), pauses, strict=True):
        assert bound / 2 < max(several) <= bound
        assert min(several) < bound / 4
