"""Retail: the first team on Loopline, a wholesaler of gifts."""

from loopline.specs import Team
from retail.models import cancellations
from retail.value import value

team = Team("retail", __file__, (cancellations, value), owner="retail").with_files("defs/repeat_orders/defs.yaml")
