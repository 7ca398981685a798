"""Catalogue: sorts new articles into a shop's departments by what their suppliers call them."""

from catalogue.departments import departments
from loopline.specs import Team

team = Team("catalogue", __file__, (departments,), owner="catalogue")
