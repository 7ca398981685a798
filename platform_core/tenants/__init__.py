"""Tenants: who shares stores with others and nothing in them. Made, suspended, resumed and deleted by an operator."""

from loopline.platform_core.tenants.operators import Operators, read
from loopline.platform_core.tenants.provisioning import Wanted, create, delete, place_of, resume, suspend
from loopline.platform_core.tenants.state import Tenant, found, known

__all__ = [
    "Operators", "Tenant", "Wanted", "create", "delete", "found", "known", "place_of", "read", "resume", "suspend",
]  # fmt: skip
