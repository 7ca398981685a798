"""What tenants have left: by the second, by the day, over all workers of a machine."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import psutil
import pytest

from loopline.gateway.api_keys import Tenant
from loopline.gateway.quota import Allowances
from loopline.platform_core.errors import StoreUnavailable
from tests.waiting import until

MIDNIGHT = 86_400.0 * 20_000


@pytest.fixture
def clock():
    """Give a clock that is set; it begins at midnight."""
    clock = lambda: clock.now  # noqa: E731 - it has a time
    clock.now = MIDNIGHT
    return clock


def test_without_limits_nothing_is_kept(tmp_path, clock):
    """No file, no lock."""
    assert [Allowances(tmp_path / "a", clock).take("shop", Tenant()) for _ in range(1000)] == [0.0] * 1000
    assert not (tmp_path / "a").exists()


def test_a_bucket_empties_and_fills(tmp_path, clock):
    """Five at once, then one each half second; what is refused takes nothing."""
    allowances, tenant = Allowances(tmp_path, clock), Tenant(per_second=2, burst=5)
    waits = [allowances.take("shop", tenant) for _ in range(7)]
    assert waits == [0.0] * 5 + [0.5, 0.5]
    clock.now += 0.5
    assert [allowances.take("shop", tenant) for _ in range(2)] == [0.0, 0.5]
    clock.now += 3600
    assert [allowances.take("shop", tenant) for _ in range(6)] == [0.0] * 5 + [0.5]


def test_a_day_is_a_utc_day(tmp_path, clock):
    """The quota is whole again at midnight; the wait says when that is."""
    allowances, tenant = Allowances(tmp_path, clock), Tenant(per_day=3)
    clock.now += 80_000
    assert [allowances.take("shop", tenant) for _ in range(4)] == [0.0, 0.0, 0.0, 6_400.0]
    clock.now += 6_400
    assert allowances.take("shop", tenant) == 0.0


def test_less_than_one_a_second(tmp_path, clock):
    """A bucket holds at least one request."""
    allowances, tenant = Allowances(tmp_path, clock), Tenant(per_second=0.1)
    assert [allowances.take("shop", tenant) for _ in range(2)] == [0.0, 10.0]


def test_a_clock_set_back_grants_nothing(tmp_path, clock):
    """Nor does it lock anybody out: from then on a second is a second."""
    allowances, tenant = Allowances(tmp_path, clock), Tenant(per_second=1, burst=1)
    assert allowances.take("shop", tenant) == 0.0
    for seconds in (30, 3_600, 80_000):
        clock.now -= seconds
        assert [allowances.take("shop", tenant) for _ in range(2)] == [1.0, 1.0]
        clock.now += 1
        assert [allowances.take("shop", tenant) for _ in range(2)] == [0.0, 1.0]


def test_a_clock_set_back_grants_no_second_day(tmp_path, clock):
    """What was taken while it was ahead counts for the day that it is, and for no longer."""
    allowances, tenant = Allowances(tmp_path, clock), Tenant(per_day=3)
    clock.now += 86_400 * 400
    assert [allowances.take("shop", tenant) for _ in range(4)] == [0.0, 0.0, 0.0, 86_400.0]
    clock.now -= 86_400 * 400
    assert [allowances.take("shop", tenant) for _ in range(2)] == [86_400.0, 86_400.0]
    clock.now += 86_400
    assert allowances.take("shop", tenant) == 0.0


def test_tenants_do_not_share(tmp_path, clock):
    """One that asks too much takes nothing from another."""
    allowances, tenant = Allowances(tmp_path, clock), Tenant(per_day=1)
    assert [allowances.take(name, tenant) for name in ("a", "a", "b")] == [0.0, MIDNIGHT + 86_400 - MIDNIGHT, 0.0]


def granted(folder, asked, others=1):
    """Ask as another process would, once all others are there too."""
    folder.joinpath(f"here-{os.getpid()}").touch()
    until(lambda: len([*folder.glob("here-*")]) >= others)
    allowances, tenant = Allowances(folder / "allowances"), Tenant(per_day=1_000)
    return sum(allowances.take("shop", tenant) == 0.0 for _ in range(asked))


def test_workers_count_together(tmp_path):
    """Two processes at once are granted the day's requests, and not one more; the count outlives them."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as workers:
        assert sum(workers.map(granted, [tmp_path] * 2, [800] * 2, [2] * 2)) == 1_000
    assert granted(tmp_path, 10) == 0


FULL_DISK = 'mount -t tmpfs -o size=64k none "$0" && (cat /dev/zero > "$0/fill"; exec "$1" -c "$2" "$0")'
TAKE = """
import sys
from pathlib import Path
from loopline.platform_core.errors import StoreUnavailable
from loopline.gateway.api_keys import Tenant
from loopline.gateway.quota import Allowances
file = Path(sys.argv[1]) / "shop"
allowances, tenant = Allowances(file.parent), Tenant(per_second=1)
for _ in range(2):  # without a file, and with one that an earlier try has left without a block of the disk
    try:
        allowances.take("shop", tenant)
    except StoreUnavailable as error:
        print(error)
    with file.open("ab") as left:
        left.truncate(32)
(file.parent / "fill").unlink()
print(allowances.take("shop", tenant))
"""


def test_a_full_disk_is_an_error(tmp_path):
    """And no signal that ends the worker; once there is room again all goes on."""
    alone = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*alone, "mount -t tmpfs none $0", tmp_path], check=False, capture_output=True).returncode:
        pytest.skip("needs a kernel that lets users mount")
    done = subprocess.run(
        [*alone, FULL_DISK, tmp_path, sys.executable, TAKE], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    *refused, granted_now = done.stdout.splitlines()
    assert granted_now == "0.0"
    assert [("No space left" in one, "free the server's disk" in one) for one in refused] == [(True, True)] * 2


def test_what_cannot_be_counted_is_refused(tmp_path):
    """As often as it is asked, without a file left open each time."""
    (tmp_path / "a").write_text("no folder")
    (tmp_path / "b" / "shop").mkdir(parents=True)
    for folder in ("a", "b"):
        allowances, before = Allowances(tmp_path / folder), psutil.Process().num_fds()
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="'shop' cannot be counted"):
                allowances.take("shop", Tenant(per_day=1))
        assert psutil.Process().num_fds() == before
