"""Project templates for a team, a model, a vendor, and a kind of models, rendered and updated by Copier.

An older project is brought to a template's newest version with people's changes kept. What is shipped lies in
``shipped/<kind>/v<number>``; a released version stays as it is, a change is a new version.
"""

from loopline.templates.rendering import Made, Updated, create, create_kind, create_team, update
from loopline.templates.vendor import create_vendor

__all__ = ["Made", "Updated", "create", "create_kind", "create_team", "create_vendor", "update"]
