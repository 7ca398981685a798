"""What ``loopline demo discovery`` tells of: two years of orders, the same that the retail team has."""

from __future__ import annotations

from datetime import date
from importlib.resources import files
from pathlib import Path

from loopline.demo.days import days
from loopline.demo.declared import Story

LOG = Path(str(files("retail") / "data" / "online_retail.csv.xz"))

story = Story(
    team="discovery",
    model="articles",
    about="two years of a gift wholesaler's orders, and what its customers are shown before they order",
    days=lambda _team: days(LOG),
    go_live=date(2010, 12, 1),
    drill={"ordered": 0.0},
    mistake="what customers ordered before is left empty",
    rows="order lines",
    dead_letters=True,
)
