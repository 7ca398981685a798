"""Use and cost; the sheet of these tests takes 0.001 a CPU second, 0.0001 a GiB second, 0.01 a GPU second."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopline.platform_core.contracts.serving import ServerUse
from loopline.platform_core.errors import InvalidEnvironment, InvalidSpec
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.training import prices
from loopline.scorecard import latest, model_cost, servers
from loopline.scorecard.compute import update
from loopline.scorecard.figure import Measure

SHOP, BANK = "shop/churn", "bank/fraud"
SHEETS = sorted(Path(__file__).parents[3].joinpath("deploy/prices").glob("*.yaml"))
PRICE = "{{price: {}, what: it, source: 'https://example.org', read: '2026-01-05'}}"
SHEET = f"""name: Test
currency: EUR
prices:
  cpu_hour: {PRICE.format(3.6)}
  memory_gb_hour: {PRICE.format(0.36)}
  gpu_hour: {PRICE.format(36)}
"""


@pytest.fixture
def office(make_office, tmp_path):
    """Give a platform with the sheet."""
    sheet = tmp_path / "prices.yaml"
    sheet.write_text(SHEET)
    return make_office(sheet)


def figures(office, scope=""):
    """Compute now, and return the figures of a scope by name as measures."""
    update(office.platform, office.teams(SHOP, BANK))
    return {f.name: Measure(f.value, f.count, f.reason, f.unit) for f in latest(office.platform, scope)}


def trained(office, hours, owner, **changed):
    """Register a version whose training ran 100 s on two cores, used 150 CPU seconds and held 4 GiB."""
    used = {"wall_seconds": 100.0, "cpu_seconds": 150.0, "memory_gb_seconds": 400.0, "gpu_seconds": 0.0, "cores": 2.0}
    office.told.trained(hours, owner, **{**used, **changed})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (9.609e-05, "0.000096 EUR"),
        (0.0404, "0.040 EUR"),
        (0.999, "1.00 EUR"),
        (0, "0.00 EUR"),
        (1e-9, "less than 0.00000001 EUR"),
        (1_234.5, "1,234.50 EUR"),
        (-0.19, "-0.19 EUR"),
        (1e16, "10,000,000,000,000,000.00 EUR"),
    ],
)
def test_money_is_written_out(value, said):
    """With two decimals, or two figures of a small sum; never as a power of ten."""
    assert prices.money(value, "EUR") == said


def test_a_training_costs_what_it_used(office):
    """150 s * 0.001 + 400 GiB s * 0.0001 = 0.19; a second with a GPU for 100 s costs 1.19: 0.69 in the mean."""
    trained(office, 1, SHOP)
    trained(office, 2, BANK, gpu_seconds=100.0, gpu_share=0.25)
    office.clock(10)
    found = figures(office)
    assert found["cost_a_training_run"] == Measure(pytest.approx(0.69), 2, unit="EUR")
    assert figures(office, "shop")["cost_a_training_run"].value == pytest.approx(0.19)
    assert found["training_cpu_utilisation"] == Measure(0.75, 2, unit="share")
    assert found["training_gpu_utilisation"] == Measure(0.25, 1, unit="share")


def test_a_training_of_a_service_costs_what_is_billed(make_office, tmp_path):
    """Two machines that have a price, half an hour each: one machine's hour. Of another type the parts cost."""
    sheet = tmp_path / "prices.yaml"
    sheet.write_text(f"{SHEET}  machine_hours:\n    ml.m5.large: {PRICE.format(0.7)}\n")
    office = make_office(sheet)
    trained(office, 1, SHOP, billed_seconds=1800.0, machine="ml.m5.large", machines=2)
    trained(office, 2, BANK, billed_seconds=1800.0, machine="ml.m5.xlarge", machines=2)
    office.clock(10)
    assert figures(office)["cost_a_training_run"] == Measure(pytest.approx((0.7 + 0.19) / 2), 2, unit="EUR")
    assert figures(office, "shop")["cost_a_training_run"].value == pytest.approx(0.7)
    assert figures(office, "shop")["training_cpu_utilisation"].value == pytest.approx(0.75)


@pytest.mark.parametrize("said", ["5", "{ml.m5.large: 5}", "{ml.m5.large: {price: -1}}"])
def test_a_machine_without_a_price_is_named(tmp_path, said):
    """With the file and the line."""
    sheet = tmp_path / "prices.yaml"
    sheet.write_text(f"{SHEET}  machine_hours: {said}\n")
    told = r"prices.yaml:\d+: (machine_hours is no mapping|ml.m5.large is no price)"
    with pytest.raises(InvalidEnvironment, match=told):
        prices.read(sheet)


def test_what_is_not_known_of_a_training_says_nothing(office):
    """An entry of before usage was kept is no training that cost nothing; a GPU may be known by its time alone."""
    assert model_cost.of_model(office.platform, ModelRef("shop", "churn")).training_run is None  # nobody has looked
    office.told.say("model.registered", 1, SHOP, version="1", seconds=3.0)
    office.clock(10)
    assert figures(office)["cost_a_training_run"] == Measure(None, 0, "no training said what it used", "EUR")
    trained(office, 11, SHOP, gpu_seconds=300.0)
    trained(office, 11, SHOP, gpu_seconds=100.0, gpu_share=0.5)
    office.clock(20)
    assert figures(office)["training_gpu_utilisation"] == Measure(0.5, 1, unit="share")


def test_what_servers_used_is_shared_by_the_time_of_requests(office):
    """Ten CPU seconds and 2 GiB for 100 s; of 400 ms of answering the shop had 300 with three of four requests.

    All: (10 * 0.001 + 200 * 0.0001) = 0.03 for 4 rows. The shop's three quarters: 7.5 s for 3 requests, 0.0225.
    """
    office.answered(1, SHOP, 100.0, 100.0, 100.0)
    office.answered(1, BANK, 100.0)
    office.servers(ServerUse("w-1", 6.0, 2.0, 50.0))
    office.clock(2)
    update(office.platform, office.teams(SHOP, BANK))
    office.servers(ServerUse("w-1", 10.0, 2.0, 100.0))
    office.clock(3)
    found, shop = figures(office), figures(office, "shop")
    assert found["cpu_ms_a_request"] == Measure(pytest.approx(2500.0), 4, unit="ms")
    assert found["cost_a_million_predictions"] == Measure(pytest.approx(7500.0), 4, unit="EUR")
    assert found["serving_cpu_utilisation"] == Measure(pytest.approx(0.1), 100, unit="share")
    assert shop["cpu_ms_a_request"] == Measure(pytest.approx(2500.0), 3, unit="ms")
    assert shop["serving_cpu_utilisation"].value is None
    own = model_cost.of_model(office.platform, ModelRef("shop", "churn"))
    assert own.million_predictions is not None
    assert (own.million_predictions.value, own.million_predictions.unit) == (pytest.approx(7500.0), "EUR")
    assert own.training_run is not None
    assert own.training_run.reason == "no training said what it used"


def test_a_process_that_was_started_anew_begins_at_nought(office):
    """The first worker used 6 s, its successor 1 s: seven together, not minus five."""
    office.answered(1, SHOP, 1.0)
    office.servers(ServerUse("w-1", 6.0, 1.0, 60.0))
    office.clock(2)
    update(office.platform, office.teams(SHOP, BANK))
    office.servers(ServerUse("w-2", 1.0, 1.0, 10.0))
    office.clock(3)
    found = figures(office)
    assert found["cpu_ms_a_request"].value == pytest.approx(7000.0)
    assert found["serving_cpu_utilisation"].value == pytest.approx(7 / 70)


def test_a_process_that_has_run_for_months_counts_only_what_it_used_since(office):
    """Looked at 40 days ago at 100 s of CPU and today at 104 s, it used four in the last four weeks."""
    office.servers(ServerUse("w-1", 100.0, 1.0, 9_000.0))
    office.clock(1)
    update(office.platform)
    office.answered(24 * 40, SHOP, 1.0)
    office.servers(ServerUse("w-1", 104.0, 1.0, 9_100.0))
    office.clock(24 * 40 + 1)
    found = figures(office)
    assert found["cpu_ms_a_request"].value == pytest.approx(4000.0)
    assert found["serving_cpu_utilisation"].value == pytest.approx(0.04)


def test_requests_of_days_on_which_nobody_looked_at_servers_do_not_count(office):
    """A thousand requests of a day before the first look would make each look cheap."""
    office.answered(1, SHOP, *[1.0] * 1000)
    office.answered(30, SHOP, 1.0, 1.0)
    office.servers(ServerUse("w-1", 4.0, 1.0, 60.0))
    office.clock(31)
    assert figures(office)["cpu_ms_a_request"] == Measure(pytest.approx(2000.0), 2, unit="ms")


def test_a_gap_between_looks_makes_no_request_dearer(office):
    """A server uses a tenth of a core, asked once an hour: 360 s a request. For 19 of 22 days nobody looks.

    The two days before the gap count whole, and the 23 hours after it, each with its requests.
    """
    for hours in (*range(1, 48), *range(21 * 24 + 1, 22 * 24)):
        office.clock(hours)
        office.servers(ServerUse("w-1", 360.0 * hours, 2.0, 3600.0 * hours))
        servers.look(office.platform)
    for hours in (*range(48), *range(48, 21 * 24, 24), *range(21 * 24, 22 * 24 - 1)):
        office.answered(hours + 0.5, SHOP, 5.0)
    found = figures(office)
    assert found["cpu_ms_a_request"] == Measure(pytest.approx(360_000.0), 24 + 24 + 23, unit="ms")
    assert found["serving_cpu_utilisation"].value == pytest.approx(0.1)
    assert found["cost_a_million_predictions"].value == pytest.approx(1e6 * (0.36 + 0.72))


def test_a_process_that_was_seen_late_counts_from_its_start(office):
    """First looked at an hour into its third day, it used one hour of that day; the days before had no look."""
    office.answered(48.5, SHOP, 1.0)
    office.servers(ServerUse("w-1", 49.0, 1.0, 49 * 3600.0))
    office.clock(49)
    assert figures(office)["cpu_ms_a_request"] == Measure(pytest.approx(1000.0), 1, unit="ms")


def test_without_a_sheet_there_is_use_and_no_money(make_office, monkeypatch, tmp_path):
    """Where no sheet is named and none lies at the usual place, the figure says how to name one."""
    monkeypatch.chdir(tmp_path)
    office = make_office()
    trained(office, 1, SHOP)
    office.clock(10)
    found = figures(office)
    assert found["training_cpu_utilisation"].value == 0.75
    assert found["cost_a_training_run"].value is None
    assert "name one in the environment file" in found["cost_a_training_run"].reason


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda path: path.stem)
def test_the_shipped_sheets_name_source_and_date(sheet):
    """Each price says what it is of, where it was read and when."""
    found = prices.read(sheet)
    for price in (found.cpu_hour, found.memory_gb_hour, found.gpu_hour, *found.machine_hours.values()):
        assert 0 < price.price < 100
        assert price.source.startswith("https://")
        assert price.read[:3] == "202"
        assert price.what


@pytest.mark.parametrize(
    ("broken", "where"),
    [
        (SHEET.replace("gpu_hour", "gpu_day"), ":3: prices are not"),
        (SHEET.replace("price: 3.6", "price: free"), ":4: cpu_hour is no price"),
        (SHEET.replace("price: 36", "price: -1"), ":6: gpu_hour is no price"),
        ("[]", "prices are not"),
    ],
)
def test_a_sheet_that_is_none_says_where(tmp_path, broken, where):
    """The line is named, and what belongs there; one that is not there is told."""
    file = tmp_path / "broken.yaml"
    file.write_text(broken)
    with pytest.raises(InvalidEnvironment, match=where):
        prices.read(file)
    with pytest.raises(InvalidSpec, match="cannot be read"):
        prices.read(tmp_path / "gone.yaml")
