"""Demand: how many pieces of each article will be sold, day by day, so that somebody can order them in time."""

from demand.models import pieces
from loopline.specs import Team

team = Team("demand", __file__, (pieces,), owner="demand")
