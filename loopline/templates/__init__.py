"""Templates of what people ship: a team, a model of a team, a vendor.

Copier renders them, and brings an older project to a template's newest version with people's changes kept. What is
shipped lies in ``shipped/<kind>/v<number>``; a released version stays as it is, a change is a new version.
"""

from loopline.templates.rendering import Made, Updated, create, create_team, update
from loopline.templates.vendor import create_vendor

__all__ = ["Made", "Updated", "create", "create_team", "create_vendor", "update"]
