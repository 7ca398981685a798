"""Retail: the first team on Loopline, a wholesaler of gifts."""

from loopline.specs import Team
from retail.models import cancellations

team = Team("retail", __file__, models=(cancellations,), owner="retail").with_files("defs/repeat_orders/defs.yaml")
